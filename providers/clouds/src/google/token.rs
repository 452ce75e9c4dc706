//! What a login yields.

use std::time::Duration;

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, Lease};
use serde::Deserialize;

/// Opens Google's APIs for a while.
#[derive(Debug)]
pub struct AccessToken {
    /// The token itself.
    pub bearer: SecretBytes,
    /// The project whose quota is used, where the credentials name one: those of users must.
    pub quota_project: Option<String>,
}

/// The answer of every OAuth token endpoint.
#[derive(Deserialize)]
struct Issued {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    access_token: SecretBytes,
    expires_in: Option<u64>,
}

/// The token in `answer`, which is a successful one.
pub fn issued(answer: &Answer) -> Result<Lease<AccessToken>> {
    let Issued { access_token, expires_in } = answer.json()?;
    lease(answer, access_token, expires_in.map(Duration::from_secs))
}

/// `bearer`, which came with `answer`, unless it is empty.
pub(super) fn lease(answer: &Answer, bearer: SecretBytes, ttl: Option<Duration>) -> Result<Lease<AccessToken>> {
    if bearer.is_empty() {
        return Err(answer.error(ErrorKind::Malformed, format!("the answer about {} holds no token", answer.about())));
    }
    Ok(Lease { token: AccessToken { bearer, quota_project: None }, ttl })
}
