//! Whose the target is: creation policies, owners, rivals, and Secrets of others.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret};

const MANAGED: &str = "reconcile.external-secrets.io/managed";
const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";

fn db() -> Manifest {
    external_secret("db").property("password", "db", "password")
}

fn orphan() -> Manifest {
    db().with("/spec/target/creationPolicy", "Orphan")
}

/// A team with a remote secret and a running operator.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, keyferry_e2e::harness::Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let operator = tenant.operator().start().await?;
    Ok((tenant, operator))
}

fn owner(secret: &Secret) -> Option<&OwnerReference> {
    secret.owner_references().first()
}

#[tokio::test]
async fn the_owner_is_the_external_secret() -> Result<()> {
    let (tenant, _operator) = tenant("owner").await?;
    tenant.apply(&db().with("/spec/target/name", "target")).await?;
    let secret = tenant.holds("target", &[("password", "first")]).await?;

    let external_secret = tenant.namespace.objects("ExternalSecret").await?.get("db").await?;
    let owner = owner(&secret).context("the target has no owner")?;
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("ExternalSecret", "db"));
    assert_eq!(Some(&owner.uid), external_secret.metadata.uid.as_ref());
    assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(true)));
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    assert_eq!(secret.labels().get(MANAGED).map(String::as_str), Some("true"));
    // A SHA3-224 of the owner's name, by which other tools find what an ExternalSecret made.
    assert_eq!(secret.labels().get(CREATED_BY).map(String::len), Some(56));
    Ok(())
}

#[tokio::test]
async fn an_owned_target_goes_with_its_external_secret() -> Result<()> {
    let (tenant, _operator) = tenant("collected").await?;
    tenant.apply(&db()).await?;
    tenant.synced("db").await?;
    tenant.delete("ExternalSecret", "db").await?;
    tenant.namespace.wait_for_no_secret("db").await
}

#[tokio::test]
async fn an_orphan_stays_without_its_external_secret() -> Result<()> {
    let (tenant, _operator) = tenant("orphan").await?;
    tenant.apply(&orphan()).await?;
    let secret = tenant.synced("db").await?;
    assert_eq!(owner(&secret), None);
    assert_eq!(secret.labels().get(MANAGED).map(String::as_str), Some("true"));
    assert_eq!(secret.labels().get(CREATED_BY), None);
    let bytes = tenant.bytes("db").await?;

    tenant.delete("ExternalSecret", "db").await?;
    tenant.fence("fence", "vault").await?;

    assert_eq!(tenant.bytes("db").await?, bytes);
    Ok(())
}

#[tokio::test]
async fn the_policy_can_be_changed_both_ways() -> Result<()> {
    let (tenant, _operator) = tenant("policy").await?;
    tenant.apply(&db()).await?;
    tenant.namespace.wait_for_secret("db", |secret| owner(secret).is_some()).await?;
    tenant.apply(&orphan()).await?;
    tenant.namespace.wait_for_secret("db", |secret| owner(secret).is_none()).await?;
    tenant.apply(&db().with("/spec/target/creationPolicy", "Owner")).await?;
    tenant.namespace.wait_for_secret("db", |secret| owner(secret).is_some()).await?;
    Ok(())
}

#[tokio::test]
async fn a_secret_that_somebody_made_is_left_alone_until_it_is_given() -> Result<()> {
    for (prefix, manifest) in [("foreign", db()), ("foreign-orphan", orphan())] {
        let (tenant, _operator) = tenant(prefix).await?;
        tenant.namespace.secrets().create(&PostParams::default(), &by_hand("db")).await?;
        let bytes = tenant.bytes("db").await?;
        tenant.apply(&manifest).await?;

        tenant.fails("db", &["TargetConflict", "Secret", "db", "spec.target.name"]).await?;
        tenant.fence("fence", "vault").await?;
        assert_eq!(tenant.bytes("db").await?, bytes);

        tenant.namespace.secrets().delete("db", &DeleteParams::default()).await?;
        tenant.holds("db", &[("password", "first")]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_of_another_controller_is_left_alone() -> Result<()> {
    let (tenant, _operator) = tenant("controlled").await?;
    let owners: Api<ConfigMap> = Api::namespaced(tenant.client(), tenant.name());
    let owner = ConfigMap {
        metadata: ObjectMeta { name: Some("chart".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let owner = owners.create(&PostParams::default(), &owner).await?;
    let mut secret = by_hand("db");
    // Not even the label makes it ours.
    secret.metadata.labels = Some([(MANAGED.to_owned(), "true".to_owned())].into());
    secret.metadata.owner_references = Some(vec![owner.controller_owner_ref(&()).context("it has a uid")?]);
    tenant.namespace.secrets().create(&PostParams::default(), &secret).await?;
    let bytes = tenant.bytes("db").await?;
    tenant.apply(&db()).await?;

    tenant.fails("db", &["TargetConflict", "ConfigMap", "chart"]).await?;
    assert_eq!(tenant.bytes("db").await?, bytes);
    Ok(())
}

/// As other operators leave it, or as a person hands it over.
#[tokio::test]
async fn a_secret_that_is_labelled_as_managed_is_taken_over() -> Result<()> {
    let (tenant, _operator) = tenant("adopted").await?;
    let mut secret = by_hand("db");
    secret.metadata.labels = Some([(MANAGED.to_owned(), "true".to_owned())].into());
    let uid = tenant.namespace.secrets().create(&PostParams::default(), &secret).await?.uid();
    tenant.apply(&db()).await?;
    let secret = tenant.holds("db", &[("password", "first")]).await?;
    assert_eq!(secret.uid(), uid);
    Ok(())
}

#[tokio::test]
async fn of_two_that_want_one_target_the_older_has_it_until_it_goes() -> Result<()> {
    let (tenant, _operator) = tenant("rivals").await?;
    tenant.kv.put("other", &json!({ "password": "other" })).await?;
    let older = db().with("/spec/target/name", "target");
    let younger = external_secret("younger").property("password", "other", "password");
    tenant.apply(&older).await?;
    tenant.holds("target", &[("password", "first")]).await?;
    let bytes = tenant.bytes("target").await?;
    tenant.apply(&younger.with("/spec/target/name", "target")).await?;

    tenant.fails("younger", &["TargetConflict", "target is owned by another ExternalSecret", "db"]).await?;
    assert_eq!(tenant.bytes("target").await?, bytes);

    tenant.delete("ExternalSecret", "db").await?;
    tenant.holds("target", &[("password", "other")]).await?;
    Ok(())
}

#[tokio::test]
async fn an_immutable_target_keeps_its_first_content() -> Result<()> {
    let (tenant, _operator) = tenant("immutable").await?;
    let immutable = db().with("/spec/target/immutable", true);
    tenant.apply(&immutable).await?;
    let secret = tenant.holds("db", &[("password", "first")]).await?;
    assert_eq!(secret.immutable, Some(true));

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    tenant.apply(&immutable.annotation("force-sync", "1")).await?;
    tenant.fence("fence", "vault").await?;
    tenant.holds("db", &[("password", "first")]).await?;

    tenant.namespace.secrets().delete("db", &DeleteParams::default()).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

/// A Secret that nobody but a person knows of.
fn by_hand(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        string_data: Some([("password".to_owned(), "by hand".to_owned())].into()),
        ..Secret::default()
    }
}
