//! Identities of Google Cloud.
//!
//! ```text
//! service account key ── signed JWT ──► oauth2 ────────────────────────────────────┐
//! workload identity ──── ServiceAccount token ──► securetoken ──► iamcredentials? ─┼─► access token ──► signed JWT
//! metadata server ─────────────────────────────────────────────────────────────────┤
//!                                                                                  └─► identity token
//! ```

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, Url, secret};
use serde::Deserialize;
use serde_json::Value;

use crate::Variables;

mod impersonation;
mod metadata;
mod refusal;
mod service_account;
mod token;
mod workload_identity;

pub use impersonation::Impersonation;
pub use refusal::refused;
pub use service_account::{ServiceAccountKey, check_universe};
pub use token::{AccessToken, issued};
pub use workload_identity::{ClusterIdentity, WorkloadIdentity};

/// The annotation by which a Kubernetes ServiceAccount acts as a service account of Google's.
pub const SERVICE_ACCOUNT_ANNOTATION: &str = "iam.gke.io/gcp-service-account";

/// The permission that a token carries; what it may really do is up to IAM.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// OAuth's names for what is exchanged for an access token.
pub mod exchange {
    /// What most of Google's access tokens are exchanged for.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// The exchange itself.
    pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    /// What comes out of it.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
}

/// Google's services as one store reaches them.
#[derive(Clone, Debug)]
pub struct Google {
    /// Sends the requests.
    pub http: Client,
    /// Other addresses than Google's.
    pub endpoints: Endpoints,
}

/// Other addresses than Google's, for private access and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Instead of `https://iamcredentials.googleapis.com`.
    pub iam_credentials: Option<BaseUrl>,
    /// Instead of `http://metadata.google.internal`.
    pub metadata: Option<BaseUrl>,
    /// Instead of `https://oauth2.googleapis.com`.
    pub oauth2: Option<BaseUrl>,
    /// Instead of `https://securetoken.googleapis.com`.
    pub secure_token: Option<BaseUrl>,
    /// Instead of `https://sts.googleapis.com`.
    pub sts: Option<BaseUrl>,
}

impl Endpoints {
    /// Reads the variables `KEYFERRY_GCP_…_ENDPOINT` (for … `IAMCREDENTIALS`, `METADATA`, `OAUTH2`, `SECURETOKEN`,
    /// `STS`) and Google's own `GCE_METADATA_HOST`; an empty one counts as absent. The text of an error names the
    /// variable that is wrong.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let host = Variables::new(&variable).host(METADATA_HOST)?;
        Ok(Self {
            iam_credentials: endpoint(&variable, "IAMCREDENTIALS")?,
            metadata: endpoint(&variable, "METADATA")?.or(host),
            oauth2: endpoint(&variable, "OAUTH2")?,
            secure_token: endpoint(&variable, "SECURETOKEN")?,
            sts: endpoint(&variable, "STS")?,
        })
    }
}

/// What Google's own clients know the metadata server's host and port by.
const METADATA_HOST: &str = "GCE_METADATA_HOST";

/// The address that the variable `KEYFERRY_GCP_…_ENDPOINT` has for `service`; as [`Endpoints::from_variables`].
pub fn endpoint(variable: impl Fn(&str) -> Option<String>, service: &str) -> Result<Option<BaseUrl>, String> {
    Variables::new(variable).address(&format!("KEYFERRY_GCP_{service}_ENDPOINT"))
}

/// The services that logins talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Acts as service accounts.
    IamCredentials,
    /// Knows who a machine is.
    Metadata,
    /// Knows keys of service accounts, and people.
    OAuth2,
    /// Knows clusters.
    SecureToken,
    /// Knows identities from elsewhere.
    Sts,
}

const IDENTITY_TOKEN: &str = "GetGcpIdentityToken";
const SIGN_JWT: &str = "SignJwt";

impl Google {
    /// The address of `path`, which is plain text, at `service`.
    pub fn url(&self, operation: &'static str, service: Service, path: &str) -> Result<Url> {
        let endpoints = &self.endpoints;
        let (other, own) = match service {
            Service::IamCredentials => (&endpoints.iam_credentials, "https://iamcredentials.googleapis.com"),
            Service::Metadata => (&endpoints.metadata, "http://metadata.google.internal"),
            Service::OAuth2 => (&endpoints.oauth2, "https://oauth2.googleapis.com"),
            Service::SecureToken => (&endpoints.secure_token, "https://securetoken.googleapis.com"),
            Service::Sts => (&endpoints.sts, "https://sts.googleapis.com"),
        };
        let base = other.as_ref().map_or_else(|| BaseUrl::parse(own), |base| Ok(base.clone()));
        base.and_then(|base| base.join(path)).map_err(|error| self.http.invalid(operation, error))
    }

    /// A token that tells `audience` who the machine or pod is.
    ///
    /// Fails with [`ErrorKind::Unauthenticated`] where it is nobody.
    pub async fn identity_token(&self, audience: &str, purpose: &str) -> Result<SecretBytes> {
        let path = "computeMetadata/v1/instance/service-accounts/default/identity";
        let answer = self
            .http
            .get(IDENTITY_TOKEN, self.url(IDENTITY_TOKEN, Service::Metadata, path)?)
            .about("the Google service account of the operator")
            .header("Metadata-Flavor", "Google")
            .query("audience", audience)
            .query("format", "full")
            .send()
            .await?;
        if let 400..=404 = answer.status() {
            let text = format!(
                "Google's metadata server gives no identity token for {purpose}; run the operator on nodes or with a \
                 ServiceAccount that have a Google service account"
            );
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let token = answer.bytes()?.trimmed();
        // Whatever else answers at that address is not to be sent on.
        let is_jwt = token.expose().split(|byte| *byte == b'.').count() == 3;
        if is_jwt {
            Ok(token)
        } else {
            let text = format!("what answers as Google's metadata server gives no identity token for {purpose}");
            Err(self.http.invalid(IDENTITY_TOKEN, text))
        }
    }

    /// A JWT with these claims that Google signs for the service account `email`, asked by the bearer of `login`.
    pub async fn sign_jwt(
        &self,
        email: &str,
        login: &SecretBytes,
        claims: &Value,
        purpose: &str,
    ) -> Result<SecretBytes> {
        #[derive(Deserialize)]
        struct Signed {
            #[serde(rename = "signedJwt", deserialize_with = "secret")]
            jwt: SecretBytes,
        }
        let path = format!("v1/projects/-/serviceAccounts/{email}:signJwt");
        let answer = self
            .http
            .post(SIGN_JWT, self.url(SIGN_JWT, Service::IamCredentials, &path)?)
            .about("the Google service account")
            .bearer(login)
            .json(&serde_json::json!({"payload": claims.to_string()}))
            .send()
            .await?;
        if let 400..=404 = answer.status() {
            let text = format!(
                "Google does not sign for the service account of {purpose}; check that it is not disabled nor its key \
                 revoked, that the IAM Service Account Credentials API is on, and that the account has the role Service \
                 Account Token Creator on itself"
            );
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let signed: Signed = answer.json()?;
        Ok(signed.jwt)
    }
}
