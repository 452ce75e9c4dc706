//! `docs/backends/fake.md`.

use anyhow::Result;
use serde_json::{Value, json};

use super::Stage;

pub(super) async fn tries_all() -> Result<()> {
    let mut stage = Stage::open("fake.md", |operator| operator).await?;
    let expected = [("password", "not a secret")];
    stage.works("Values", &[], |es| es.property("password", "/prod/db", "password"), &expected).await?;
    let expected = [("password", "not a secret"), ("first-token", "first"), ("_prod_token", "second")];
    stage.syncs("What a reference means", &expected).await?;
    provoke(&mut stage).await?;
    stage.apply("A store that fails", &[]).await?;
    stage.says("validationResult is 2", "SecretStore", "fake").await?;
    stage.close()
}

async fn provoke(stage: &mut Stage) -> Result<()> {
    let entry = |remote: Value| json!({ "secretKey": "value", "remoteRef": remote });
    stage.reader_says("data has no key", "fake", |es| es.key("value", "/prod/nothing")).await?;
    let version = entry(json!({ "key": "/prod/token", "version": "v3" }));
    stage.reader_says("data has no version", "fake", |es| es.add("data", version)).await?;
    let metadata = entry(json!({ "key": "/prod/token", "metadataPolicy": "Fetch" }));
    stage.reader_says("entries of a fake store", "fake", |es| es.add("data", metadata)).await?;
    let path = json!({ "find": { "path": "/prod" } });
    stage.reader_says("a fake store has no paths", "fake", |es| es.add("dataFrom", path)).await?;
    let tags = json!({ "find": { "tags": { "team": "payments" } } });
    stage.reader_says("this backend cannot find", "fake", |es| es.add("dataFrom", tags)).await?;
    let other = json!({ "fake": { "validationResult": 7, "data": [] } });
    stage.store_says("validationResult is …", "other", other).await
}
