//! Logging in.

mod aws;
mod azure;
mod gcp;
mod method;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, Lease, Login};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

pub(crate) use self::method::Method;
use crate::{config::credential, gateway::Gateway, refusal::is_refusal, token::Token};

/// The logins of one store.
#[derive(Debug)]
pub(crate) struct AkeylessLogin {
    gateway: Arc<Gateway>,
    access_id: SecretBytes,
    method: Method,
}

impl AkeylessLogin {
    /// Fails with [`ErrorKind::InvalidConfig`] for an access id that cannot be one.
    pub(crate) fn new(gateway: Arc<Gateway>, access_id: &SecretBytes, method: Method) -> Result<Self> {
        Ok(Self { gateway, access_id: credential("accessID", access_id)?, method })
    }
}

#[async_trait]
impl Login for AkeylessLogin {
    type Token = Token;

    async fn login(&self, _current: Option<&Token>) -> Result<Lease<Token>> {
        let body = Body { access_id: text(&self.access_id), proof: self.method.proof().await? };
        let answer = self.gateway.post("Auth", "auth", "the login", &body).await?;
        if matches!(answer.status(), 400 | 401 | 403 | 404) && is_refusal(&answer) {
            let text = format!("the gateway refused the login; {}", self.method.remedy());
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let granted: Granted = answer.json()?;
        if granted.token.is_empty() {
            return Err(answer.error(ErrorKind::Malformed, "the gateway let the login pass but gave no token"));
        }
        let ttl = granted.ttl(now(&answer));
        Ok(Lease { token: Token::new(granted.token), ttl })
    }
}

/// The body of `/auth`.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "access-id")]
    access_id: &'a str,
    #[serde(flatten)]
    proof: Proof<'a>,
}

/// What the gateway checks.
#[derive(Serialize)]
#[serde(tag = "access-type")]
enum Proof<'a> {
    #[serde(rename = "access_key")]
    AccessKey {
        #[serde(rename = "access-key")]
        access_key: &'a str,
    },
    #[serde(rename = "aws_iam")]
    AwsIam {
        #[serde(rename = "cloud-id")]
        cloud_id: Encoded,
    },
    #[serde(rename = "azure_ad")]
    AzureAd {
        #[serde(rename = "cloud-id")]
        cloud_id: Encoded,
    },
    #[serde(rename = "gcp")]
    Gcp {
        #[serde(rename = "cloud-id")]
        cloud_id: Encoded,
    },
    #[serde(rename = "k8s")]
    Kubernetes {
        #[serde(rename = "k8s-auth-config-name")]
        config_name: &'a str,
        #[serde(rename = "k8s-service-account-token")]
        token: Encoded,
    },
}

/// A secret in base64.
struct Encoded(Zeroizing<String>);

impl Encoded {
    fn of(secret: &SecretBytes) -> Self {
        Self(Zeroizing::new(STANDARD.encode(secret.trimmed().expose())))
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A credential that was found to be text.
fn text(credential: &SecretBytes) -> &str {
    credential.expose_str().unwrap_or_default()
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    token: SecretBytes,
    #[serde(default)]
    expiration: Option<String>,
}

impl Granted {
    /// How long the token holds, as the gateway says or the token itself; `None` where neither does: it is used until
    /// it is refused.
    fn ttl(&self, now: Timestamp) -> Option<Duration> {
        let said = self.expiration.as_deref().and_then(|end| end.parse().ok());
        let end: Timestamp = said.or_else(|| end_of(&self.token))?;
        // A new token that has ended already was measured by another clock.
        Duration::try_from(end.duration_since(now)).ok().filter(|ttl| !ttl.is_zero())
    }
}

/// The time by the server's clock, which is the one that ends tokens.
fn now(answer: &Answer) -> Timestamp {
    let date = answer.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    date.map_or_else(Timestamp::now, |date| date.timestamp())
}

/// When `token` ends, if it is a JWT.
fn end_of(token: &SecretBytes) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(text(token).split('.').nth(1)?).ok()?);
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jiff::Timestamp;

    use super::Granted;

    fn ttl(token: &str, expiration: Option<&str>) -> Option<Duration> {
        let now: Timestamp = "2025-01-01T00:00:00Z".parse().expect("a time");
        Granted { token: token.into(), expiration: expiration.map(str::to_owned) }.ttl(now)
    }

    #[test]
    fn a_token_holds_as_long_as_the_gateway_says() {
        assert_eq!(ttl("t-1", Some("2025-01-01T01:00:00Z")), Some(Duration::from_hours(1)));
        assert_eq!(ttl("t-1", Some("2025-01-01T02:00:00+01:00")), Some(Duration::from_hours(1)));
    }

    #[test]
    fn a_jwt_says_itself_when_it_ends() {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(r#"{"exp": 1735689660}"#));
        assert_eq!(ttl(&token, None), Some(Duration::from_mins(1)));
        assert_eq!(ttl(&token, Some("in a while")), Some(Duration::from_mins(1)));
    }

    #[test]
    fn an_end_that_nobody_tells_or_that_is_past_is_unknown() {
        assert_eq!(ttl("t-1", None), None);
        assert_eq!(ttl("t-1", Some("soon")), None);
        assert_eq!(ttl("a.b.c", None), None);
        assert_eq!(ttl("t-1", Some("2024-12-31T23:59:59Z")), None);
    }
}
