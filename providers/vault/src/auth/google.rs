//! `gcp`: a service account of Google's, by a JWT that it has signed or by the identity token of the operator's node.

use jiff::Timestamp;
use keyferry_clouds::google::{
    ClusterIdentity, Endpoints, Google, SERVICE_ACCOUNT_ANNOTATION, ServiceAccountKey, WorkloadIdentity,
};
use keyferry_core::{Result, SecretBytes};
use serde_json::{Value, json};

use crate::client::{VaultClient, operation};

/// A service account of Google's.
#[derive(Clone, Debug)]
pub struct GoogleLogin {
    /// `role`.
    pub role: String,
    /// Who it is.
    pub identity: GoogleIdentity,
    /// Where Google's services are.
    pub endpoints: Endpoints,
}

/// Who logs in, and with which type of role in Vault.
#[derive(Clone, Debug)]
pub enum GoogleIdentity {
    /// The service account of the operator's node or pod, for roles of type `gce`.
    Ambient,
    /// `secretRef`: the JSON key of a service account, for roles of type `iam`.
    Key(SecretBytes),
    /// `workloadIdentity`: the service account that a ServiceAccount of GKE acts as, for roles of type `iam`.
    WorkloadIdentity(WorkloadIdentity),
}

const PURPOSE: &str = "auth.gcp";
/// Seconds that a JWT made here holds. Vault accepts at most a quarter of an hour, unless the role says otherwise.
const LIFETIME: i64 = 600;

impl GoogleLogin {
    pub(super) async fn members(
        &self,
        client: &VaultClient,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, SecretBytes)>> {
        let google = || -> Result<Google> { Ok(Google { http: client.clouds()?, endpoints: self.endpoints.clone() }) };
        let jwt = match &self.identity {
            GoogleIdentity::Ambient => {
                let audience = format!("{}/vault/{}", client.server(), self.role);
                google()?.identity_token(&audience, PURPOSE).await
            }
            GoogleIdentity::Key(json) => {
                let wrong =
                    |text: String| client.invalid(operation::LOGIN, format!("the key of auth.gcp.secretRef: {text}"));
                let key = ServiceAccountKey::parse(json.expose()).map_err(wrong)?;
                key.sign(&self.claims(key.email(), now)).map_err(wrong)
            }
            GoogleIdentity::WorkloadIdentity(identity) => {
                let wrong =
                    |text: String| client.invalid(operation::LOGIN, format!("auth.gcp.workloadIdentity.{text}"));
                let identity = ClusterIdentity::new(identity.clone()).map_err(wrong)?;
                let email = identity.acts_as().ok_or_else(|| {
                    wrong(format!(
                        "serviceAccountRef: the ServiceAccount has no annotation {SERVICE_ACCOUNT_ANNOTATION}; annotate \
                         it with the Google service account that Vault's role admits"
                    ))
                })?;
                let google = google()?;
                let login = identity.login(&google).await?.token;
                google.sign_jwt(email, &login.bearer, &self.claims(email, now), "auth.gcp.workloadIdentity").await
            }
        }?;
        Ok(vec![("role", self.role.as_str().into()), ("jwt", jwt)])
    }

    fn claims(&self, email: &str, now: Timestamp) -> Value {
        let now = now.as_second();
        json!({"sub": email, "aud": format!("vault/{}", self.role), "iat": now, "exp": now + LIFETIME})
    }
}
