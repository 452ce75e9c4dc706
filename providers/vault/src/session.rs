//! Tokens: getting, renewing, looking up and revoking them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Result, Retry, SecretBytes};
use keyferry_rest::{Answer, Lease, Login, Method};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    auth::LoginMethod,
    client::{INVALID_TOKEN, Refused, VaultClient, Within, operation, refusal},
};

/// A token that a login yielded.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: SecretBytes,
    pub(crate) obtained: Instant,
    /// Batch tokens cannot be revoked, they just end.
    pub(crate) revocable: bool,
    renewable: bool,
    /// How long the login let it live. Renewals get shorter as its last end draws near.
    full: Duration,
}

/// Logs in as the store says.
#[derive(Debug)]
pub(crate) struct VaultLogin {
    pub(crate) client: Arc<VaultClient>,
    pub(crate) path: String,
    pub(crate) method: LoginMethod,
}

#[async_trait]
impl Login for VaultLogin {
    type Token = Token;

    async fn login(&self, current: Option<&Token>) -> Result<Lease<Token>> {
        if let Some(current) = current.filter(|token| token.renewable)
            && let Some(renewed) = self.client.renew(current).await?
        {
            return Ok(renewed);
        }
        let began = Instant::now();
        let credentials = self.method.credentials(&self.client).await?;
        let mut body = BTreeMap::new();
        for (name, value) in &credentials.members {
            let text = value.expose_str();
            let text = text.ok_or_else(|| self.client.invalid(operation::LOGIN, format!("the {name} is not text")))?;
            body.insert(*name, text);
        }
        let path = format!("auth/{}/{}", self.path.trim_matches('/'), credentials.path);
        let request = self.client.request(operation::LOGIN, Method::POST, Within::Auth, &path, None)?;
        let answer = request.json(&body).send().await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        self.client.wrote(&answer);
        let granted = granted(&answer)?;
        let full = Duration::from_secs(granted.lease_duration);
        Ok(granted.into_lease(began, full))
    }
}

impl VaultLogin {
    /// Which of the credentials is wrong, Vault says only in words; that one is wrong, it says with 400 or 403.
    fn refused(&self, answer: &Answer) -> Error {
        let (path, refused) = (&self.path, Refused::of(answer));
        match answer.status() {
            404 if refused.says("no handler for route") => {
                let text = format!("no auth method is enabled at auth/{path}; check its path and the namespace");
                answer.error(ErrorKind::InvalidConfig, text)
            }
            400 | 401 | 403 => {
                let what = match &self.method {
                    LoginMethod::AppRole { .. } => "role id and secret id",
                    LoginMethod::Aws(_) => {
                        "vaultRole, which AWS principals it admits, the server ID, and that the method asks the STS of the \
                         store's region"
                    }
                    LoginMethod::Cert { .. } => "client certificate and role",
                    LoginMethod::Google(_) => "role, its type, and which service accounts it admits",
                    LoginMethod::Jwt { .. } => "role, and which issuers, subjects and audiences it accepts",
                    LoginMethod::Password { .. } => "user name and password",
                };
                let text = format!(
                    "the login at auth/{path} was refused; check {what}, and that an auth method is enabled there"
                );
                answer.error(ErrorKind::Unauthenticated, text)
            }
            _ => refusal(answer, Within::Auth),
        }
    }
}

impl VaultClient {
    /// Whether Vault still knows `token`.
    pub(crate) async fn lookup(&self, token: Option<&SecretBytes>) -> Result<()> {
        let request =
            self.request(operation::LOOKUP_SELF, Method::GET, Within::Auth, "auth/token/lookup-self", token)?;
        let answer = request.send().await?;
        match answer.status() {
            200 => answer.json::<serde::de::IgnoredAny>().map(|_| ()),
            403 => Err(answer.error(ErrorKind::Unauthenticated, INVALID_TOKEN)),
            _ => Err(refusal(&answer, Within::Auth)),
        }
    }

    /// Lengthens the life of `token`; `None` where only a new login helps.
    async fn renew(&self, token: &Token) -> Result<Option<Lease<Token>>> {
        let began = Instant::now();
        let path = "auth/token/renew-self";
        let request = self.request(operation::RENEW_SELF, Method::POST, Within::Auth, path, Some(&token.secret))?;
        let answer = request.json(&BTreeMap::<&str, &str>::new()).send().await?;
        if !answer.is_success() {
            let error = refusal(&answer, Within::Auth);
            // Who may not renew can still log in.
            return if error.retry == Retry::Never { Ok(None) } else { Err(error) };
        }
        self.wrote(&answer);
        let renewed = granted(&answer)?;
        let left = Duration::from_secs(renewed.lease_duration);
        Ok((left >= token.full / 2).then(|| renewed.into_lease(began, token.full)))
    }

    /// Ends `token`. Nobody waits for it, so nobody hears of a failure: the token ends by itself, only later.
    pub(crate) async fn revoke(&self, token: &SecretBytes) {
        let path = "auth/token/revoke-self";
        if let Ok(request) = self.request(operation::REVOKE_SELF, Method::POST, Within::Auth, path, Some(token)) {
            let _ = request.send().await;
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    client_token: SecretBytes,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    token_type: Option<String>,
}

fn granted(answer: &Answer) -> Result<Granted> {
    #[derive(Deserialize)]
    struct Envelope {
        auth: Granted,
    }
    let Envelope { auth } = answer.json()?;
    if auth.client_token.is_empty() {
        let text = "the login asks for a second factor; use an auth method without login MFA";
        return Err(answer.error(ErrorKind::InvalidConfig, text));
    }
    Ok(auth)
}

impl Granted {
    /// A duration of zero means that the token does not end by itself.
    fn into_lease(self, obtained: Instant, full: Duration) -> Lease<Token> {
        let ttl = Some(self.lease_duration).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let revocable = self.token_type.as_deref() != Some("batch");
        let token = Token { secret: self.client_token, obtained, revocable, renewable: self.renewable, full };
        Lease { token, ttl }
    }
}
