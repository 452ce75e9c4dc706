//! How to come by an access token.
//!
//! ```text
//! client secret ────────────────────────────────┐
//! client certificate ─────────── signed JWT ────┤
//! ServiceAccount ── token of the API server ────┼─► Entra ID ───────┬─► access token for the vault
//! operator's pod ── token in a file ────────────┘                   │
//! operator's node or pod ───────────────────────── metadata service ┘
//! ```

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use keyferry_clouds::azure::{METADATA, ManagedIdentity, Which};
use keyferry_core::{Result, SecretBytes, TokenSource};
use keyferry_rest::{BaseUrl, Client, Lease, Login};

use self::{certificate::ClientCertificate, entra::Application, entra::Proof};
use crate::{
    Environment,
    cloud::Places,
    config::{invalid, present, present_text},
};

mod certificate;
mod entra;
mod workload_identity;

/// `authType` and what belongs to it: how a store logs in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `ManagedIdentity`: the identity of the operator's node or pod.
    ManagedIdentity {
        /// `identityId`: the client id of one of several identities.
        identity_id: Option<String>,
    },
    /// `ServicePrincipal`: an application of Entra ID that has exactly one of a secret and a certificate.
    ServicePrincipal {
        /// `authSecretRef.clientCertificate`: certificate and RSA key in PEM, without a password.
        client_certificate: Option<SecretBytes>,
        /// `authSecretRef.clientId`.
        client_id: Option<SecretBytes>,
        /// `authSecretRef.clientSecret`.
        client_secret: Option<SecretBytes>,
    },
    /// `WorkloadIdentity`: an application or managed identity that trusts a ServiceAccount.
    WorkloadIdentity(WorkloadIdentity),
}

/// `authType: WorkloadIdentity`. Without a ServiceAccount, it is the identity that Azure's webhook gave the operator's
/// pod.
#[derive(Clone, Debug, Default)]
pub struct WorkloadIdentity {
    /// `authSecretRef.clientId`.
    pub client_id: Option<SecretBytes>,
    /// `serviceAccountRef`.
    pub service_account: Option<ServiceAccount>,
    /// `authSecretRef.tenantId`.
    pub tenant_id: Option<SecretBytes>,
}

/// `serviceAccountRef`: a Kubernetes ServiceAccount.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// `serviceAccountRef.audiences`: audiences of its token besides the one that Entra ID asks for.
    pub audiences: Vec<String>,
    /// Mints its tokens, and knows its annotations.
    pub tokens: Arc<dyn TokenSource>,
}

/// What the logins of a store need besides [`Auth`].
pub(crate) struct Surroundings<'a> {
    /// Whom tokens are for.
    pub(crate) audience: String,
    pub(crate) environment: &'a Environment,
    pub(crate) http: Client,
    pub(crate) places: &'a Places,
    pub(crate) tenant_id: Option<String>,
    pub(crate) use_azure_sdk: bool,
}

/// Logs a store in.
pub(crate) struct AzureLogin {
    audience: String,
    http: Client,
    method: Method,
}

enum Method {
    Application(Application),
    ManagedIdentity(ManagedIdentity),
}

/// As what requests to Entra ID are told.
const OPERATION: &str = "Login";

impl AzureLogin {
    /// Checks everything that can be checked without asking anybody.
    pub(crate) fn new(auth: Auth, surroundings: Surroundings<'_>) -> Result<Self> {
        let method = match auth {
            Auth::ManagedIdentity { identity_id } => {
                let which = present(identity_id.as_ref()).map(Which::ClientId);
                Method::ManagedIdentity(managed_identity(&surroundings, which)?)
            }
            Auth::ServicePrincipal { client_certificate, client_id, client_secret } => {
                let client_id = present_text(client_id.as_ref(), "authSecretRef.clientId")?;
                let client_id = client_id.ok_or_else(|| missing("authSecretRef.clientId", "the application's id"))?;
                let tenant = present(surroundings.tenant_id.as_ref());
                let tenant = tenant.ok_or_else(|| missing("tenantId", "the tenant that the application is in"))?;
                let proof = service_principal(client_secret, client_certificate)?;
                Method::Application(Application::new(&surroundings.places.authority, &tenant, client_id, proof)?)
            }
            Auth::WorkloadIdentity(identity) => {
                let (tenant, client_id, proof) = workload_identity::resolve(identity, &surroundings)?;
                Method::Application(Application::new(&surroundings.places.authority, &tenant, client_id, proof)?)
            }
        };
        Ok(Self { audience: surroundings.audience, http: surroundings.http, method })
    }

