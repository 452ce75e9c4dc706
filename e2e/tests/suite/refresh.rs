//! When the backend is read, and when not.

use std::time::{Duration, Instant};

use anyhow::Result;
use keyferry_e2e::harness::wait;
use serde_json::json;

use crate::support::{Manifest, Tenant, external_secret};

fn db() -> Manifest {
    external_secret("db").property("password", "db", "password")
}

async fn rotate(tenant: &Tenant<'_>, value: &str) -> Result<()> {
    tenant.kv.put("db", &json!({ "password": value })).await
}

#[tokio::test]
async fn a_new_value_arrives_with_the_next_tick() -> Result<()> {
    let tenant = Tenant::create("rotation").await?;
    rotate(&tenant, "first").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db().every("2s")).await?;
    tenant.holds("db", &[("password", "first")]).await?;

    for value in ["second", "third"] {
        rotate(&tenant, value).await?;
        let written = Instant::now();
        tenant.holds("db", &[("password", value)]).await?;
        assert!(written.elapsed() <= Duration::from_secs(4), "{value} took {:?}", written.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn an_unchanged_value_is_read_and_never_written() -> Result<()> {
    let tenant = Tenant::create("unchanged").await?;
    rotate(&tenant, "same").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db().every("1s")).await?;
    tenant.synced("db").await?;
    tenant.fence("before", "vault").await?;
    let (bytes, requests) = (tenant.bytes("db").await?, tenant.requests()?);

    tenant.ticks("db", 4).await?;

    assert_eq!(tenant.bytes("db").await?, bytes);
    let requests = tenant.requests_since(requests)?;
    let for_secrets: Vec<_> = requests.iter().filter(|request| request.resource == "secrets").collect();
    assert!(for_secrets.is_empty(), "{for_secrets:?}");
    let heartbeats = requests.iter().filter(|request| request.resource == "externalsecrets/status").count();
    assert!(heartbeats <= 1, "{requests:?}");
    Ok(())
}

#[tokio::test]
async fn who_reads_the_same_key_on_the_same_tick_shares_the_read() -> Result<()> {
    let tenant = Tenant::create("shared").await?;
    rotate(&tenant, "same").await?;
    let _operator = tenant.operator().start().await?;
    for n in 0..20 {
        let other = external_secret(&format!("db-{n}")).every("2s").property("password", "db", "password");
        tenant.apply(&other).await?;
    }
    for n in 0..20 {
        tenant.synced(&format!("db-{n}")).await?;
    }

    let (begin, mark) = (Instant::now(), tenant.reads()?);
    let reads = wait::eventually("three ticks pass", wait::DEADLINE, async || {
        let reads = tenant.reads_since(mark, "db")?.len();
        Ok((begin.elapsed() > Duration::from_secs(6)).then_some(reads))
    })
    .await?;

    // One read may lie at either end of the window.
    assert!((2..=5).contains(&reads), "{reads} reads in three ticks");
    Ok(())
}

#[tokio::test]
async fn any_change_of_labels_annotations_or_spec_is_synced_at_once() -> Result<()> {
    let tenant = Tenant::create("forced").await?;
    rotate(&tenant, "first").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db()).await?;
    tenant.holds("db", &[("password", "first")]).await?;

    rotate(&tenant, "by annotation").await?;
    tenant.apply(&db().annotation("force-sync", "1")).await?;
    tenant.holds("db", &[("password", "by annotation")]).await?;

    rotate(&tenant, "by another value").await?;
    tenant.apply(&db().annotation("force-sync", "2")).await?;
    tenant.holds("db", &[("password", "by another value")]).await?;

    rotate(&tenant, "by label").await?;
    tenant.apply(&db().annotation("force-sync", "2").label("team", "a")).await?;
    tenant.holds("db", &[("password", "by label")]).await?;

    rotate(&tenant, "by spec").await?;
    tenant.apply(&db().annotation("force-sync", "2").label("team", "a").every("2h")).await?;
    tenant.holds("db", &[("password", "by spec")]).await?;
    Ok(())
}

#[tokio::test]
async fn without_an_interval_only_changes_are_synced() -> Result<()> {
    let tenant = Tenant::create("never").await?;
    rotate(&tenant, "first").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&db().every("0")).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    let mark = tenant.reads()?;
    rotate(&tenant, "second").await?;
    let clock = external_secret("clock").every("1s").property("password", "clock", "password");
    tenant.kv.put("clock", &json!({ "password": "x" })).await?;
    tenant.apply(&clock).await?;
    tenant.ticks("clock", 4).await?;
    assert_eq!(tenant.reads_since(mark, "db")?, []);

    tenant.apply(&db().every("0").annotation("force-sync", "1")).await?;

    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn created_once_is_read_again_only_to_replace_a_lost_target() -> Result<()> {
    let tenant = Tenant::create("once").await?;
    rotate(&tenant, "first").await?;
    let _operator = tenant.operator().start().await?;
    let once = db().every("1s").with("/spec/refreshPolicy", "CreatedOnce");
    tenant.apply(&once).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    let bytes = tenant.bytes("db").await?;

    rotate(&tenant, "second").await?;
    tenant.apply(&once.annotation("force-sync", "1")).await?;
    tenant.fence("fence", "vault").await?;
    assert_eq!(tenant.bytes("db").await?, bytes);

    tenant.namespace.secrets().delete("db", &kube::api::DeleteParams::default()).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn on_change_knows_no_ticks() -> Result<()> {
    let tenant = Tenant::create("onchange").await?;
    rotate(&tenant, "first").await?;
    let _operator = tenant.operator().start().await?;
    let on_change = db().every("1s").with("/spec/refreshPolicy", "OnChange");
    tenant.apply(&on_change).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    let mark = tenant.reads()?;
    rotate(&tenant, "second").await?;
    tenant.kv.put("clock", &json!({ "password": "x" })).await?;
    tenant.apply(&external_secret("clock").every("1s").property("password", "clock", "password")).await?;
    tenant.ticks("clock", 4).await?;
    assert_eq!(tenant.reads_since(mark, "db")?, []);

    tenant.apply(&on_change.label("team", "a")).await?;

    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}
