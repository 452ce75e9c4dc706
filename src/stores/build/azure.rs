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
    match (spec.auth_type, &spec.service_account_ref) {
        (AzureAuthType::ManagedIdentity, _) => {
            of_operator(spec, resolver)?;
            Ok(Auth::ManagedIdentity { identity_id: spec.identity_id.clone() })
        }
        (AzureAuthType::ServicePrincipal, _) => Ok(Auth::ServicePrincipal {
            client_certificate: optional("clientCertificate", refs.client_certificate.as_ref(), resolver).await?,
            client_id: optional("clientId", refs.client_id.as_ref(), resolver).await?,
            client_secret: optional("clientSecret", refs.client_secret.as_ref(), resolver).await?,
        }),
        (AzureAuthType::WorkloadIdentity, None) => {
            of_operator(spec, resolver)?;
            Ok(Auth::WorkloadIdentity(WorkloadIdentity::default()))
        }
        (AzureAuthType::WorkloadIdentity, Some(account)) => Ok(Auth::WorkloadIdentity(WorkloadIdentity {
            client_id: optional("clientId", refs.client_id.as_ref(), resolver).await?,
            // The source adds the audiences of the manifest itself.
            service_account: Some(ServiceAccount {
                audiences: Vec::new(),
                tokens: resolver.tokens("serviceAccountRef", account).await?,
            }),
            tenant_id: optional("tenantId", refs.tenant_id.as_ref(), resolver).await?,
        })),
    }
}

/// Whether the store may log in as the operator. Azure's own clouds show its tokens to Azure alone; a custom cloud is who
/// and where its manifest says, and so is whatever the tokens are for.
fn of_operator(spec: &AzureKvSpec, resolver: &Resolver<'_>) -> Result<(), Unresolved> {
    match spec.custom_cloud_config {
        Some(_) => resolver.own_token("customCloudConfig").map(drop),
        None => Ok(()),
    }
}

async fn optional(
    field: &str,
    selector: Option<&SecretKeySelector>,
    resolver: &mut Resolver<'_>,
) -> Result<Option<SecretBytes>, Unresolved> {
    resolver.optional_secret(&format!("authSecretRef.{field}"), selector, Open::Allowed).await
}

#[cfg(test)]
mod tests {
    use keyferry_azure::{Auth, WorkloadIdentity};
    use keyferry_crds::AzureKvSpec;
    use serde_json::{Value, json};

    use super::auth;
    use crate::stores::{build::fixtures::Cluster, scope::Scope};

    const OWN: Scope<'_> = Scope::Namespace("team");
    const CHECKED: Scope<'_> = Scope::Cluster { consumer: None };

    /// How a store logs in, or what stands in the way before anything is read.
    async fn login(scope: Scope<'_>, more: &Value) -> Result<Auth, String> {
        let mut spec = json!({"vaultUrl": "https://a.vault.azure.net"});
        spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let spec: AzureKvSpec = serde_json::from_value(spec).expect("a spec");
        Cluster::holding([]).await.resolve(scope, async |resolver| auth(&spec, resolver.within("at")).await).await
    }

    async fn obstacle(scope: Scope<'_>, more: Value) -> String {
        login(scope, &more).await.expect_err("must not work")
    }

    #[tokio::test]
    async fn the_operators_identity_is_shown_to_no_cloud_that_a_tenant_describes() {
        let cloud = json!({"activeDirectoryEndpoint": "https://login.example"});
        for (kind, logs_in) in [
            ("ManagedIdentity", (|auth| matches!(auth, Auth::ManagedIdentity { .. })) as fn(&Auth) -> bool),
            ("WorkloadIdentity", |auth| {
                matches!(auth, Auth::WorkloadIdentity(WorkloadIdentity { service_account: None, .. }))
            }),
        ] {
            let of_azure = json!({"authType": kind});
            let custom = json!({"authType": kind, "useAzureSDK": true, "customCloudConfig": cloud});
            assert_eq!(
                obstacle(OWN, custom.clone()).await,
                "InvalidConfiguration: at.customCloudConfig would send the operator's own token to the server that this \
                 SecretStore names; log in with a ServiceAccount of the namespace, or use a ClusterSecretStore"
            );
            for (scope, spec) in [(OWN, &of_azure), (CHECKED, &of_azure), (CHECKED, &custom)] {
                assert!(logs_in(&login(scope, spec).await.expect("a login")), "{kind}");
            }
        }
    }

    #[tokio::test]
    async fn a_tenant_may_log_in_as_itself_to_a_cloud_that_it_describes() {
        let cloud = json!({"activeDirectoryEndpoint": "https://login.example"});
        let secret = json!({"name": "login", "key": "id"});
        for credentials in [
            json!({"authSecretRef": {"clientId": secret}}),
            json!({"authType": "WorkloadIdentity", "serviceAccountRef": {"name": "reader"}}),
        ] {
            let mut spec = credentials;
            spec["useAzureSDK"] = json!(true);
            spec["customCloudConfig"] = cloud.clone();
            // It is the API server that was asked.
            assert!(obstacle(OWN, spec).await.starts_with("MissingCredential: at."));
        }
    }

    #[tokio::test]
    async fn references_without_a_namespace_are_the_readers_and_foreign_ones_nobodys() {
        let foreign = "names the namespace \"other\", but a SecretStore may only refer to its own; remove `namespace`, or \
                       use a ClusterSecretStore";
        for field in ["clientId", "clientSecret", "clientCertificate"] {
            let refs = |selector: Value| json!({"authSecretRef": {field: selector}});
            let open = json!({"name": "login", "key": "id"});
            assert_eq!(obstacle(CHECKED, refs(open)).await, "nobody asks");
            for (selector, problem) in [
                (json!({"key": "id"}), "has no `name`; set it"),
                (json!({"name": "login"}), "has no `key`; name a key of the Secret"),
                (json!({"name": "login", "key": "id", "namespace": "other"}), foreign),
            ] {
                let told = obstacle(OWN, refs(selector)).await;
                assert_eq!(told, format!("InvalidConfiguration: at.authSecretRef.{field} {problem}"));
            }
        }
        let account = |namespace: Option<&str>| json!({"authType": "WorkloadIdentity", "serviceAccountRef": {"name": "reader", "namespace": namespace}});
        assert_eq!(obstacle(CHECKED, account(None)).await, "nobody asks");
        let told = obstacle(OWN, account(Some("other"))).await;
        assert_eq!(told, format!("InvalidConfiguration: at.serviceAccountRef {foreign}"));
    }
}
