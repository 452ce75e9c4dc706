//! Azure Key Vault.

use std::sync::Arc;

use keyferry_azure::{Auth, Azure, AzureConfig, Cloud, CustomCloud, Environment, ServiceAccount, WorkloadIdentity};
use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{AzureAuthType, AzureEnvironment, AzureKvSpec, AzureSecretRef, SecretKeySelector};
use keyferry_rest::Tls;

use super::{misled, variable};
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &AzureKvSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let config = AzureConfig {
        auth: auth(spec, resolver).await?,
        cloud: match spec.environment_type {
            AzureEnvironment::AzureStackCloud => Cloud::Stack,
            AzureEnvironment::ChinaCloud => Cloud::China,
            AzureEnvironment::GermanCloud => Cloud::Germany,
            AzureEnvironment::PublicCloud => Cloud::Public,
            AzureEnvironment::UsGovernmentCloud => Cloud::UsGovernment,
        },
        custom_cloud: spec.custom_cloud_config.as_ref().map(|custom| CustomCloud {
            active_directory_endpoint: custom.active_directory_endpoint.clone(),
            key_vault_dns_suffix: custom.key_vault_dns_suffix.clone(),
            key_vault_endpoint: custom.key_vault_endpoint.clone(),
        }),
        environment: Environment::from_variables(variable).map_err(|problem| misled(&problem))?,
        tenant_id: spec.tenant_id.clone(),
        tls: Tls::default(),
        use_azure_sdk: spec.use_azure_sdk,
        vault_url: spec.vault_url.clone(),
    };
    Ok(Arc::new(Azure::new(config, Arc::clone(calls))?))
}

async fn auth(spec: &AzureKvSpec, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let none = AzureSecretRef::default();
    let refs = spec.auth_secret_ref.as_ref().unwrap_or(&none);
    match spec.auth_type {
        AzureAuthType::ManagedIdentity => Ok(Auth::ManagedIdentity { identity_id: spec.identity_id.clone() }),
        AzureAuthType::ServicePrincipal => Ok(Auth::ServicePrincipal {
            client_certificate: optional("clientCertificate", refs.client_certificate.as_ref(), resolver).await?,
            client_id: optional("clientId", refs.client_id.as_ref(), resolver).await?,
            client_secret: optional("clientSecret", refs.client_secret.as_ref(), resolver).await?,
        }),
        AzureAuthType::WorkloadIdentity => Ok(Auth::WorkloadIdentity(WorkloadIdentity {
            client_id: optional("clientId", refs.client_id.as_ref(), resolver).await?,
            service_account: match &spec.service_account_ref {
                // The source adds the audiences of the manifest itself.
                Some(account) => Some(ServiceAccount {
                    audiences: Vec::new(),
                    tokens: resolver.tokens("serviceAccountRef", account).await?,
                }),
                None => None,
            },
            tenant_id: optional("tenantId", refs.tenant_id.as_ref(), resolver).await?,
        })),
    }
}

async fn optional(
    field: &str,
    selector: Option<&SecretKeySelector>,
    resolver: &mut Resolver<'_>,
) -> Result<Option<SecretBytes>, Unresolved> {
    resolver.optional_secret(&format!("authSecretRef.{field}"), selector, Open::Allowed).await
}
