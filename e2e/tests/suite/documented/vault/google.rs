//! Logins as a Google service account.
//!
//! OpenBao comes without the auth method `gcp`. What a login of roles of type `iam` shows there is a JWT that the service
//! account has signed, so the method `jwt`, which knows its key, stands in: it checks signature, audience and subject.
//! Where Google itself would sign, a ServiceAccount of the cluster does.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, ControlPlane, OperatorSpec, Relay};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::{Stage, reads};
use crate::documented::canned::always;
use crate::documented::reviewer;
use crate::support::credential;

/// The service account that the page names, and the audience that a login to its role has.
const ACCOUNT: &str = "reader@example.iam.gserviceaccount.com";
const AUDIENCE: &str = "vault/app";

/// Google's services, as the operator sees them.
pub(super) struct Google {
    /// Tells the operator who it is.
    metadata: Relay,
    /// Everything else.
    services: Relay,
}

impl Google {
    pub(super) async fn start() -> Result<Self> {
        let token = reviewer::token(ControlPlane::shared().await?, &[AUDIENCE]).await?;
        let services = json!({
            "access_token": "of the cluster", "expires_in": 3600,
            "accessToken": "of the service account", "expireTime": "2999-12-31T00:00:00Z",
            "signedJwt": token,
        });
        // Both live as long as the tests.
        let (token, services) = (token.leak(), services.to_string().leak());
        Ok(Self { metadata: always(200, token).await?, services: always(200, services).await? })
    }

    /// Leads an operator to them.
    pub(super) fn surround(&self, operator: OperatorSpec) -> OperatorSpec {
        let services = ["IAMCREDENTIALS", "OAUTH2", "SECURETOKEN", "STS"];
        let operator = operator.variable("KEYFERRY_GCP_METADATA_ENDPOINT", self.metadata.url());
        services.into_iter().fold(operator, |operator, service| {
            operator.variable(&format!("KEYFERRY_GCP_{service}_ENDPOINT"), self.services.url())
        })
    }

    /// Tries every section about Google Cloud.
    pub(super) async fn tries_all(&self, stage: &mut Stage, bao: &Bao) -> Result<()> {
        bao.enable_auth("gcp", "jwt").await?;
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let file = json!({
            "type": "service_account", "client_email": ACCOUNT, "private_key": key.serialize_pem(),
        });
        stage.tenant.apply(&credential("google-key", &[("key.json", &file.to_string())])).await?;
        trust(bao, &key.public_key_pem(), ACCOUNT).await?;
        reads(stage, "Google Cloud: the key of a service account", bao.url()).await?;

        let cluster = ControlPlane::shared().await?;
        trust(bao, cluster.token_verifier_pem(), reviewer::SUBJECT).await?;
        reads(stage, "Google Cloud: a ServiceAccount of GKE", bao.url()).await?;
        reads(stage, "Google Cloud: the operator's node or pod", bao.url()).await
    }
}

/// Lets in whoever this key says is `subject`.
async fn trust(bao: &Bao, key: &str, subject: &str) -> Result<()> {
    bao.write("auth/gcp/config", &json!({ "jwt_validation_pubkeys": [key] })).await?;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_subject": subject, "bound_audiences": [AUDIENCE],
        "token_policies": ["app"],
    });
    bao.write("auth/gcp/role/app", &role).await?;
    Ok(())
}
