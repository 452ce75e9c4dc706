//! Faults of the backend and of the cluster: Secrets keep every byte, others go on, and recovery needs nobody.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use keyferry_e2e::harness::{Bao, ControlPlane, Fault, Relay, install_rbac, wait};
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret, secret_store, values, vault};

/// How long it may take until a call that nobody answers is given up and told.
const PATIENCE: Duration = Duration::from_mins(1);

/// Reads through the relay, and would let go of its target if it were told that the secret is gone.
fn db() -> Manifest {
    external_secret("db")
        .store("relayed")
        .every("2s")
        .property("password", "db", "password")
        .with("/spec/target/deletionPolicy", "Delete")
}

/// One fault between a store and its backend, while another store of the same backend works.
async fn survives(prefix: &str, fault: Fault, parts: &[&str]) -> Result<()> {
    let (tenant, bao) = (Tenant::create(prefix).await?, Bao::shared().await?);
    let relay = Relay::to(bao.url()).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    tenant.apply(&secret_store("relayed", vault(relay.url(), tenant.name()))).await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db()).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;

    relay.fail(fault);
    let api = tenant.namespace.objects("ExternalSecret").await?;
    wait::until(&api, "db", &format!("db is not Ready and says {parts:?}"), PATIENCE, |object| {
        let ready = object.and_then(|object| keyferry_e2e::harness::condition(object, "Ready"));
        ready.is_some_and(|ready| {
            let message = ready["message"].as_str().unwrap_or_default();
            ready["status"] == "False" && parts.iter().all(|part| message.contains(part))
        })
    })
    .await?;
    tenant.fence("somebody-else", "vault").await?;
    assert_eq!(tenant.bytes("db").await?, bytes);

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    relay.recover();
    tenant.holds("db", &[("password", "second")]).await?;
    tenant.synced("db").await?;
    tenant.store_works("relayed").await?;
    Ok(())
}

const JSON: &[&str] = &["Content-Type: application/json"];

#[tokio::test]
async fn the_backend_is_down() -> Result<()> {
    survives("down", Fault::Down, &["ProviderUnreachable", "it is tried again"]).await
}

#[tokio::test]
async fn the_backend_never_answers() -> Result<()> {
    survives("black-hole", Fault::BlackHole, &["ProviderUnreachable", "it is tried again"]).await
}

#[tokio::test]
async fn the_answer_is_cut_short() -> Result<()> {
    survives("cut-short", Fault::CutShort, &["db"]).await
}

