//! Targets that somebody edits or deletes are repaired at once, long before the next tick.

use anyhow::Result;
use keyferry_e2e::harness::Operator;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Tenant, external_secret, values};

/// A team whose target `db` is synced, with a tick every hour.
async fn synced(prefix: &str, policy: &str) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "right", "user": "ann" })).await?;
    let operator = tenant.operator().start().await?;
    let db = external_secret("db").extract("db").with("/spec/target/creationPolicy", policy);
    tenant.apply(&db.label("team", "a")).await?;
    tenant.holds("db", &RIGHT).await?;
    tenant.synced("db").await?;
    Ok((tenant, operator))
}

const RIGHT: [(&str, &str); 2] = [("password", "right"), ("user", "ann")];

/// Changes the target as `kubectl edit` does.
async fn edit(tenant: &Tenant<'_>, patch: Value) -> Result<()> {
    tenant.namespace.secrets().patch("db", &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

#[tokio::test]
async fn a_changed_value_is_restored() -> Result<()> {
    let (tenant, _operator) = synced("edited", "Owner").await?;
    edit(&tenant, json!({ "stringData": { "password": "wrong" } })).await?;
    tenant.holds("db", &RIGHT).await?;
    Ok(())
}

#[tokio::test]
async fn a_removed_key_is_restored_and_an_added_one_removed() -> Result<()> {
    let (tenant, _operator) = synced("keys", "Owner").await?;
    edit(&tenant, json!({ "data": { "user": null } })).await?;
    tenant.holds("db", &RIGHT).await?;
    edit(&tenant, json!({ "stringData": { "extra": "key" } })).await?;
    tenant.holds("db", &RIGHT).await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_target_is_made_again() -> Result<()> {
    let (tenant, _operator) = synced("deleted", "Owner").await?;
    let before = tenant.namespace.secrets().get("db").await?.uid();
    tenant.namespace.secrets().delete("db", &DeleteParams::default()).await?;
    tenant
        .namespace
        .wait_for_secret("db", |secret| secret.uid() != before && values(secret).contains_key("user"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn labels_and_owner_are_restored() -> Result<()> {
    let (tenant, _operator) = synced("frame", "Owner").await?;
    let right = |secret: &k8s_openapi::api::core::v1::Secret| {
        secret.labels().get("team").is_some_and(|team| team == "a")
            && secret.labels().contains_key("reconcile.external-secrets.io/managed")
            && !secret.owner_references().is_empty()
    };
    edit(&tenant, json!({ "metadata": { "labels": { "team": "b" } } })).await?;
    tenant.namespace.wait_for_secret("db", right).await?;
    edit(&tenant, json!({ "metadata": { "labels": { "reconcile.external-secrets.io/managed": null } } })).await?;
    tenant.namespace.wait_for_secret("db", right).await?;
    edit(&tenant, json!({ "metadata": { "ownerReferences": null } })).await?;
    tenant.namespace.wait_for_secret("db", right).await?;
    Ok(())
}

#[tokio::test]
async fn repairing_is_quiet_when_it_is_done() -> Result<()> {
    let (tenant, _operator) = synced("quiet", "Owner").await?;
    edit(&tenant, json!({ "stringData": { "password": "wrong" } })).await?;
    tenant.holds("db", &RIGHT).await?;
    tenant.fence("first", "vault").await?;
    let bytes = tenant.bytes("db").await?;
    let mark = tenant.requests()?;

    tenant.fence("second", "vault").await?;

    assert_eq!(tenant.bytes("db").await?, bytes);
    let again: Vec<_> = tenant.requests_since(mark)?.into_iter().filter(|request| request.name == "db").collect();
    assert_eq!(again, []);
    Ok(())
}

/// It belongs to nobody: what others do with it between two refreshes is their business.
#[tokio::test]
async fn an_orphan_is_not_repaired_before_the_next_sync() -> Result<()> {
    let (tenant, _operator) = synced("free", "Orphan").await?;
    edit(&tenant, json!({ "stringData": { "password": "theirs" } })).await?;
    tenant.fence("fence", "vault").await?;
    tenant.holds("db", &[("password", "theirs"), ("user", "ann")]).await?;

    let db = external_secret("db").extract("db").with("/spec/target/creationPolicy", "Orphan").label("team", "a");
    tenant.apply(&db.annotation("force-sync", "1")).await?;

    tenant.holds("db", &RIGHT).await?;
    Ok(())
}
