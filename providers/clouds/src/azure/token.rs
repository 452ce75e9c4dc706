//! The answer of whoever gives out tokens of Azure.

use std::time::Duration;

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, Lease, secret};
use serde::Deserialize;

#[derive(Deserialize)]
struct Issued {
    #[serde(deserialize_with = "secret")]
    access_token: SecretBytes,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// Entra ID writes a number, the metadata service a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

/// The token that Entra ID or a metadata service has given in `answer`; whoever asked has looked at other statuses than
/// 2xx.
///
/// Fails with [`ErrorKind::Malformed`] where there is none.
pub fn issued(answer: &Answer) -> Result<Lease<SecretBytes>> {
    let Issued { access_token, expires_in } = answer.json()?;
    if access_token.is_empty() {
        return Err(answer.error(ErrorKind::Malformed, format!("the answer about {} holds no token", answer.about())));
    }
    let seconds = match expires_in {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    };
    Ok(Lease { token: access_token, ttl: Some(seconds.map_or(SHORTEST, Duration::from_secs)) })
}

/// How long a token is kept when nobody says how long it holds. All of Azure's hold longer.
const SHORTEST: Duration = Duration::from_mins(5);