    /// Whom tokens are for.
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// The tenant as the store names it, where it does.
    pub(crate) fn tenant(&self) -> Option<&str> {
        match &self.method {
            Method::Application(application) => Some(application.tenant()),
            Method::ManagedIdentity(_) => None,
        }
    }
}

#[async_trait]
impl Login for AzureLogin {
    type Token = SecretBytes;

    async fn login(&self, _current: Option<&SecretBytes>) -> Result<Lease<SecretBytes>> {
        match &self.method {
            Method::Application(application) => application.login(&self.http, &self.audience).await,
            Method::ManagedIdentity(identity) => identity.login().await,
        }
    }
}

impl fmt::Debug for AzureLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.method {
            Method::Application(application) => match application.proof() {
                Proof::Certificate(_) => "AzureLogin(ClientCertificate)",
                Proof::File(_) => "AzureLogin(WorkloadIdentity, of the operator)",
                Proof::Secret(_) => "AzureLogin(ClientSecret)",
                Proof::ServiceAccount(_) => "AzureLogin(WorkloadIdentity)",
            },
            Method::ManagedIdentity(_) => "AzureLogin(ManagedIdentity)",
        })
    }
}

fn managed_identity(surroundings: &Surroundings<'_>, which: Option<Which>) -> Result<ManagedIdentity> {
    let metadata = surroundings.environment.metadata.clone().map_or_else(|| BaseUrl::parse(METADATA), Ok);
    let metadata =
        metadata.map_err(|error| invalid(OPERATION, format!("the address of Azure's metadata service {error}")))?;
    ManagedIdentity::new(surroundings.http.clone(), &metadata, surroundings.audience.clone(), which, "identityId")
}

fn service_principal(secret: Option<SecretBytes>, certificate: Option<SecretBytes>) -> Result<Proof> {
    let present = |value: Option<SecretBytes>| value.map(|value| value.trimmed()).filter(|value| !value.is_empty());
    match (present(secret), present(certificate)) {
        (Some(secret), None) if secret.expose_str().is_none() => {
            Err(invalid("Configure", "authSecretRef.clientSecret: the value in the Secret is not text"))
        }
        (Some(secret), None) => Ok(Proof::Secret(secret)),
        (None, Some(pem)) => ClientCertificate::parse(&pem)
            .map(Proof::Certificate)
            .map_err(|text| invalid("Configure", format!("authSecretRef.clientCertificate: {text}"))),
        (None, None) => {
            let text = "authSecretRef: clientSecret and clientCertificate are both missing; name one of them";
            Err(invalid("Configure", text))
        }
        (Some(_), Some(_)) => {
            let text = "authSecretRef: clientSecret and clientCertificate are both given; name only one of them";
            Err(invalid("Configure", text))
        }
    }
}

fn missing(field: &str, what: &str) -> keyferry_core::Error {
    invalid("Configure", format!("{field}: is missing; name {what}"))
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::{Proof, service_principal};

    #[test]
    fn a_service_principal_has_exactly_one_proof() {
        let some = |text: &str| Some(SecretBytes::from(text));
        let told = |secret, certificate| service_principal(secret, certificate).err().map(|error| error.message);
        assert!(
            matches!(service_principal(some("hunter2\n"), some(" ")), Ok(Proof::Secret(secret)) if secret == SecretBytes::from("hunter2"))
        );
        assert!(told(None, some("")).unwrap().ends_with("are both missing; name one of them"));
        assert!(told(some("a"), some("b")).unwrap().ends_with("are both given; name only one of them"));
        let certificate = told(None, some("hunter2")).unwrap();
        assert!(certificate.starts_with("authSecretRef.clientCertificate: holds no certificate"), "{certificate}");
        let binary = told(Some(SecretBytes::new([0xff, 0xfe])), None).unwrap();
        assert!(binary.starts_with("authSecretRef.clientSecret: "), "{binary}");
    }
}
