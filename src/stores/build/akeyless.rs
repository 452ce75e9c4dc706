//! Akeyless.

use std::sync::Arc;

use keyferry_akeyless::{AccessType, Akeyless, AkeylessConfig, Auth, Environment, KubernetesToken, ServiceAccount};
use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{AkeylessAuth, AkeylessKubernetesAuth, AkeylessSpec, SecretKeySelector, ServiceAccountSelector};

use super::{misled, required, tls, variable};
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &AkeylessSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let (access_id, auth) = match &spec.auth_secret_ref.kubernetes_auth {
        Some(kubernetes) => kubernetes_auth(kubernetes, resolver).await?,
        None => access_auth(&spec.auth_secret_ref, resolver).await?,
    };
    let config = AkeylessConfig {
        gateway_url: spec.akeyless_gw_api_url.clone(),
        access_id,
        auth,
        environment: Environment::from_variables(variable).map_err(|problem| misled(&problem))?,
        ignore_cache: spec.ignore_cache.unwrap_or_default(),
        tls: tls(resolver, spec.ca_bundle.as_deref(), spec.ca_provider.as_ref()).await?,
    };
    Ok(Arc::new(Akeyless::new(config, Arc::clone(calls))?))
}

async fn kubernetes_auth(
    auth: &AkeylessKubernetesAuth,
    resolver: &mut Resolver<'_>,
) -> Result<(SecretBytes, Auth), Unresolved> {
    let token = match (&auth.service_account_ref, &auth.secret_ref) {
        (Some(account), _) => {
            let field = "authSecretRef.kubernetesAuth.serviceAccountRef";
            KubernetesToken::Minted(service_account(field, account, resolver).await?)
        }
        (None, Some(selector)) => {
            let field = "authSecretRef.kubernetesAuth.secretRef";
            KubernetesToken::Kept(resolver.secret(field, selector, Some("token"), Open::Forbidden).await?)
        }
        (None, None) => {
            let problem = "names neither serviceAccountRef nor secretRef; name one";
            return Err(resolver.invalid("authSecretRef.kubernetesAuth", problem));
        }
    };
    let auth_method = Auth::Kubernetes { config_name: auth.k8s_conf_name.clone(), token };
    Ok((SecretBytes::from(auth.access_id.as_str()), auth_method))
}

async fn access_auth(auth: &AkeylessAuth, resolver: &mut Resolver<'_>) -> Result<(SecretBytes, Auth), Unresolved> {
    let selectors = auth.selectors();
    let (id_field, type_field) = ("authSecretRef.accessID", "authSecretRef.accessType");
    let id_selector = required(resolver, id_field, selectors.access_id)?;
    let access_id = resolver.secret(id_field, id_selector, None, Open::Forbidden).await?;
    let kind = required(resolver, type_field, selectors.access_type)?;
    let kind = resolver.secret(type_field, kind, None, Open::Forbidden).await?;
    let kind = kind.expose_str().unwrap_or_default().parse::<AccessType>();
    let kind = kind.map_err(|error| resolver.invalid(type_field, format!("cannot be used: {error}")))?;
    let param = match selectors.access_type_param {
        Some(selector) => Some(param(selector, resolver).await?),
        None if kind.needs_param() => Some(param(&beside(id_selector), resolver).await?),
        None => None,
    };
    let auth = match (kind, param) {
        (AccessType::AccessKey, param) => Auth::AccessKey { access_key: param.unwrap_or_default() },
        (AccessType::AwsIam, _) => Auth::AwsIam,
        (AccessType::AzureAd, id) => Auth::AzureAd {
            id,
            service_account: match &auth.service_account_ref {
                Some(account) => Some(service_account("authSecretRef.serviceAccountRef", account, resolver).await?),
                None => None,
            },
        },
        (AccessType::Gcp, audience) => Auth::Gcp { audience },
        (AccessType::Kubernetes, _) => {
            let problem = "is k8s, which needs more than a key; use authSecretRef.kubernetesAuth instead";
            return Err(resolver.invalid(type_field, problem));
        }
    };
    Ok((access_id, auth))
}

async fn param(selector: &SecretKeySelector, resolver: &mut Resolver<'_>) -> Result<SecretBytes, Unresolved> {
    resolver.secret("authSecretRef.accessTypeParam", selector, None, Open::Forbidden).await
}

/// Where the param is if the manifest names none.
fn beside(id: &SecretKeySelector) -> SecretKeySelector {
    SecretKeySelector { key: Some("access-type-param".to_owned()), ..id.clone() }
}

async fn service_account(
    field: &str,
    account: &ServiceAccountSelector,
    resolver: &mut Resolver<'_>,
) -> Result<ServiceAccount, Unresolved> {
    // The source adds the audiences of the manifest itself.
    Ok(ServiceAccount { source: resolver.tokens(field, account).await?, audiences: Vec::new() })
}
