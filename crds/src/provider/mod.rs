//! Settings of each secret backend.

mod akeyless;
mod aws;
mod azure;
mod fake;
mod gcp;
mod infisical;
mod kubernetes;
mod vault;
mod vault_auth;
mod webhook;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    akeyless::{AkeylessAuth, AkeylessKubernetesAuth, AkeylessSecretRef, AkeylessSelectors, AkeylessSpec},
    aws::{
        AwsAuth, AwsJwtAuth, AwsSecretRef, AwsService, AwsSessionTag, AwsSessionTagsPolicy, AwsSpec, SecretsManager,
    },
    azure::{AzureAuthType, AzureCustomCloud, AzureEnvironment, AzureKvSpec, AzureSecretRef},
    fake::{FakeData, FakeSpec},
    gcp::{
        AwsCredentialsRef, GcpAuth, GcpAwsCredentials, GcpCredConfig, GcpSecretRef, GcpSmSpec, GcpVersionSelection,
        GcpWorkloadIdentity, GcpWorkloadIdentityFederation,
    },
    infisical::{
        InfisicalAuth, InfisicalAzureAuth, InfisicalGcpIamAuth, InfisicalIdentityAuth, InfisicalJwtAuth,
        InfisicalKubernetesAuth, InfisicalLdapAuth, InfisicalOciAuth, InfisicalScope, InfisicalSpec,
        InfisicalTokenAuth, InfisicalUniversalAuth,
    },
    kubernetes::{KubernetesAuth, KubernetesCert, KubernetesServer, KubernetesSpec, KubernetesToken},
    vault::{VaultCheckAndSet, VaultSpec, VaultTls, VaultVersion},
    vault_auth::{
        VaultAppRoleAuth, VaultAuth, VaultCertAuth, VaultGcpAuth, VaultIamAuth, VaultJwtAuth, VaultKubernetesAuth,
        VaultKubernetesToken, VaultLdapAuth, VaultUserPassAuth,
    },
    webhook::{WebhookAuth, WebhookNtlm, WebhookResult, WebhookSecret, WebhookSpec},
};

/// A secret backend. A stored one that is none of these cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderSpec {
    /// Akeyless, through its gateway or its public API.
    Akeyless(Box<AkeylessSpec>),
    /// AWS Secrets Manager, Parameter Store or Certificate Manager.
    Aws(Box<AwsSpec>),
    /// Azure Key Vault.
    AzureKv(Box<AzureKvSpec>),
    /// Values that stand in the store itself, for tests.
    Fake(Box<FakeSpec>),
    /// Google Cloud Secret Manager.
    GcpSm(Box<GcpSmSpec>),
    /// Infisical.
    Infisical(Box<InfisicalSpec>),
    /// Secrets of a Kubernetes cluster.
    Kubernetes(Box<KubernetesSpec>),
    /// HashiCorp Vault or OpenBao.
    Vault(Box<VaultSpec>),
    /// Any HTTP server that answers JSON.
    Webhook(Box<WebhookSpec>),
}

impl ProviderSpec {
    /// The name of its field in a manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Akeyless(_) => "akeyless",
            Self::Aws(_) => "aws",
            Self::AzureKv(_) => "azurekv",
            Self::Fake(_) => "fake",
            Self::GcpSm(_) => "gcpsm",
            Self::Infisical(_) => "infisical",
            Self::Kubernetes(_) => "kubernetes",
            Self::Vault(_) => "vault",
            Self::Webhook(_) => "webhook",
        }
    }
}
