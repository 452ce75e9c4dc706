//! Windows authentication as IIS has it: it is the connection that gets in.
//!
//! A connection that shows nothing is told which schemes there are. Message 1 is answered with a challenge that is good
//! for one message 3 on the same connection. A right response lets in the connection, until it ends or begins anew.

mod response;

use std::{collections::BTreeMap, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use self::response::Response;
use crate::http1::ConnectionId;

/// A Windows domain whose accounts a server lets in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Domain {
    /// Its NetBIOS name.
    pub name: String,
    /// Its DNS name.
    pub dns_name: String,
    /// Who there is.
    pub accounts: Vec<Account>,
    /// What the server asks for, in this order.
    #[serde(default = "Domain::usual_schemes")]
    pub schemes: Vec<String>,
}

/// A user of a domain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Without the domain.
    pub name: String,
    /// In clear text.
    pub password: String,
}

impl Domain {
    /// `CORP`, with DNS name `corp.example.com` and one account.
    pub fn with_account(name: &str, password: &str) -> Self {
        Self {
            name: "CORP".into(),
            dns_name: "corp.example.com".into(),
            accounts: vec![Account { name: name.into(), password: password.into() }],
            schemes: Self::usual_schemes(),
        }
    }

    fn usual_schemes() -> Vec<String> {
        vec!["Negotiate".into(), "NTLM".into()]
    }
}

/// Who watches over the connections of a server.
#[derive(Debug)]
pub(super) struct Guard {
    domain: Domain,
    connections: BTreeMap<ConnectionId, State>,
}

#[derive(Debug)]
enum State {
    Challenged(Challenge),
    LetIn,
}

/// What message 3 must fit to.
#[derive(Debug)]
struct Challenge {
    scheme: String,
    /// Message 1.
    negotiate: Vec<u8>,
    /// Message 2.
    message: Vec<u8>,
    nonce: [u8; 8],
    time: [u8; 8],
    /// What the server said of itself.
    about: Vec<u8>,
}

/// The values of `WWW-Authenticate` for who is not let in.
pub(super) type Refusal = Vec<String>;

impl Guard {
    pub(super) fn of(domain: Domain) -> Self {
        Self { domain, connections: BTreeMap::new() }
    }

    /// Whether a request with this `Authorization` is let in on this connection.
    pub(super) fn admit(&mut self, connection: ConnectionId, authorization: Option<&str>) -> Result<(), Refusal> {
        let state = self.connections.remove(&connection);
        let next = match (authorization, state) {
            (None, state) => state.filter(|state| matches!(state, State::LetIn)),
            (Some(shown), state) => self.next(shown, state),
        };
        let outcome = match &next {
            Some(State::LetIn) => Ok(()),
            Some(State::Challenged(challenge)) => {
                Err(vec![format!("{} {}", challenge.scheme, STANDARD.encode(&challenge.message))])
            }
            None => Err(self.domain.schemes.clone()),
        };
        if let Some(next) = next {
            self.connections.insert(connection, next);
        }
        outcome
    }

    fn next(&self, shown: &str, state: Option<State>) -> Option<State> {
        let (scheme, encoded) = shown.split_once(' ')?;
        let is_windows =
            matches!(scheme, "NTLM" | "Negotiate") && self.domain.schemes.iter().any(|name| name == scheme);
        let message = STANDARD.decode(encoded).ok().filter(|_| is_windows)?;
        match (message.get(..12)?, state) {
            (b"NTLMSSP\0\x01\0\0\0", _) => {
                Challenge::to(message, scheme, &self.domain, rand::random(), SystemTime::now()).map(State::Challenged)
            }
            (b"NTLMSSP\0\x03\0\0\0", Some(State::Challenged(challenge))) if challenge.scheme == scheme => {
                let response = Response::parse(&message)?;
                response.fits(&challenge, &self.domain).then_some(State::LetIn)
            }
            _ => None,
        }
    }
}

const UNICODE: u32 = 0x1;
const EXTENDED_SESSION_SECURITY: u32 = 0x8_0000;

impl Challenge {
    /// For clients that know Unicode and the security of NTLM's second version.
    fn to(negotiate: Vec<u8>, scheme: &str, domain: &Domain, nonce: [u8; 8], now: SystemTime) -> Option<Self> {
        const TARGET_IS_DOMAIN_AND_INFO_IS_THERE: u32 = 0x0081_0000;
        let asked = u32::from_le_bytes(*negotiate.get(12..)?.first_chunk()?);
        let needed = UNICODE | EXTENDED_SESSION_SECURITY;
        if asked & needed != needed {
            return None;
        }
        let time = file_time(now);
        let host = format!("web.{}", domain.dns_name);
        let about = [
            pair(2, &utf16(&domain.name)),
            pair(1, &utf16("WEB")),
            pair(4, &utf16(&domain.dns_name)),
            pair(3, &utf16(&host)),
            pair(7, &time),
            pair(0, &[]),
        ]
        .concat();
        let target = utf16(&domain.name);
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.extend(buffer(target.len(), 56));
        message.extend((asked & 0xa008_8205 | TARGET_IS_DOMAIN_AND_INFO_IS_THERE).to_le_bytes());
        message.extend(nonce);
        message.extend([0; 8]);
        message.extend(buffer(about.len(), 56 + target.len()));
        message.extend([10, 0, 0x7c, 0x4f, 0, 0, 0, 15]);
        message.extend(&target);
        message.extend(&about);
        Some(Self { scheme: scheme.into(), negotiate, message, nonce, time, about })
    }
}

/// Length, length again, and offset of a part of a message.
fn buffer(length: usize, offset: usize) -> Vec<u8> {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    [&length[..], &length, &u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes()].concat()
}

fn pair(id: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&id.to_le_bytes()[..], &length.to_le_bytes(), value].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// In steps of 100 ns since 1601.
fn file_time(now: SystemTime) -> [u8; 8] {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() / 100;
    u64::try_from(since + 116_444_736_000_000_000).unwrap_or_default().to_le_bytes()
}
