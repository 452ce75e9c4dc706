//! Tokens: getting, renewing, looking up and revoking them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Result, Retry, SecretBytes};
use keyferry_rest::{Answer, Lease, Login, Method};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    auth::LoginMethod,
    client::{Ask, INVALID_TOKEN, Refused, VaultClient, Within, operation, refusal},
    path::tidy,
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
        let path = format!("auth/{}/{}", tidy(&self.path), credentials.path);
        let answer = self.client.send(Ask::login(operation::LOGIN, &path, None), |request| request.json(&body)).await?;
        if !answer.is_success() {
            return Err(self.refused(&answer));
        }
        self.client.wrote(&answer);
        let granted = granted(&answer)?;
        let full = Duration::from_secs(granted.lease_duration);
        Ok(granted.into_lease(began, full))
    }
}

/// How methods that ask somebody else begin to say that nobody answered: a directory, STS.
const UNANSWERED: [&str; 2] = ["error connecting to host", "error making upstream request: error making request"];

/// How the method `aws` begins to say that the signed header names another server, or none.
const MEANT_FOR_ANOTHER: &str = "error validating X-Vault-AWS-IAM-Server-ID header";

impl VaultLogin {
    /// Which of the credentials is wrong, Vault says only in words; that one is wrong, it says with 400 or 403.
    fn refused(&self, answer: &Answer) -> Error {
        let (path, refused) = (&self.path, Refused::of(answer));
        match answer.status() {
            404 if refused.says("no handler for route") => {
                let text = format!("no auth method is enabled at auth/{path}; check its path and the namespace");
                answer.error(ErrorKind::InvalidConfig, text)
            }
            400 if UNANSWERED.iter().any(|words| refused.says(words)) => {
                let asked = if matches!(self.method, LoginMethod::Aws(_)) { "STS" } else { "directory" };
                let text = format!(
                    "the server got no answer from the {asked} that auth/{path} asks; check its address in the method's \
                     configuration, and the network between them"
                );
                answer.error(ErrorKind::Unavailable, text).with_retry(Retry::Backoff)
            }
            400 if matches!(self.method, LoginMethod::Aws(_)) && refused.says(MEANT_FOR_ANOTHER) => {
                let text = format!(
                    "the login at auth/{path} was refused; check vaultAwsIamServerID, which must be what \
                     iam_server_id_header_value is there"
                );
                answer.error(ErrorKind::Unauthenticated, text)
            }
            400 | 401 | 403 => {
                let what = match &self.method {
                    LoginMethod::AppRole { .. } => "role id and secret id",
                    LoginMethod::Aws(_) => {
                        "the credentials, vaultRole, which AWS principals it admits, and that the method asks the STS of \
                         the store's region"
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
        let ask = Ask {
            operation: operation::LOOKUP_SELF,
            method: Method::GET,
            within: Within::Auth,
            path: "auth/token/lookup-self",
            token,
        };
        let answer = self.send(ask, |request| request).await?;
        match answer.status() {
            200 => answer.json::<serde::de::IgnoredAny>().map(|_| ()),
            // Said of what a token's policies do not allow. Of a token that it does not know, no server says it so.
            403 if Refused::of(&answer).says("1 error occurred") => Ok(()),
            403 => Err(answer.error(ErrorKind::Unauthenticated, INVALID_TOKEN)),
            _ => Err(refusal(&answer, Within::Auth)),
        }
    }

    /// Lengthens the life of `token`; `None` where only a new login helps.
    async fn renew(&self, token: &Token) -> Result<Option<Lease<Token>>> {
        let began = Instant::now();
        let ask = Ask::login(operation::RENEW_SELF, "auth/token/renew-self", Some(&token.secret));
        let answer = self.send(ask, |request| request.json(&BTreeMap::<&str, &str>::new())).await?;
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
        let ask = Ask::login(operation::REVOKE_SELF, "auth/token/revoke-self", Some(token));
        let _ = self.send(ask, |request| request).await;
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
