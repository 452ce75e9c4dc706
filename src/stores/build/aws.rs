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
    if let Some(jwt) = &auth.jwt {
        let field = "auth.jwt.serviceAccountRef";
        let account = jwt.service_account_ref.as_ref();
        let account = account.ok_or_else(|| resolver.invalid(field, "is missing; name the ServiceAccount"))?;
        return Ok(Identity::ServiceAccount(resolver.tokens(field, account).await?));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyferry_core::{CallObserver, Unobserved};
    use serde_json::{Value, json};

    use super::{AwsSpec, Role, SessionTags, StoreIdentity, provider, role};
    use crate::stores::{build::fixtures::Cluster, scope::Scope};

    const OWN: Scope<'_> = Scope::Namespace("team");
    const CHECKED: Scope<'_> = Scope::Cluster { consumer: None };
    const READER: &str = "arn:aws:iam::123456789012:role/reader";

    fn spec(more: &Value) -> AwsSpec {
        let mut spec = json!({"service": "SecretsManager", "region": "eu-west-1"});
        spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(spec).expect("a spec")
    }

    /// What stands in the way before anything is read.
    async fn obstacle(scope: Scope<'_>, more: Value) -> String {
        let (cluster, calls) = (Cluster::holding([]).await, Arc::new(Unobserved) as Arc<dyn CallObserver>);
        let built =
            cluster.resolve(scope, async |resolver| provider(&spec(&more), resolver.within("at"), &calls).await);
        let told = built.await.expect_err("must not work");
        assert_eq!(cluster.reads(), 0, "{told}");
        told
    }

    /// Which role is assumed last, and how.
    async fn last(scope: Scope<'_>, more: &Value) -> Result<Option<Role>, String> {
        Cluster::holding([]).await.resolve(scope, async |resolver| role(&spec(more), resolver)).await
    }

    async fn tags(more: &Value) -> SessionTags {
        let mut spec = json!({"role": READER, "sessionTags": [{"key": "a", "value": "1"}]});
        spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        last(OWN, &spec).await.expect("nothing in the way").expect("a role").session_tags
    }

    #[tokio::test]
    async fn settings_that_cannot_work_are_named_with_their_cure() {
        for (more, text) in [
            (
                json!({"service": "CertificateManager"}),
                "Unsupported: spec.provider: service: CertificateManager is not read from; set SecretsManager or \
                 ParameterStore (AWS/CertificateManager Configure); remove it from the manifest",
            ),
            (
                json!({"region": "evil.com/#"}),
                "InvalidConfiguration: spec.provider: region: \"evil.com/#\" is not a region of AWS; write it like \
                 eu-west-1 (AWS/SecretsManager Configure); correct the manifest",
            ),
            (
                json!({"role": "reader"}),
                "InvalidConfiguration: spec.provider: role: \"reader\" is not the ARN of a role; write it like \
                 arn:aws:iam::123456789012:role/name (AWS/SecretsManager Configure); correct the manifest",
            ),
            (
                json!({"additionalRoles": [READER, ""]}),
                "InvalidConfiguration: spec.provider: additionalRoles[1]: \"\" is not the ARN of a role; write it like \
                 arn:aws:iam::123456789012:role/name (AWS/SecretsManager Configure); correct the manifest",
            ),
            (
                json!({"role": READER, "externalID": "a b"}),
                "InvalidConfiguration: spec.provider: externalID: \"a b\" cannot be one; it has 2 to 1,224 letters, digits \
                 and characters of +=,.@:/-_ (AWS/SecretsManager Configure); correct the manifest",
            ),
            (
                json!({"role": READER, "sessionTags": [{"key": "", "value": "x"}]}),
                "InvalidConfiguration: spec.provider: sessionTags: \"\" cannot be the key of a tag; write 1 to 128 letters, \
                 digits, spaces and characters of _.:/=+-@ (AWS/SecretsManager Configure); correct the manifest",
            ),
        ] {
            assert_eq!(obstacle(OWN, more).await, text);
        }
    }

    #[tokio::test]
    async fn references_that_cannot_be_followed_are_named_with_their_cure() {
        let (id, account) = ("auth.secretRef.accessKeyIDSecretRef", "auth.jwt.serviceAccountRef");
        let whole = |name: &str| json!({"name": "aws", "key": name});
        let keys = |id: Value| {
            let keys = json!({"accessKeyIDSecretRef": id, "secretAccessKeySecretRef": whole("secret")});
            json!({"auth": {"secretRef": keys}})
        };
        let foreign = "names the namespace \"other\", but a SecretStore may only refer to its own; remove `namespace`, or \
                       use a ClusterSecretStore";
        for (more, text) in [
            (json!({"auth": {"secretRef": {}}}), format!("{id} is missing; name the Secret and its key")),
            (
                json!({"auth": {"secretRef": {"accessKeyIDSecretRef": whole("id")}}}),
                "auth.secretRef.secretAccessKeySecretRef is missing; name the Secret and its key".to_owned(),
            ),
            (keys(json!({"name": "aws"})), format!("{id} has no `key`; name a key of the Secret")),
            (keys(json!({"key": "id"})), format!("{id} has no `name`; set it")),
            (keys(json!({"name": "aws", "key": "id", "namespace": "other"})), format!("{id} {foreign}")),
            (json!({"auth": {"jwt": {}}}), format!("{account} is missing; name the ServiceAccount")),
            (
                json!({"auth": {"jwt": {"serviceAccountRef": {"name": "reader", "namespace": "other"}}}}),
                format!("{account} {foreign}"),
            ),
        ] {
            assert_eq!(obstacle(OWN, more).await, format!("InvalidConfiguration: at.{text}"));
        }
    }

    #[tokio::test]
    async fn readers_may_bring_logins_of_their_own() {
        let selector = json!({"name": "aws", "key": "x"});
        for auth in [
            json!({"jwt": {"serviceAccountRef": {"name": "reader"}}}),
            json!({"secretRef": {"accessKeyIDSecretRef": selector, "secretAccessKeySecretRef": selector}}),
        ] {
            assert_eq!(obstacle(CHECKED, json!({"auth": auth})).await, "nobody asks");
        }
        for policy in ["Custom", "Simple"] {
            let tagged = json!({"role": READER, "sessionTagsPolicy": policy});
            assert_eq!(obstacle(CHECKED, tagged).await, "nobody asks", "{policy}");
        }
    }

    #[tokio::test]
    async fn the_policy_says_how_the_session_is_tagged() {
        let store = || StoreIdentity { namespace: "team".into(), name: "store".into(), kind: "SecretStore".into() };
        assert_eq!(tags(&json!({})).await, SessionTags::Listed(vec![("a".into(), "1".into())]));
        assert_eq!(tags(&json!({"sessionTagsPolicy": "Simple"})).await, SessionTags::Simple(store()));
        let custom = json!({"sessionTagsPolicy": "Custom", "customSessionTags": {"stage": "prod"}});
        let own = [("stage".to_owned(), "prod".to_owned())].into();
        assert_eq!(tags(&custom).await, SessionTags::Custom { tags: own, store: store() });
    }

    #[tokio::test]
    async fn what_is_empty_does_not_count() {
        let nothing = json!({"role": "", "externalID": "x", "sessionTagsPolicy": "Simple"});
        assert!(last(CHECKED, &nothing).await.expect("nothing in the way").is_none());
        let role =
            last(OWN, &json!({"role": READER, "externalID": ""})).await.expect("nothing in the way").expect("a role");
        assert_eq!((role.arn.as_str(), role.external_id), (READER, None));
    }
}
