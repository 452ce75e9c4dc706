//! What External Secrets Operator left behind is taken over as it is.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use keyferry_e2e::harness::wait;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret};

/// Its SHA3-224 of generation 1 without labels and annotations, and that of the data `foo: bar`.
const SYNCED_VERSION: &str = "1-f47fe3c0b255b6dd8047cdffa772587bb829efe7a1cb70febeda2eb2";
const DATA_HASH: &str = "f2a604b87eb0cf673761e8cfea850f901fe73a3d1b2f338802107f36";

const FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";

fn db() -> Manifest {
    external_secret("db").property("foo", "db", "foo")
}

/// A synced ExternalSecret with its target, as the other operator leaves them when it is uninstalled.
async fn left_behind(tenant: &Tenant<'_>) -> Result<()> {
    tenant.kv.put("db", &json!({ "foo": "bar" })).await?;
    tenant.apply(&db().with("/metadata/finalizers", json!([FINALIZER]))).await?;
    let objects = tenant.namespace.objects("ExternalSecret").await?;
    let object = objects.get("db").await?;
    let target: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": "db",
            "labels": {
                "reconcile.external-secrets.io/managed": "true",
                "reconcile.external-secrets.io/created-by": "0".repeat(56),
            },
            "annotations": { "reconcile.external-secrets.io/data-hash": DATA_HASH },
            "ownerReferences": [{
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "db",
                "uid": object.uid().context("it has no uid")?, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "stringData": { "foo": "bar" },
    }))?;
    tenant.namespace.secrets().create(&PostParams::default(), &target).await?;
    let status = json!({ "status": {
        "binding": { "name": "db" },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
            "lastTransitionTime": now(),
        }],
        "refreshTime": now(),
        "syncedResourceVersion": SYNCED_VERSION,
    } });
    objects.patch_status("db", &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn a_synced_target_is_neither_written_nor_read_anew() -> Result<()> {
    let tenant = Tenant::create("adoption").await?;
    left_behind(&tenant).await?;
    let (bytes, reads) = (tenant.bytes("db").await?, tenant.reads()?);

    let _operator = tenant.operator().start().await?;
    tenant.fence("fence", "vault").await?;

    assert_eq!(tenant.bytes("db").await?, bytes);
    assert_eq!(tenant.reads_since(reads, "db")?, []);
    Ok(())
}

#[tokio::test]
async fn a_target_that_was_edited_meanwhile_is_repaired() -> Result<()> {
    let tenant = Tenant::create("adopted-drift").await?;
    left_behind(&tenant).await?;
    let edit = json!({ "stringData": { "foo": "edited" } });
    tenant.namespace.secrets().patch("db", &PatchParams::default(), &Patch::Merge(edit)).await?;

    let _operator = tenant.operator().start().await?;

    let secret = tenant.holds("db", &[("foo", "bar")]).await?;
    // A hash from which a short value could be guessed does not stay.
    assert!(!secret.annotations().contains_key("reconcile.external-secrets.io/data-hash"), "{:?}", secret.metadata);
    Ok(())
}

#[tokio::test]
async fn a_finalizer_of_the_other_operator_does_not_keep_what_is_deleted() -> Result<()> {
    let tenant = Tenant::create("finalizer").await?;
    left_behind(&tenant).await?;
    let _operator = tenant.operator().start().await?;

    tenant.delete("ExternalSecret", "db").await?;

    let objects = tenant.namespace.objects("ExternalSecret").await?;
    wait::until(&objects, "db", "the ExternalSecret is gone", wait::DEADLINE, |object| object.is_none()).await?;
    tenant.namespace.wait_for_no_secret("db").await
}
