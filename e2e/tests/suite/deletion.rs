//! What becomes of the target when the backend no longer has the secret.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, Fault, Operator, Relay, condition};
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret, secret_store, vault};

fn db() -> Manifest {
    external_secret("db").every("1s").property("password", "db", "password")
}

fn deleting() -> Manifest {
    db().with("/spec/target/deletionPolicy", "Delete")
}

/// A team with a remote secret and a running operator.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let operator = tenant.operator().start().await?;
    Ok((tenant, operator))
}

#[tokio::test]
async fn retain_keeps_it_and_says_what_is_missing() -> Result<()> {
    let (tenant, _operator) = tenant("retain").await?;
    tenant.apply(&db()).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;

    tenant.kv.delete("db").await?;

    tenant.fails("db", &["RemoteNotFound", "spec.data[0]", "db", "create it"]).await?;
    tenant.fence("fence", "vault").await?;
    assert_eq!(tenant.bytes("db").await?, bytes);

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn delete_deletes_it_until_the_secret_is_back() -> Result<()> {
    let (tenant, _operator) = tenant("delete").await?;
    tenant.apply(&deleting()).await?;
    tenant.synced("db").await?;

    tenant.kv.delete("db").await?;

    tenant.namespace.wait_for_no_secret("db").await?;
    let parts = ["secret deleted due to DeletionPolicy=Delete"];
    let object = tenant.namespace.wait_for_ready("ExternalSecret", "db", "True", &parts).await?;
    assert_eq!(condition(&object, "Ready").map(|ready| &ready["reason"]), Some(&json!("SecretDeleted")));
    tenant.tells("ExternalSecret", "db", "Deleted", "secret deleted due to DeletionPolicy=Delete").await?;

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn delete_drops_only_the_keys_that_are_gone() -> Result<()> {
    let (tenant, _operator) = tenant("partly").await?;
    tenant.kv.put("mail", &json!({ "password": "mail" })).await?;
    tenant.apply(&deleting().property("mail", "mail", "password")).await?;
    tenant.holds("db", &[("mail", "mail"), ("password", "first")]).await?;

    tenant.kv.delete("mail").await?;

    tenant.holds("db", &[("password", "first")]).await?;
    Ok(())
}

/// Only the backend's own "there is no such secret" counts.
#[tokio::test]
async fn delete_needs_a_positive_answer() -> Result<()> {
    let (tenant, _operator) = tenant("positive").await?;
    let relay = Relay::to(Bao::shared().await?.url()).await?;
    tenant.apply(&secret_store("relayed", vault(relay.url(), tenant.name()))).await?;
    tenant.apply(&deleting().store("relayed")).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;

    let page = "<html><body>404 page not found</body></html>";
    for (status, body) in [(404, page), (404, ""), (200, ""), (200, "{}"), (204, ""), (403, page), (301, "")] {
        relay.fail(Fault::Answer { status, headers: &["Content-Type: text/html"], body });
        tenant.fails("db", &[]).await?;
        tenant.fence(&format!("fence-{status}-{}", body.len()), "vault").await?;
        assert_eq!(tenant.bytes("db").await?, bytes, "after {status} {body:?}");
        relay.recover();
        tenant.synced("db").await?;
    }
    Ok(())
}

/// With nobody to ask, the target of an ExternalSecret that is deleted goes through its owner reference alone.
#[tokio::test]
async fn an_external_secret_can_be_deleted_without_an_operator() -> Result<()> {
    let (tenant, mut operator) = tenant("uninstalled").await?;
    tenant.apply(&deleting()).await?;
    tenant
        .apply(
            &external_secret("kept")
                .property("password", "db", "password")
                .with("/spec/target/creationPolicy", "Orphan"),
        )
        .await?;
    tenant.synced("db").await?;
    tenant.synced("kept").await?;
    let bytes = tenant.bytes("kept").await?;
    operator.terminate().await?;

    tenant.delete("ExternalSecret", "db").await?;
    tenant.delete("ExternalSecret", "kept").await?;

    tenant.namespace.wait_for_no_secret("db").await?;
    assert_eq!(tenant.bytes("kept").await?, bytes);
    Ok(())
}
