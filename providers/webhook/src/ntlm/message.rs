//! The three messages of NTLM, and the response of its version 2: [MS-NLMP] 2.2.1 and 3.3.2.
//!
//! MD4 and MD5 are what the protocol has. Who overhears a login can guess passwords at leisure, so use TLS all the same.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use keyferry_core::SecretBytes;
use md4::Md4;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// Who logs in, as far as responses need it.
pub(crate) struct Account {
    user: Vec<u8>,
    domain: Vec<u8>,
    /// `NTOWFv2`: one can log in with it, but not tell the password from it.
    key: Key,
}

type Key = Zeroizing<[u8; 16]>;

/// What makes a response different from all others.
pub(super) struct Moment {
    pub(super) nonce: [u8; 8],
    /// For servers that do not tell theirs.
    pub(super) time: SystemTime,
}

/// Message 2.
pub(super) struct Challenge<'a> {
    message: &'a [u8],
    flags: u32,
    nonce: [u8; 8],
    /// What the server says of itself.
    about: Vec<(u16, &'a [u8])>,
}

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

const UNICODE: u32 = 1;
const REQUEST_TARGET: u32 = 4;
const NTLM: u32 = 0x0200;
const ALWAYS_SIGN: u32 = 0x8000;
const EXTENDED_SESSION_SECURITY: u32 = 0x0008_0000;
const TARGET_INFO: u32 = 0x0080_0000;
const VERSION_TOLD: u32 = 0x0200_0000;
const KEY_OF_128_BITS: u32 = 0x2000_0000;
const KEY_OF_56_BITS: u32 = 0x8000_0000;
const FLAGS: u32 = UNICODE
    | REQUEST_TARGET
    | NTLM
    | ALWAYS_SIGN
    | EXTENDED_SESSION_SECURITY
    | TARGET_INFO
    | VERSION_TOLD
    | KEY_OF_128_BITS
    | KEY_OF_56_BITS;

/// No version of Windows, but of NTLM. Some servers look for the integrity code elsewhere where it is not there.
const VERSION: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 15];

/// What a server says of itself.
mod av {
    pub(super) const END: u16 = 0;
    pub(super) const FLAGS: u16 = 6;
    pub(super) const TIMESTAMP: u16 = 7;
    /// Of its flags: message 3 carries an integrity code.
    pub(super) const HAS_CODE: u32 = 2;
}

/// Where in message 3 its integrity code stands, and behind it the parts.
const CODE: usize = 72;
const PARTS: usize = 88;

/// Far more than Windows takes.
const LONGEST_NAME: usize = 1024;
const LONGEST_ABOUT: usize = 16 << 10;

/// Message 1: what we can, and nothing about us.
pub(super) fn negotiate() -> [u8; 40] {
    let mut message = [0; 40];
    message[..8].copy_from_slice(SIGNATURE);
    message[8] = 1;
    message[12..16].copy_from_slice(&FLAGS.to_le_bytes());
    message[32..].copy_from_slice(&VERSION);
    message
}

impl Account {
    /// `DOMAIN\user` belongs to that domain; what any other form means, `user@domain` too, is up to the server.
    pub(crate) fn new(username: &SecretBytes, password: &SecretBytes) -> Result<Self, &'static str> {
        let username = username.trimmed();
        let username =
            username.expose_str().ok_or("usernameSecret holds bytes that are not text; correct its Secret")?;
        let (domain, user) = username.split_once('\\').unwrap_or(("", username));
        if user.is_empty() || username.len() > LONGEST_NAME {
            return Err("usernameSecret holds no user name; write it like DOMAIN\\user or user@domain");
        }
        let password =
            password.expose_str().ok_or("passwordSecret holds bytes that are not text; correct its Secret")?;
        // Editors add a line's end, which no password has.
        let password = password.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err("passwordSecret holds no password; correct its Secret");
        }
        let password = Zeroizing::new(utf16(password));
        let hash: Key = Zeroizing::new(Md4::digest(&*password).into());
        let domain = utf16(domain);
        let key = hmac_md5(&hash, &[&utf16(&capitals(user)), &domain]);
        Ok(Self { user: utf16(user), domain, key })
    }

    /// Message 3.
    pub(super) fn answer_to(&self, challenge: &Challenge<'_>, moment: &Moment) -> Zeroizing<Vec<u8>> {
        let time = challenge.time();
        let (response, session) = self.response(
            challenge.nonce,
            moment.nonce,
            time.unwrap_or_else(|| file_time(moment.time)),
            &challenge.about_with_code(),
        );
        // Servers expect something in the place of an LM response.
        let mut message = self.message(challenge.flags & FLAGS | VERSION_TOLD, &[0; 24], &response);
        // Only servers that tell the time look at it.
        if time.is_some() {
            let code = hmac_md5(&session, &[&negotiate(), challenge.message, &message]);
            message[CODE..PARTS].copy_from_slice(&*code);
        }
        message
    }

    /// The response to a challenge, and the key of the session that begins with it.
    fn response(&self, server: [u8; 8], client: [u8; 8], time: [u8; 8], about: &[u8]) -> (Vec<u8>, Key) {
        let blob = [&[1, 1, 0, 0, 0, 0, 0, 0], &time[..], &client, &[0; 4], about, &[0; 4]].concat();
        let proof = hmac_md5(&self.key, &[&server, &blob]);
        let session = hmac_md5(&self.key, &[&*proof]);
        ([&proof[..], &blob].concat(), session)
    }

    fn message(&self, flags: u32, lm: &[u8], nt: &[u8]) -> Zeroizing<Vec<u8>> {
        let parts = [lm, nt, &self.domain, &self.user, &[], &[]];
        let mut message = Zeroizing::new([&SIGNATURE[..], &3_u32.to_le_bytes()].concat());
        let mut offset = PARTS;
        for part in parts {
            // Both fit: the longest part is what servers say of themselves.
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
            message.extend([length, length].concat());
            message.extend(u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
            offset += part.len();
        }
        message.extend(flags.to_le_bytes());
        message.extend(VERSION);
        message.resize(PARTS, 0);
        message.extend(parts.concat());
        message
    }
}

