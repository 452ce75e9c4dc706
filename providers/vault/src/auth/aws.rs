//! `iam`: an identity of AWS. Vault has the signed question sent, and so learns who signed it.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_clouds::aws::{AwsKeys, Endpoint, Identity, Region, Role, SignedQuestion, Sts};
use keyferry_core::{Result, SecretBytes, TokenSource};
use keyferry_rest::BaseUrl;
use serde_json::json;

use crate::{PROVIDER, client::VaultClient};

/// Somebody in AWS.
#[derive(Clone, Debug)]
pub struct AwsLogin {
    /// `vaultRole`.
    pub vault_role: String,
    /// Who it is.
    pub identity: AwsIdentity,
    /// `region`, whose STS vouches. Vault must be told to ask there, unless it is us-east-1.
    pub region: String,
    /// `role` and `externalID`: the role in AWS that is assumed first.
    pub role: Option<Role>,
    /// `vaultAwsIamServerID`: proves to Vault that the login is meant for it.
    pub server_id: Option<String>,
    /// Where STS is asked for sessions of roles, if not at AWS's own address.
    pub sts_endpoint: Option<BaseUrl>,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub enum AwsIdentity {
    /// The operator's pod, by IRSA, Pod Identity or its node.
    Ambient,
    /// `secretRef`: who has these keys.
    Keys {
        /// `accessKeyIDSecretRef`.
        access_key_id: SecretBytes,
        /// `secretAccessKeySecretRef`.
        secret_access_key: SecretBytes,
        /// `sessionTokenSecretRef`.
        session_token: Option<SecretBytes>,
    },
    /// `jwt`: the role that this ServiceAccount is annotated with.
    ServiceAccount(Arc<dyn TokenSource>),
}

const PURPOSE: &str = "auth.iam";
const CONTENT_TYPE: (&str, &str) = ("content-type", SignedQuestion::CONTENT_TYPE);
const SERVER_ID: &str = "x-vault-aws-iam-server-id";

impl AwsLogin {
    pub(super) async fn members(
        &self,
        client: &VaultClient,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, SecretBytes)>> {
        let server_id = self.server_id.as_deref().map(|id| (SERVER_ID, id));
        let headers: Vec<_> = [CONTENT_TYPE].into_iter().chain(server_id).collect();
        let signed = self.identity(client)?.signed_question(Endpoint::Global, &headers, now.into()).await?;
        let lists = signed.headers.iter().map(|(name, value)| (name, [value.expose_str().unwrap_or_default()]));
        let lists = json!(lists.collect::<BTreeMap<_, _>>()).to_string();
        Ok(vec![
            ("role", self.vault_role.as_str().into()),
            ("iam_http_request_method", SignedQuestion::METHOD.into()),
            ("iam_request_url", STANDARD.encode(signed.url).into()),
            ("iam_request_body", STANDARD.encode(SignedQuestion::BODY).into()),
            ("iam_request_headers", STANDARD.encode(lists).into()),
        ])
    }

    fn identity(&self, client: &VaultClient) -> Result<Identity> {
        let sts = || Sts { endpoint: self.sts_endpoint.clone(), observer: client.observer() };
        let region = self.region.clone();
        let identity = match &self.identity {
            AwsIdentity::Ambient => Identity::ambient(Region::Named(region), PROVIDER, PURPOSE),
            AwsIdentity::Keys { access_key_id, secret_access_key, session_token } => {
                let keys = AwsKeys {
                    access_key_id: access_key_id.expose_str().unwrap_or_default().to_owned(),
                    secret_access_key: secret_access_key.clone(),
                    session_token: session_token.clone(),
                    region,
                };
                Identity::of_keys(&keys, PROVIDER, "auth.iam.secretRef")
            }
            AwsIdentity::ServiceAccount(tokens) => {
                Identity::of_service_account(Arc::clone(tokens), region, sts(), PROVIDER, "auth.iam.jwt")
            }
        }?;
        Ok(match &self.role {
            None => identity,
            Some(role) => identity.assuming(role.clone(), sts()),
        })
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use base64::{Engine, engine::general_purpose::STANDARD};
    use keyferry_core::{SecretBytes, Unobserved};
    use keyferry_rest::Tls;
    use serde_json::Value;

    use super::{AwsIdentity, AwsLogin};
    use crate::{VaultConfig, client::VaultClient};

    /// The signature was computed with another implementation (Python's hmac) from the published algorithm.
    #[tokio::test]
    async fn the_question_is_signed_as_aws_specifies() {
        let config = VaultConfig { server: "http://vault.example".into(), ..VaultConfig::default() };
        let client = VaultClient::new(&config, &Tls::default(), Arc::new(Unobserved)).expect("a client");
        let login = AwsLogin {
            vault_role: "web".into(),
            identity: AwsIdentity::Keys {
                access_key_id: "AKIDEXAMPLE\n".into(),
                secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n".into(),
                session_token: Some("session/token==".into()),
            },
            region: "us-east-1".into(),
            role: None,
            server_id: Some("vault.example".into()),
            sts_endpoint: None,
        };
        let now = "2015-08-30T12:36:00Z".parse().expect("a time");
        let members: BTreeMap<_, _> = login.members(&client, now).await.expect("a proof").into_iter().collect();
        let plain = |name: &str| members.get(name).and_then(SecretBytes::expose_str).expect(name);
        let decoded = |name: &str| STANDARD.decode(plain(name)).expect("base64");
        assert_eq!((plain("role"), plain("iam_http_request_method")), ("web", "POST"));
        assert_eq!(decoded("iam_request_url"), b"https://sts.amazonaws.com/");
        assert_eq!(decoded("iam_request_body"), b"Action=GetCallerIdentity&Version=2011-06-15");
        let headers: Value = serde_json::from_slice(&decoded("iam_request_headers")).expect("JSON");
        assert_eq!(headers["X-Vault-Aws-Iam-Server-Id"][0], "vault.example");
        assert_eq!(headers["X-Amz-Security-Token"][0], "session/token==");
        assert_eq!(headers["Content-Type"][0], "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(
            headers["Authorization"][0],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-vault-aws-iam-server-id, \
             Signature=d822db1b9d3c156bf8dde481b365a313c26ca2a7ba9d144233c1b700710a9e0e"
        );
    }
}
