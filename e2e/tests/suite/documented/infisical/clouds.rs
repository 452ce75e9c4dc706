//! Logins as somebody whom a cloud vouches for. One key signs whatever a cloud or its user would.

use anyhow::Result;
use keyferry_e2e::harness::run_dir::RunDir;
use keyferry_e2e::harness::{OperatorSpec, Relay};
use keyferry_fakes::infisical::{InfisicalServer, Method};
use keyferry_fakes::keys::Issuer;
use serde_json::json;

use super::{Stage, grant, reads, reads_anywhere};
use crate::documented::canned::always;

/// The machine identity that the page names.
const IDENTITY: &str = "3b1f0d5e-8f0a-4b53-9d5c-2f6f1c1f7a90";

const AWS_KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const AZURE_TENANT: &str = "5f0e2f8c-7c55-44a1-8f5e-0c6a1d2b3e44";
const GOOGLE_ACCOUNT: &str = "reader@example.iam.gserviceaccount.com";

/// When the tokens end, in seconds since 1970: later than any test.
const END: u64 = 32_503_680_000;

/// The clouds, as the operator sees them.
pub(super) struct Clouds {
    key: Issuer,
    azure: Relay,
    google_metadata: Relay,
    google_iam: Relay,
}

impl Clouds {
    pub(super) async fn start() -> Result<Self> {
        let key = Issuer::default();
        let azure = json!({
            "iss": format!("https://sts.windows.net/{AZURE_TENANT}/"), "aud": "https://management.azure.com", "exp": END,
        });
        let machine =
            json!({ "iss": "https://accounts.google.com", "aud": IDENTITY, "email": GOOGLE_ACCOUNT, "exp": END });
        let account = json!({ "sub": GOOGLE_ACCOUNT, "aud": IDENTITY, "exp": END });
        let azure = json!({ "access_token": key.sign(&azure) });
        let account = json!({ "keyId": "k", "signedJwt": key.sign(&account) });
        // All live as long as the tests.
        Ok(Self {
            azure: always(200, azure.to_string().leak()).await?,
            google_metadata: always(200, key.sign(&machine).leak()).await?,
            google_iam: always(200, account.to_string().leak()).await?,
            key,
        })
    }

    /// Leads an operator to them.
    pub(super) fn surround(&self, operator: OperatorSpec) -> OperatorSpec {
        operator
            .variable("AWS_ACCESS_KEY_ID", AWS_KEY.0)
            .variable("AWS_SECRET_ACCESS_KEY", AWS_KEY.1)
            .variable("AWS_REGION", "eu-west-1")
            .variable("AZURE_POD_IDENTITY_AUTHORITY_HOST", self.azure.url())
            .variable("GCE_METADATA_HOST", self.google_metadata.url().trim_start_matches("http://"))
            .variable("KEYFERRY_GCP_IAMCREDENTIALS_ENDPOINT", self.google_iam.url())
    }

    /// Tries every section about a cloud.
    pub(super) async fn tries_all(&self, stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
        let key = self.key.public_pem().to_owned();
        let (access_key_id, secret_access_key) = (AWS_KEY.0.to_owned(), AWS_KEY.1.to_owned());
        grant(stage, "AWS Auth", server, Method::Aws { access_key_id, secret_access_key })?;
        reads(stage, "AWS Auth", server, &[]).await?;

        let resource = stage.value("Azure Auth", "/stringData/resource")?;
        let method = Method::Azure { tenant_id: AZURE_TENANT.to_owned(), resource, key: key.clone() };
        grant(stage, "Azure Auth", server, method)?;
        reads_anywhere(stage, "Azure Auth", server, ["identity-id", "resource"], &[]).await?;

        let heading = "GCP Auth of type GCE";
        let service_account = GOOGLE_ACCOUNT.to_owned();
        let method = Method::GcpIdToken { service_account: service_account.clone(), key: key.clone() };
        grant(stage, heading, server, method)?;
        reads(stage, heading, server, &[]).await?;

        let heading = "GCP Auth of type IAM";
        grant(stage, heading, server, Method::GcpIam { service_account, key })?;
        let file = json!({
            "type": "service_account", "client_email": GOOGLE_ACCOUNT, "private_key": self.key.private_pem(),
        });
        let dir = RunDir::create("google")?;
        let path = dir.write("key.json", &file.to_string())?.display().to_string();
        let documented = stage.value(heading, "/stringData/key-path")?;
        reads_anywhere(stage, heading, server, ["identity-id", "key-path"], &[(&documented, &path)]).await?;
        self.oracle(stage, server).await
    }

    async fn oracle(&self, stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
        let heading = "OCI Auth";
        let method = Method::Oci {
            tenancy: stage.value(heading, "/stringData/tenancy-ocid")?,
            user: stage.value(heading, "/stringData/user-ocid")?,
            fingerprint: stage.value(heading, "/stringData/fingerprint")?,
            key: self.key.public_pem().to_owned(),
        };
        grant(stage, heading, server, method)?;
        let documented = stage.value(heading, "/stringData/private-key")?;
        let indented = |pem: &str| pem.trim_end().replace('\n', "\n    ");
        let (documented, key) = (indented(&documented), indented(self.key.private_pem()));
        reads(stage, heading, server, &[(&documented, &key)]).await
    }
}
