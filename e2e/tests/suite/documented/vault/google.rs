//! Logins as a Google service account, which OpenBao's plugin has a stand-in for Google vouch for.
//!
//! The plugin checks signature, audience, subject and time of what it is shown, with the keys that the stand-in publishes,
//! and asks it about the account and the node.

use anyhow::{Context, Result};
use jiff::Timestamp;
use keyferry_e2e::harness::{Bao, OperatorSpec, Relay};
use keyferry_fakes::keys::Issuer;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::{Shell, Stage, reads, run};
use crate::documented::canned::always;
use crate::support::credential;

/// The service account that the page names, and its key.
const ACCOUNT: &str = "reader@example.iam.gserviceaccount.com";
const UNIQUE_ID: &str = "100000000000000000001";
const KEY: &str = "key-1";

/// The end of the audience that a login to the page's role has.
const AUDIENCE: &str = "vault/app";

/// Google's services, as the operator and OpenBao see them.
pub(super) struct Google {
    key: Issuer,
    /// Tells the operator who it is.
    metadata: Relay,
    /// Everything else.
    services: Relay,
}

impl Google {
    pub(super) async fn start() -> Result<Self> {
        let key = Issuer::default();
        let of_account = signed(&key, &json!({ "sub": ACCOUNT, "aud": AUDIENCE }), 600);
        let of_node = signed(
            &key,
            &json!({ "sub": UNIQUE_ID, "aud": format!("https://vault.example/{AUDIENCE}"), "google": node() }),
            3600,
        );
        let services = services(&key, &of_account)?;
        // Both live as long as the tests.
        let (of_node, services) = (of_node.leak(), services.to_string().leak());
        Ok(Self { key, metadata: always(200, of_node).await?, services: always(200, services).await? })
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
        self.lead(bao).await?;
        let heading = "Google Cloud: the key of a service account";
        run(stage, heading, Shell::at(bao)?).await?;
        let endpoints =
            json!({ "api": self.services.url(), "compute": self.services.url(), "iam": self.services.url() });
        bao.write("auth/gcp/config", &json!({ "custom_endpoint": endpoints })).await?;
        let file = json!({
            "type": "service_account", "client_email": ACCOUNT,
            "private_key": self.key.private_pem(), "private_key_id": KEY,
        });
        stage.tenant.apply(&credential("google-key", &[("key.json", &file.to_string())])).await?;
        reads(stage, heading, bao.url()).await?;
        reads(stage, "Google Cloud: a ServiceAccount of GKE", bao.url()).await?;

        let heading = "Google Cloud: the operator's node or pod";
        bao.delete("auth/gcp/role/app").await?;
        run(stage, heading, Shell::at(bao)?).await?;
        reads(stage, heading, bao.url()).await
    }

    /// OpenBao runs on a machine of Google's, whose identity it asks with.
    async fn lead(&self, bao: &Bao) -> Result<()> {
        let host = self.services.url().strip_prefix("http://").context("it speaks HTTP")?;
        bao.plug_in("gcp", &[&format!("GCE_METADATA_HOST={host}")]).await
    }
}

/// All that Google's services answer, in one: each reader finds in it what it looks for.
fn services(key: &Issuer, of_account: &str) -> Result<Value> {
    let pair = KeyPair::from_pem(key.private_pem()).context("failed to read the key")?;
    let certificate = CertificateParams::default().self_signed(&pair).context("failed to sign the certificate")?;
    Ok(json!({
        // Tokens, and what the account has signed.
        "access_token": "of the cluster", "expires_in": 3600, "token_type": "Bearer",
        "accessToken": "of the service account", "expireTime": "2999-12-31T00:00:00Z",
        "signedJwt": of_account,
        // The keys that Google publishes.
        KEY: certificate.pem(),
        // The account and the node.
        "email": ACCOUNT, "uniqueId": UNIQUE_ID, "projectId": "example",
        "id": "1", "name": "node-1", "zone": format!("https://www.googleapis.com/compute/v1/projects/example/zones/{ZONE}"),
        "status": "RUNNING", "creationTimestamp": "2026-01-01T00:00:00Z",
    }))
}

const ZONE: &str = "europe-west1-b";

/// What an identity token says about the node.
fn node() -> Value {
    json!({ "compute_engine": {
        "project_id": "example", "project_number": 1, "zone": ZONE,
        "instance_id": "1", "instance_name": "node-1",
        "instance_creation_timestamp": 1_767_225_600,
    } })
}

/// A JWT with these claims that holds from now on for so many seconds.
fn signed(key: &Issuer, claims: &Value, seconds: i64) -> String {
    let (mut claims, now) = (claims.clone(), Timestamp::now().as_second());
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + seconds);
    key.sign_with(&json!({ "alg": "RS256", "kid": KEY, "typ": "JWT" }), &claims)
}
