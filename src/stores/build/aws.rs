//! AWS Secrets Manager and Parameter Store.

use std::sync::Arc;

use keyferry_aws::{AccessKeys, Aws, AwsConfig, Environment, Identity, Role, Service, SessionTags, StoreIdentity};
use keyferry_core::{CallObserver, Provider};
use keyferry_crds::{AwsAuth, AwsSecretRef, AwsService, AwsSessionTagsPolicy, AwsSpec};

use super::required;
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &AwsSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let config = AwsConfig {
        service: match spec.service {
            AwsService::CertificateManager => Service::CertificateManager,
            AwsService::ParameterStore => Service::ParameterStore,
            AwsService::SecretsManager => Service::SecretsManager,
        },
        region: spec.region.clone(),
        identity: match &spec.auth {
            Some(auth) => identity(auth, resolver).await?,
            None => Identity::Ambient,
        },
        additional_roles: spec.additional_roles.clone().unwrap_or_default(),
        role: role(spec, resolver)?,
        prefix: spec.prefix.clone().unwrap_or_default(),
        environment: Environment::of_process(),
    };
    Ok(Arc::new(Aws::new(config, Arc::clone(calls))?))
}

async fn identity(auth: &AwsAuth, resolver: &mut Resolver<'_>) -> Result<Identity, Unresolved> {
    if let Some(account) = auth.jwt.as_ref().and_then(|jwt| jwt.service_account_ref.as_ref()) {
        return Ok(Identity::ServiceAccount(resolver.tokens("auth.jwt.serviceAccountRef", account).await?));
    }
    match &auth.secret_ref {
        Some(keys) => Ok(Identity::Keys(access_keys("auth.secretRef", keys, resolver).await?)),
        None => Ok(Identity::Ambient),
    }
}

async fn access_keys(below: &str, keys: &AwsSecretRef, resolver: &mut Resolver<'_>) -> Result<AccessKeys, Unresolved> {
    let (id, secret) = (format!("{below}.accessKeyIDSecretRef"), format!("{below}.secretAccessKeySecretRef"));
    let id_selector = required(resolver, &id, keys.access_key_id.as_ref())?;
    let secret_selector = required(resolver, &secret, keys.secret_access_key.as_ref())?;
    Ok(AccessKeys {
        id: resolver.secret(&id, id_selector, None, Open::Allowed).await?,
        secret: resolver.secret(&secret, secret_selector, None, Open::Allowed).await?,
        session_token: match &keys.session_token {
            Some(token) => {
                let field = format!("{below}.sessionTokenSecretRef");
                Some(resolver.secret(&field, token, None, Open::Allowed).await?)
            }
            None => None,
        },
    })
}

/// The role that is assumed last. Without one, external ID and session tags have no effect.
fn role(spec: &AwsSpec, resolver: &mut Resolver<'_>) -> Result<Option<Role>, Unresolved> {
    let Some(arn) = spec.role.as_deref().filter(|arn| !arn.is_empty()) else {
        return Ok(None);
    };
    let session_tags = match spec.session_tags_policy {
        AwsSessionTagsPolicy::Custom => SessionTags::Custom {
            tags: spec.custom_session_tags.clone().unwrap_or_default(),
            store: store_identity(resolver)?,
        },
        AwsSessionTagsPolicy::None => {
            let tags = spec.session_tags.iter().flatten();
            SessionTags::Listed(tags.map(|tag| (tag.key.clone(), tag.value.clone())).collect())
        }
        AwsSessionTagsPolicy::Simple => SessionTags::Simple(store_identity(resolver)?),
    };
    Ok(Some(Role {
        arn: arn.to_owned(),
        external_id: spec.external_id.clone().filter(|id| !id.is_empty()),
        session_tags,
        transitive_tag_keys: spec.transitive_tag_keys.clone().unwrap_or_default(),
    }))
}

fn store_identity(resolver: &mut Resolver<'_>) -> Result<StoreIdentity, Unresolved> {
    Ok(StoreIdentity {
        namespace: resolver.consumer()?.to_owned(),
        name: resolver.store().object.name.to_string(),
        kind: resolver.store().kind.as_str().to_owned(),
    })
}