impl<'a> Challenge<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let short = "its challenge ends half way";
        if message.get(..12) != Some(b"NTLMSSP\0\x02\0\0\0") {
            return Err("its challenge is not one of NTLM");
        }
        let flags = u32::from_le_bytes(*message.get(20..).and_then(<[u8]>::first_chunk).ok_or(short)?);
        if flags & UNICODE == 0 {
            return Err("it does not take names in Unicode, so it is too old");
        }
        let nonce = *message.get(24..).and_then(<[u8]>::first_chunk).ok_or(short)?;
        let about = if flags & TARGET_INFO == 0 { &[] } else { place(message, 40).ok_or(short)? };
        Ok(Self { message, flags, nonce, about: pairs(about).ok_or(short)? })
    }

    fn time(&self) -> Option<[u8; 8]> {
        self.get(av::TIMESTAMP).and_then(|time| time.try_into().ok())
    }

    /// What the server says of itself, and whether the response comes in a message with an integrity code.
    fn about_with_code(&self) -> Vec<u8> {
        let flags = self.get(av::FLAGS).and_then(|flags| flags.try_into().ok()).map_or(0, u32::from_le_bytes);
        let flags = (flags | av::HAS_CODE).to_le_bytes();
        let with_code = self.time().map(|_| (av::FLAGS, &flags[..]));
        let others = self.about.iter().copied().filter(|(id, _)| with_code.is_none() || *id != av::FLAGS);
        let all = others.chain(with_code).chain([(av::END, &[][..])]);
        all.flat_map(|(id, value)| {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            [&id.to_le_bytes(), &length.to_le_bytes(), value].concat()
        })
        .collect()
    }

    fn get(&self, id: u16) -> Option<&'a [u8]> {
        self.about.iter().find(|(of, _)| *of == id).map(|(_, value)| *value)
    }
}

/// The part of `message` whose length and offset stand at `at`.
fn place(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(*message.get(at..)?.first_chunk()?));
    let offset = usize::try_from(u32::from_le_bytes(*message.get(at + 4..)?.first_chunk()?)).ok()?;
    message.get(offset..)?.get(..length).filter(|part| part.len() <= LONGEST_ABOUT)
}

fn pairs(mut list: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut pairs = Vec::new();
    while let Some((id, rest)) = list.split_first_chunk() {
        let id = u16::from_le_bytes(*id);
        if id == av::END {
            break;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        pairs.push((id, value));
        list = rest;
    }
    Some(pairs)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// As Windows does it: a letter never becomes two.
fn capitals(text: &str) -> String {
    let capital = |letter: char| {
        let mut capital = letter.to_uppercase();
        capital.next().filter(|_| capital.next().is_none()).unwrap_or(letter)
    };
    text.chars().map(capital).collect()
}

/// As Windows counts: ticks of 100 ns since 1601.
fn file_time(time: SystemTime) -> [u8; 8] {
    const TO_1970: Duration = Duration::from_secs(11_644_473_600);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default() + TO_1970;
    u64::try_from(since.as_nanos() / 100).unwrap_or_default().to_le_bytes()
}

fn hmac_md5(key: &Key, parts: &[&[u8]]) -> Key {
    // HMAC fills short keys up to a block itself; keys of a whole block cannot have a wrong length.
    let mut block = Zeroizing::new([0; 64]);
    block[..16].copy_from_slice(&**key);
    let mac = Hmac::<Md5>::new((&*block).into());
    Zeroizing::new(parts.iter().fold(mac, Mac::chain_update).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests;