#[tokio::test]
async fn the_backend_asks_for_patience() -> Result<()> {
    let headers = &["Content-Type: application/json", "Retry-After: 1"];
    let fault = Fault::Answer { status: 429, headers, body: r#"{"errors":["rate limit"]}"# };
    survives("throttled", fault, &["Throttled", "429", "when the backend allows"]).await
}

#[tokio::test]
async fn the_backend_has_a_fault() -> Result<()> {
    for status in [500, 503] {
        let fault = Fault::Answer { status, headers: JSON, body: r#"{"errors":["internal error"]}"# };
        survives("fault", fault, &["ProviderUnreachable", &status.to_string()]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_answer_is_empty() -> Result<()> {
    survives("empty", Fault::Answer { status: 200, headers: JSON, body: "" }, &["UnexpectedResponse"]).await
}

#[tokio::test]
async fn the_answer_is_half_a_document() -> Result<()> {
    let body = r#"{"request_id":"7","lease_id":"","data":{"data":{"password":"fir"#;
    survives("half", Fault::Answer { status: 200, headers: JSON, body }, &["UnexpectedResponse"]).await
}

#[tokio::test]
async fn a_proxy_answers_instead() -> Result<()> {
    let headers = &["Content-Type: text/html"];
    let fault = Fault::Answer { status: 404, headers, body: "<html>404 page not found</html>" };
    survives("proxy", fault, &["404", "check `server`"]).await
}

/// A store that hangs must not slow down another one: they share a process, and nothing else.
#[tokio::test]
async fn a_store_that_hangs_does_not_hold_up_the_others() -> Result<()> {
    let (tenant, bao) = (Tenant::create("hanging").await?, Bao::shared().await?);
    let relay = Relay::to(bao.url()).await?;
    relay.fail(Fault::BlackHole);
    tenant.apply(&secret_store("relayed", vault(relay.url(), tenant.name()))).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let _operator = tenant.operator().start().await?;
    let hanging = (0..100).map(|n| external_secret(&format!("hanging-{n}")).store("relayed"));
    let healthy = (0..20).map(|n| external_secret(&format!("healthy-{n}")));
    create_all(&tenant, hanging.chain(healthy).map(|manifest| manifest.property("password", "db", "password"))).await?;

    for n in 0..20 {
        tenant.synced(&format!("healthy-{n}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_api_server_restarts() -> Result<()> {
    // A control plane of its own: the other tests must not notice.
    let (cluster, bao) = (ControlPlane::start().await?, Bao::shared().await?);
    install_rbac(&cluster.client()?).await?;
    let tenant = Tenant::settle(&cluster, bao, "upgrade").await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let mut operator = tenant.operator().start().await?;
    let often = external_secret("db").every("1s").property("password", "db", "password");
    tenant.apply(&often).await?;
    tenant.apply(&external_secret("hourly").property("password", "db", "password")).await?;
    tenant.synced("db").await?;
    tenant.synced("hourly").await?;
    let bytes = tenant.bytes("hourly").await?;

    cluster.stop_apiserver().await?;
    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    tenant.ticks("db", 2).await?;
    assert!(operator.health("/healthz").await.is_ok(), "an outage of the API server is no reason to be restarted");
    cluster.start_apiserver().await?;

    tenant.holds("db", &[("password", "second")]).await?;
    // Watches are back as well: what is changed now is noticed.
    tenant.fence("new", "vault").await?;
    assert_eq!(tenant.bytes("hourly").await?, bytes);
    operator.terminate().await?;
    Ok(())
}

/// How many ExternalSecrets are created at once.
const BURST: usize = 200;

#[tokio::test]
async fn the_operator_is_killed_in_the_middle_of_a_burst() -> Result<()> {
    let tenant = Tenant::create("killed").await?;
    tenant.kv.put("db", &json!({ "password": "value" })).await?;
    let mut operator = tenant.operator().start().await?;
    let secrets = tenant.namespace.secrets();
    let count = async || anyhow::Ok(targets(&secrets).await?.len());

    create_all(&tenant, (0..BURST).map(|n| external_secret(&format!("db-{n}")).property("password", "db", "password")))
        .await?;
    wait::eventually("some targets exist", wait::DEADLINE, async || Ok((count().await? > BURST / 10).then_some(())))
        .await?;
    operator.kill()?;
    let before = targets(&secrets).await?;
    let _operator = operator.restart().await?;

    for n in 0..BURST {
        tenant.synced(&format!("db-{n}")).await?;
    }
    let after = targets(&secrets).await?;
    assert_eq!(after.len(), BURST);
    for secret in &after {
        assert_eq!(values(secret).into_iter().collect::<Vec<_>>(), [("password".to_owned(), "value".to_owned())]);
        assert_eq!(secret.owner_references().len(), 1);
    }
    // What the killed process wrote was right, and is not written again.
    for secret in &before {
        let now = after.iter().find(|now| now.name_any() == secret.name_any()).context("a target is gone")?;
        assert_eq!(now.metadata.resource_version, secret.metadata.resource_version, "{}", secret.name_any());
    }
    Ok(())
}

async fn targets(secrets: &Api<Secret>) -> Result<Vec<Secret>> {
    let managed = ListParams::default().labels("reconcile.external-secrets.io/managed=true");
    Ok(secrets.list(&managed).await?.items)
}

/// Creates objects all at once, as a chart or a GitOps tool does.
async fn create_all(tenant: &Tenant<'_>, manifests: impl Iterator<Item = Manifest>) -> Result<()> {
    let api = tenant.namespace.objects("ExternalSecret").await?;
    let creations = manifests.map(|manifest| {
        let api = api.clone();
        async move {
            let object: DynamicObject = serde_json::from_str(&manifest.to_string())?;
            anyhow::Ok(api.create(&PostParams::default(), &object).await?)
        }
    });
    try_join_all(creations).await?;
    Ok(())
}
