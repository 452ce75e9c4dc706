//! How to come by an access token.
//!
//! ```text
//! service account key ──────────────── signed JWT ──► oauth2 ─────────────────────┐
//! workload identity ──── ServiceAccount token ──► securetoken ──► iamcredentials? ─┤
//! federation ─ ServiceAccount token, file, URL or AWS request ─► sts ─► iamcred.? ─┼─► access token
//! ambient ─── credentials file, one of the above or a user's refresh token ────────┤
//!         └── metadata server ─────────────────────────────────────────────────────┘
//! ```

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use keyferry_clouds::google::{AccessToken, ClusterIdentity, ServiceAccountKey, WorkloadIdentity};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes, TokenSource};
use keyferry_rest::{Lease, Login};
use serde::Deserialize;

use self::external_account::ExternalAccount;
use crate::services::{Services, invalid};

mod ambient;
mod authorized_user;
mod aws;
mod cred_config;
mod external_account;
mod subject;

/// `auth`: how a store logs in.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// No method at all: the application default credentials of the operator itself.
    #[default]
    Ambient,
    /// `workloadIdentityFederation`.
    Federation(Federation),
    /// `secretRef.secretAccessKeySecretRef`: the JSON key file of a service account.
    ServiceAccountKey(SecretBytes),
    /// `workloadIdentity`: the workload identity of GKE.
    WorkloadIdentity(WorkloadIdentity),
}

/// `workloadIdentityFederation`: an identity from elsewhere that a workload identity pool accepts.
#[derive(Clone, Debug)]
pub struct Federation {
    /// `audience`: the pool's provider. Goes before the one that a `credConfig` names.
    pub audience: Option<String>,
    /// `externalTokenEndpoint`: the one URL that a `credConfig` may take tokens from.
    pub external_token_endpoint: Option<String>,
    /// `gcpServiceAccountEmail`: act as this service account. Goes before the annotation of the ServiceAccount and
    /// the one that a `credConfig` names.
    pub service_account_email: Option<String>,
    /// Whose identity it is.
    pub subject: Subject,
}

/// Whose identity a federation begins with.
#[derive(Clone, Debug)]
pub enum Subject {
    /// `awsSecurityCredentials`.
    Aws {
        /// `awsCredentialsSecretRef`.
        credentials: AwsCredentials,
        /// `region`.
        region: String,
    },
    /// `credConfig`: the JSON of an `external_account`, as `gcloud iam workload-identity-pools create-cred-config`
    /// writes it.
    CredConfig(Vec<u8>),
    /// `serviceAccountRef`: a Kubernetes ServiceAccount of any cluster.
    ServiceAccount {
        /// Audiences of its token; none means the API server's own.
        audiences: Vec<String>,
        /// Mints its tokens.
        tokens: Arc<dyn TokenSource>,
    },
}

/// Keys of an AWS user or role.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// The key `aws_access_key_id` of the Secret.
    pub access_key_id: SecretBytes,
    /// The key `aws_secret_access_key` of the Secret.
    pub secret_access_key: SecretBytes,
    /// The key `aws_session_token` of the Secret, for temporary credentials.
    pub session_token: Option<SecretBytes>,
}

/// Logs a store in.
pub(crate) struct GoogleLogin {
    method: Method,
    services: Services,
}

enum Method {
    Ambient,
    Cluster(ClusterIdentity),
    ExternalAccount(ExternalAccount),
    ServiceAccountKey(ServiceAccountKey),
}

impl GoogleLogin {
    /// Checks everything that can be checked without asking anybody.
    pub(crate) fn new(auth: Auth, services: Services) -> Result<Self> {
        let wrong = |text: String| invalid("Configure", text);
        let method = match auth {
            Auth::Ambient => Method::Ambient,
            Auth::Federation(federation) => Method::ExternalAccount(
                ExternalAccount::of_store(federation)
                    .map_err(|text| wrong(format!("auth.workloadIdentityFederation.{text}")))?,
            ),
            Auth::ServiceAccountKey(json) => {
                let key = "the service account key of auth.secretRef.secretAccessKeySecretRef";
                let parsed = ServiceAccountKey::parse(json.expose()).map_err(|text| other_file(&json).unwrap_or(text));
                Method::ServiceAccountKey(parsed.map_err(|text| wrong(format!("{key}: {text}")))?)
            }
            Auth::WorkloadIdentity(identity) => Method::Cluster(
                ClusterIdentity::new(identity).map_err(|text| wrong(format!("auth.workloadIdentity.{text}")))?,
            ),
        };
        Ok(Self { method, services })
    }
}

#[async_trait]
impl Login for GoogleLogin {
    type Token = AccessToken;

    async fn login(&self, _current: Option<&AccessToken>) -> Result<Lease<AccessToken>> {
        let lease = match &self.method {
            Method::Ambient => ambient::login(&self.services).await,
            Method::Cluster(identity) => identity.login(&self.services.google).await,
            Method::ExternalAccount(account) => account.login(&self.services).await,
            Method::ServiceAccountKey(key) => key.login(&self.services.google).await,
        };
        lease.map_err(never_not_found)
    }
}

/// What to do with another file of credentials than a key.
fn other_file(json: &SecretBytes) -> Option<String> {
    let told = match Kind::of(json.expose())?.as_str() {
        "authorized_user" => "it is the login of a person; create a key of a service account",
        "external_account" => {
            "it is a credential configuration; put it into a ConfigMap, and name that in \
             auth.workloadIdentityFederation.credConfig"
        }
        _ => return None,
    };
    Some(told.to_owned())
}

/// The member that all files of credentials have.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

impl Kind {
    fn of(json: &[u8]) -> Option<String> {
        serde_json::from_slice(json).ok().map(|Self { kind }| kind)
    }
}

/// Something that a login needs is not there. To the readers of secrets this must not look as if the secret were gone.
fn never_not_found(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => Error { kind: ErrorKind::Unauthenticated, ..error },
        _ => error,
    }
}

impl fmt::Debug for GoogleLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.method {
            Method::Ambient => "GoogleLogin(Ambient)",
            Method::Cluster(_) => "GoogleLogin(WorkloadIdentity)",
            Method::ExternalAccount(_) => "GoogleLogin(Federation)",
            Method::ServiceAccountKey(_) => "GoogleLogin(ServiceAccountKey)",
        })
    }
}

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use keyferry_core::{Error, ErrorKind};

    use super::never_not_found;
    use crate::PROVIDER;

    #[test]
    fn a_login_that_lacks_something_does_not_look_like_a_missing_secret() {
        let error = never_not_found(Error::new(ErrorKind::NotFound, PROVIDER, "TokenRequest", "no ServiceAccount a"));
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unauthenticated, "no ServiceAccount a"));
        let error = never_not_found(Error::new(ErrorKind::Throttled, PROVIDER, "TokenRequest", "slow down"));
        assert_eq!(error.kind, ErrorKind::Throttled);
    }
}
