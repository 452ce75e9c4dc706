//! Labels and annotations of an ExternalSecret are copied to its target.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret};

fn db() -> Manifest {
    external_secret("db").property("password", "db", "password")
}

/// What is on the target besides the marks that every target has.
fn copied(map: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let ours = |key: &&String| !key.starts_with("reconcile.external-secrets.io/");
    map.iter().filter(|(key, _)| ours(key)).map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn has(secret: &Secret, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> bool {
    copied(secret.labels()) == labels.iter().copied().collect()
        && copied(secret.annotations()) == annotations.iter().copied().collect()
}

#[tokio::test]
async fn they_follow_those_of_the_external_secret() -> Result<()> {
    let tenant = Tenant::create("metadata").await?;
    tenant.kv.put("db", &json!({ "password": "value" })).await?;
    let _operator = tenant.operator().start().await?;

    tenant.apply(&db().label("app.kubernetes.io/name", "shop").label("tier", "1").annotation("note", "a b")).await?;
    let both = [("app.kubernetes.io/name", "shop"), ("tier", "1")];
    tenant.namespace.wait_for_secret("db", |secret| has(secret, &both, &[("note", "a b")])).await?;

    tenant.apply(&db().label("tier", "2").annotation("note", "c").annotation("more", "d")).await?;
    let annotations = [("more", "d"), ("note", "c")];
    tenant.namespace.wait_for_secret("db", |secret| has(secret, &[("tier", "2")], &annotations)).await?;

    tenant.apply(&db()).await?;
    tenant.namespace.wait_for_secret("db", |secret| has(secret, &[], &[])).await?;
    Ok(())
}

#[tokio::test]
async fn those_of_others_stay() -> Result<()> {
    let tenant = Tenant::create("annotated").await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db().label("tier", "1")).await?;
    tenant.synced("db").await?;
    let theirs = json!({ "metadata": { "labels": { "backup": "yes" }, "annotations": { "seen-by": "auditor" } } });
    tenant.namespace.secrets().patch("db", &PatchParams::default(), &Patch::Merge(theirs)).await?;

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    tenant.apply(&db().label("tier", "2")).await?;

    let labels = [("backup", "yes"), ("tier", "2")];
    tenant.namespace.wait_for_secret("db", |secret| has(secret, &labels, &[("seen-by", "auditor")])).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}
