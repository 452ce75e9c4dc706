//! Ways to log in to Vault.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AwsJwtAuth, AwsSecretRef, GcpSecretRef, GcpWorkloadIdentity};
use crate::{SecretKeySelector, ServiceAccountSelector, admission::problem};

/// How to log in. Of several the first counts, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuth {
    /// Namespace to log in to; that of the secrets where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// With a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeySelector>,
    /// With AppRole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_role: Option<VaultAppRoleAuth>,
    /// With a token of a ServiceAccount, which Vault has reviewed by the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VaultKubernetesAuth>,
    /// With LDAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<VaultLdapAuth>,
    /// With a user name and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_pass: Option<VaultUserPassAuth>,
    /// With a JWT, which Vault verifies itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<VaultJwtAuth>,
    /// With a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<VaultCertAuth>,
    /// As an AWS identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<VaultIamAuth>,
    /// As a Google Cloud service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcp: Option<VaultGcpAuth>,
}

/// AppRole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.roleId) && self.roleId != '') || has(self.roleRef)", problem::VAULT_ROLE))]
pub struct VaultAppRoleAuth {
    /// Mount of the auth method.
    #[serde(default = "approle")]
    pub path: String,
    /// Role ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
    /// A Secret that holds the role ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_ref: Option<SecretKeySelector>,
    /// Secret ID.
    pub secret_ref: SecretKeySelector,
}

/// A token of a ServiceAccount, which Vault has reviewed by the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetesAuth {
    /// Mount of the auth method.
    #[serde(default = "kubernetes")]
    pub mount_path: String,
    /// Role in Vault.
    pub role: String,
    /// The ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// A Secret that holds a token, where no ServiceAccount is named; its key is `token` where none is named. The
    /// token of the operator's Pod where there is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// LDAP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultLdapAuth {
    /// Mount of the auth method.
    #[serde(default = "ldap")]
    pub path: String,
    /// User name.
    pub username: String,
    /// Password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// A user name and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultUserPassAuth {
    /// Mount of the auth method.
    #[serde(default = "userpass")]
    pub path: String,
    /// User name.
    pub username: String,
    /// Password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// A JWT, which Vault verifies itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.secretRef) || has(self.kubernetesServiceAccountToken)", problem::VAULT_JWT))]
pub struct VaultJwtAuth {
    /// Mount of the auth method.
    #[serde(default = "jwt")]
    pub path: String,
    /// Role in Vault; its default role where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// A Secret that holds the JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
    /// A ServiceAccount whose tokens are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_service_account_token: Option<VaultKubernetesToken>,
}

/// A ServiceAccount whose tokens are used as JWT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetesToken {
    /// The ServiceAccount.
    pub service_account_ref: ServiceAccountSelector,
    /// Audiences of its tokens; `vault` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// Life of its tokens; 600 seconds where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_seconds: Option<i64>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultCertAuth {
    /// Mount of the auth method.
    #[serde(default = "cert")]
    pub path: String,
    /// Role in Vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_role: Option<String>,
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<SecretKeySelector>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,
}

/// An AWS identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultIamAuth {
    /// Mount of the auth method; `aws` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Role in Vault.
    pub vault_role: String,
    /// Region; us-east-1 where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Role in AWS that is assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// External ID with which the role is assumed.
    #[serde(rename = "externalID", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Server ID that Vault asks for in the signed request.
    #[serde(rename = "vaultAwsIamServerID", skip_serializing_if = "Option::is_none")]
    pub vault_aws_iam_server_id: Option<String>,
    /// Logs in to AWS with tokens of a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<AwsJwtAuth>,
    /// Logs in to AWS with an access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<AwsSecretRef>,
}

/// A Google Cloud service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultGcpAuth {
    /// Mount of the auth method.
    #[serde(default = "gcp")]
    pub path: String,
    /// Role in Vault.
    pub role: String,
    /// Project of the service account.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Location of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// With its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<GcpSecretRef>,
    /// With workload identity of GKE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<GcpWorkloadIdentity>,
    /// With tokens of a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
}

fn approle() -> String {
    "approle".to_owned()
}

fn cert() -> String {
    "cert".to_owned()
}

fn gcp() -> String {
    "gcp".to_owned()
}

fn jwt() -> String {
    "jwt".to_owned()
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn ldap() -> String {
    "ldap".to_owned()
}

fn userpass() -> String {
    "userpass".to_owned()
}
