//! Acting as a service account.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, fmt::rfc2822};
use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, Lease};
use serde::Deserialize;
use serde_json::json;

use super::{
    Google, SCOPE, Service,
    refusal::refused,
    token::{self, AccessToken},
};

/// The service account that somebody else acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// Accounts on the way from the caller to the target, which each may act as the next one.
    delegates: Vec<String>,
    email: String,
    lifetime: Duration,
}

const OPERATION: &str = "GenerateAccessToken";

const LIFETIME: Duration = Duration::from_hours(1);

impl Impersonation {
    /// Of the account with this address, or unique id.
    ///
    /// The text of an error tells what is wrong with it.
    pub fn new(email: &str) -> Result<Self, String> {
        if !is_account(email) {
            return Err(format!(
                "{email:?} is no address of a service account, like name@project.iam.gserviceaccount.com"
            ));
        }
        Ok(Self { delegates: Vec::new(), email: email.to_owned(), lifetime: LIFETIME })
    }

    /// From the form in which configurations name it. Only Google's own address will do, because it is shown a token.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let account = url
            .strip_prefix("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/")
            .and_then(|rest| rest.strip_suffix(":generateAccessToken"))
            .filter(|account| is_account(account))
            .ok_or(
                "\"service_account_impersonation_url\" is not \
                 https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/…:generateAccessToken",
            )?;
        Self::new(account)
    }

    /// The same, with tokens that live so long; `None` keeps the hour that is usual.
    #[must_use]
    pub fn lasting(self, seconds: Option<u32>) -> Self {
        Self { lifetime: seconds.map_or(self.lifetime, |seconds| Duration::from_secs(seconds.into())), ..self }
    }

    /// The same, by way of these accounts, which each may act as the next one. Addresses will do, which Google does not
    /// take as they are.
    #[must_use]
    pub fn through(self, delegates: Vec<String>) -> Self {
        let path = |name: String| if name.contains('/') { name } else { format!("projects/-/serviceAccounts/{name}") };
        Self { delegates: delegates.into_iter().map(path).collect(), ..self }
    }

    /// Its address, or unique id.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// A token of the service account for the bearer of `source`.
    pub async fn login(&self, google: &Google, source: &SecretBytes) -> Result<Lease<AccessToken>> {
        let email = &self.email;
        let path = format!("v1/projects/-/serviceAccounts/{email}:generateAccessToken");
        let mut body = json!({"scope": [SCOPE], "lifetime": format!("{}s", self.lifetime.as_secs())});
        if !self.delegates.is_empty() {
            body["delegates"] = json!(self.delegates);
        }
        let answer = google
            .http
            .post(OPERATION, google.url(OPERATION, Service::IamCredentials, &path)?)
            .about(format!("acting as {email}"))
            .bearer(source)
            .json(&body)
            .send()
            .await?;
        if !answer.is_success() {
            return Err(refused(&answer, |word| match word {
                "NOT_FOUND" => format!("there is no service account {email}"),
                _ => format!(
                    "the login may not act as the service account {email}; grant it roles/iam.workloadIdentityUser \
                     or roles/iam.serviceAccountTokenCreator there, and enable the IAM Service Account Credentials API"
                ),
            }));
        }
        let Generated { access_token, expire_time } = answer.json()?;
        let expire_time = expire_time.parse().map_err(|_| {
            answer.error(ErrorKind::Malformed, format!("the answer about acting as {email} has no time of expiry"))
        })?;
        token::lease(&answer, access_token, Some(left(&answer, expire_time).min(self.lifetime)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    access_token: SecretBytes,
    expire_time: String,
}

/// How far `end` is away, by the server's own clock where it tells.
fn left(answer: &Answer, end: Timestamp) -> Duration {
    let told = answer.header("date").and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let now = told.or_else(|| Timestamp::try_from(SystemTime::now()).ok());
    now.and_then(|now| Duration::try_from(end.duration_since(now)).ok()).unwrap_or_default()
}

/// Nothing that could end the path of a URL.
pub(super) fn is_account(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'@');
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::Impersonation;

    const EMAIL: &str = "reader@p-1.iam.gserviceaccount.com";

    fn url(account: &str) -> String {
        format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken")
    }

    #[test]
    fn an_account_is_named_by_its_address_or_a_url_of_googles() {
        let named = Impersonation::new(EMAIL).unwrap();
        assert_eq!(Impersonation::from_url(&url(EMAIL)), Ok(named));
        assert!(Impersonation::from_url(&url("104927401730817301")).is_ok());
    }

    #[test]
    fn no_other_address_is_shown_a_token() {
        for wrong in [
            "",
            EMAIL,
            &url(EMAIL).replace("iamcredentials.googleapis.com", "iamcredentials.evil.example"),
            &url(EMAIL).replace("https", "http"),
            &url("a/../b"),
            &url(""),
        ] {
            let error = Impersonation::from_url(wrong).expect_err(wrong);
            assert!(error.starts_with("\"service_account_impersonation_url\" is not https://iamcred"), "{error}");
        }
        for wrong in ["", "a/b", "a@b?c", "..", "a b@c"] {
            assert!(Impersonation::new(wrong).expect_err(wrong).contains("is no address of a service account"));
        }
    }
}
