//! Azure Key Vault.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretKeySelector, ServiceAccountSelector, admission::problem};

/// Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.customCloudConfig) || (has(self.useAzureSDK) && self.useAzureSDK)",
    problem::AZURE_SDK,
))]
#[x_kube(validation = (
    "!has(self.environmentType) || self.environmentType != 'AzureStackCloud' || has(self.customCloudConfig)",
    problem::AZURE_STACK,
))]
pub struct AzureKvSpec {
    /// URL of the vault, such as `https://my-vault.vault.azure.net`.
    pub vault_url: String,
    /// How to log in.
    #[serde(default)]
    pub auth_type: AzureAuthType,
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Client ID of a managed identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Which cloud.
    #[serde(default)]
    pub environment_type: AzureEnvironment,
    /// Credentials of a service principal, and IDs for a workload identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<AzureSecretRef>,
    /// ServiceAccount of a workload identity; the operator's own where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountSelector>,
    /// Whether client and tenant of a workload identity are found as the newer SDK finds them.
    #[serde(default, rename = "useAzureSDK")]
    pub use_azure_sdk: bool,
    /// Endpoints of a cloud that is not public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_cloud_config: Option<AzureCustomCloud>,
}

/// How to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureAuthType {
    /// As the identity of the machine.
    ManagedIdentity,
    /// With a client secret or certificate.
    #[default]
    ServicePrincipal,
    /// With tokens of a ServiceAccount.
    WorkloadIdentity,
}

/// Clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "names of clouds")]
pub enum AzureEnvironment {
    AzureStackCloud,
    ChinaCloud,
    GermanCloud,
    #[default]
    PublicCloud,
    #[serde(rename = "USGovernmentCloud")]
    UsGovernmentCloud,
}

/// Credentials of a service principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureSecretRef {
    /// Client ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<SecretKeySelector>,
    /// Client secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretKeySelector>,
    /// Client certificate and private key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<SecretKeySelector>,
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<SecretKeySelector>,
}

/// Endpoints of a cloud that is not public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureCustomCloud {
    /// Where to log in.
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub active_directory_endpoint: String,
    /// What tokens are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_vault_endpoint: Option<String>,
    /// What names of vaults end with.
    #[serde(rename = "keyVaultDNSSuffix", skip_serializing_if = "Option::is_none")]
    pub key_vault_dns_suffix: Option<String>,
    /// The cloud's resource manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_manager_endpoint: Option<String>,
}
