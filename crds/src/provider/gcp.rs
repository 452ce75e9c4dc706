//! Google Cloud Secret Manager.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    SecretKeySelector, ServiceAccountSelector,
    schema::{DATA_KEY, LABEL, SUBDOMAIN},
};

/// Google Cloud Secret Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpSmSpec {
    /// How to log in; with the operator's own credentials where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<GcpAuth>,
    /// Project of the secrets.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Location of regional secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What is read where the latest version is disabled.
    #[serde(default)]
    pub secret_version_selection_policy: GcpVersionSelection,
}

/// What is read where the latest version is disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GcpVersionSelection {
    /// Nothing: it is an error.
    #[default]
    LatestOrFail,
    /// The newest version that is enabled.
    LatestOrFetch,
}

/// How to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpAuth {
    /// With the key of a service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<GcpSecretRef>,
    /// With workload identity of GKE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<GcpWorkloadIdentity>,
    /// With workload identity federation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity_federation: Option<GcpWorkloadIdentityFederation>,
}

/// The key of a service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpSecretRef {
    /// The key file.
    #[serde(rename = "secretAccessKeySecretRef", skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretKeySelector>,
}

/// Workload identity of GKE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpWorkloadIdentity {
    /// The ServiceAccount.
    pub service_account_ref: ServiceAccountSelector,
    /// Location of the cluster; found out where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_location: Option<String>,
    /// Name of the cluster; found out where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Project of the cluster; found out where none is named.
    #[serde(rename = "clusterProjectID", skip_serializing_if = "Option::is_none")]
    pub cluster_project_id: Option<String>,
}

/// Workload identity federation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpWorkloadIdentityFederation {
    /// The pool's provider; needed unless `credConfig` holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A ConfigMap that holds a credential configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_config: Option<GcpCredConfig>,
    /// A ServiceAccount whose tokens are exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// An AWS access key that is exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_security_credentials: Option<GcpAwsCredentials>,
    /// The one URL from which `credConfig` may fetch tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_token_endpoint: Option<String>,
    /// Service account that is impersonated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), regex(pattern = r"^.*@.*\.iam\.gserviceaccount\.com$"))]
    pub gcp_service_account_email: Option<String>,
}

/// A ConfigMap that holds a credential configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpCredConfig {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Key within it.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: String,
    /// Its namespace: a ClusterSecretStore only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: Option<String>,
}

/// An AWS access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpAwsCredentials {
    /// Region.
    #[schemars(length(min = 1, max = 50), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: String,
    /// Secret with the keys aws_access_key_id, aws_secret_access_key and aws_session_token.
    pub aws_credentials_secret_ref: AwsCredentialsRef,
}

/// A Secret with an AWS access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCredentialsRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Its namespace: a ClusterSecretStore only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: Option<String>,
}
