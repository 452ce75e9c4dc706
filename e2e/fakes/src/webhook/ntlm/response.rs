//! Message 3, and whether it is right.

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};

use super::{Challenge, Domain, UNICODE, utf16};

/// Message 3.
pub(super) struct Response<'a> {
    message: &'a [u8],
    lm: &'a [u8],
    nt: &'a [u8],
    domain: String,
    user: String,
    flags: u32,
}

/// Where the message's integrity code stands.
const CODE: std::ops::Range<usize> = 72..88;

impl<'a> Response<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(*message.get(at..)?.first_chunk()?));
        let part = |at: usize| {
            let length = usize::from(u16::from_le_bytes(*message.get(at..)?.first_chunk()?));
            let offset = usize::try_from(number(at + 4)?).ok()?;
            message.get(offset..offset.checked_add(length)?)
        };
        let text = |at: usize| {
            let letters: Vec<u16> = part(at)?.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&letters).ok()
        };
        let _session_key = part(52)?;
        Some(Self { message, lm: part(12)?, nt: part(20)?, domain: text(28)?, user: text(36)?, flags: number(60)? })
    }

    /// Whether it answers `challenge` with the password of an account, as NTLM of version 2 and no other.
    pub(super) fn fits(&self, challenge: &Challenge, domain: &Domain) -> bool {
        let Some((proof, blob)) = self.nt.split_at_checked(16) else { return false };
        let Some(password) = self.password(domain) else { return false };
        let no_first_version = self.lm.iter().all(|byte| *byte == 0);
        let Some(has_code) = claim_about(blob, challenge).filter(|_| no_first_version && self.flags & UNICODE != 0)
        else {
            return false;
        };
        let identity = utf16(&format!("{}{}", self.user.to_uppercase(), self.domain));
        let key = hmac_md5(&Md4::digest(utf16(password)), &[&identity]);
        let session = hmac_md5(&key, &[proof]);
        let right = proof == hmac_md5(&key, &[&challenge.nonce, blob]);
        right && (!has_code || self.has_right_code(&session, challenge))
    }

    /// Names have no case. A user without a domain is looked for in that of the server.
    fn password<'d>(&self, domain: &'d Domain) -> Option<&'d str> {
        let is_domain = |name: &str| [&domain.name, &domain.dns_name].into_iter().any(|known| same(known, name));
        let name = match self.user.split_once('@') {
            Some((name, suffix)) if self.domain.is_empty() && is_domain(suffix) => name,
            None if self.domain.is_empty() || is_domain(&self.domain) => &self.user,
            _ => return None,
        };
        let account = domain.accounts.iter().find(|account| same(&account.name, name))?;
        Some(&account.password)
    }

    fn has_right_code(&self, session: &[u8], challenge: &Challenge) -> bool {
        let mut message = self.message.to_vec();
        let Some(place) = message.get_mut(CODE) else { return false };
        place.fill(0);
        hmac_md5(session, &[&challenge.negotiate, &challenge.message, &message]) == self.message[CODE]
    }
}

/// Whether the client claims that its message has an integrity code, as Windows leaves it to the client. Nothing, where
/// it does not repeat what the server said of itself, so that the response may be meant for another one.
fn claim_about(blob: &[u8], challenge: &Challenge) -> Option<bool> {
    const FLAGS: u16 = 6;
    let (head, about) = blob.split_at_checked(28)?;
    let head_is_right = head[..8] == [1, 1, 0, 0, 0, 0, 0, 0] && head[8..16] == challenge.time && head[24..] == [0; 4];
    let (said, repeated) = (pairs(&challenge.about)?, pairs(about)?);
    let complete = head_is_right && head[16..24] != [0; 8] && said.iter().all(|pair| repeated.contains(pair));
    let claimed = repeated.iter().any(|(id, value)| *id == FLAGS && value.first().is_some_and(|flags| flags & 2 == 2));
    complete.then_some(claimed)
}

/// A list up to its end, which must be there.
fn pairs(mut list: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut pairs = Vec::new();
    loop {
        let (id, length) =
            (u16::from_le_bytes(*list.first_chunk()?), u16::from_le_bytes(*list.get(2..)?.first_chunk()?));
        let (value, rest) = list[4..].split_at_checked(usize::from(length))?;
        if id == 0 {
            return Some(pairs);
        }
        pairs.push((id, value));
        list = rest;
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_uppercase() == other.to_uppercase()
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mac) = Hmac::<Md5>::new_from_slice(key) else { return Vec::new() };
    parts.iter().fold(mac, Mac::chain_update).finalize().into_bytes().to_vec()
}
