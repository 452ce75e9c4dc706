//! Infisical.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaProvider, SecretKeySelector, admission::problem};

/// Infisical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalSpec {
    /// URL of the API.
    #[serde(rename = "hostAPI", default = "default_host")]
    pub host_api: String,
    /// How to log in.
    pub auth: InfisicalAuth,
    /// Which secrets.
    pub secrets_scope: InfisicalScope,
    /// CA certificates (PEM in Base64) that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub ca_bundle: Option<String>,
    /// Where to read CA certificates from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
}

fn default_host() -> String {
    "https://app.infisical.com/api".to_owned()
}

/// Which secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalScope {
    /// The environment.
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub environment_slug: String,
    /// The project.
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub project_slug: String,
    /// The organisation to log in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_slug: Option<String>,
    /// The folder.
    #[serde(default = "default_path")]
    pub secrets_path: String,
    /// Whether folders below count too.
    #[serde(default)]
    pub recursive: bool,
    /// Whether references to other secrets are resolved.
    #[serde(default = "default_expand")]
    pub expand_secret_references: bool,
}

fn default_path() -> String {
    "/".to_owned()
}

fn default_expand() -> bool {
    true
}

/// How to log in. Of several the first counts, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalAuth {
    /// With a client ID and secret.
    #[serde(rename = "universalAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub universal: Option<InfisicalUniversalAuth>,
    /// As an Azure machine.
    #[serde(rename = "azureAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub azure: Option<InfisicalAzureAuth>,
    /// As a Google Cloud machine.
    #[serde(rename = "gcpIdTokenAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub gcp_id_token: Option<InfisicalIdentityAuth>,
    /// As a Google Cloud service account.
    #[serde(rename = "gcpIamAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub gcp_iam: Option<InfisicalGcpIamAuth>,
    /// With a JWT.
    #[serde(rename = "jwtAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub jwt: Option<InfisicalJwtAuth>,
    /// With LDAP.
    #[serde(rename = "ldapAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub ldap: Option<InfisicalLdapAuth>,
    /// As a user of Oracle Cloud.
    #[serde(rename = "ociAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub oci: Option<InfisicalOciAuth>,
    /// With the token of the operator's Pod.
    #[serde(rename = "kubernetesAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<InfisicalKubernetesAuth>,
    /// As an AWS identity.
    #[serde(rename = "awsAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub aws: Option<InfisicalIdentityAuth>,
    /// With an access token.
    #[serde(rename = "tokenAuthCredentials", skip_serializing_if = "Option::is_none")]
    pub token: Option<InfisicalTokenAuth>,
}

/// A client ID and secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalUniversalAuth {
    /// Client ID.
    #[x_kube(validation = ("has(self.key)", problem::KEY))]
    pub client_id: SecretKeySelector,
    /// Client secret.
    #[x_kube(validation = ("has(self.key)", problem::KEY))]
    pub client_secret: SecretKeySelector,
}

/// An Azure machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalAzureAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// What the machine's token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<SecretKeySelector>,
}

/// Where the machine identity is all that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalIdentityAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
}

/// A Google Cloud service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalGcpIamAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// Path of the key file in the operator's Pod.
    pub service_account_key_file_path: SecretKeySelector,
}

/// A JWT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalJwtAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// The JWT.
    pub jwt: SecretKeySelector,
}

/// A user of LDAP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalLdapAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// Password.
    pub ldap_password: SecretKeySelector,
    /// User name.
    pub ldap_username: SecretKeySelector,
}

/// A user of Oracle Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalOciAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// Private key.
    pub private_key: SecretKeySelector,
    /// Passphrase of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_passphrase: Option<SecretKeySelector>,
    /// Fingerprint of the private key.
    pub fingerprint: SecretKeySelector,
    /// User.
    pub user_id: SecretKeySelector,
    /// Tenancy.
    pub tenancy_id: SecretKeySelector,
    /// Region.
    pub region: SecretKeySelector,
}

/// The token of the operator's Pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalKubernetesAuth {
    /// The machine identity.
    pub identity_id: SecretKeySelector,
    /// Path of the token in the operator's Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_token_path: Option<SecretKeySelector>,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfisicalTokenAuth {
    /// The token.
    pub access_token: SecretKeySelector,
}
