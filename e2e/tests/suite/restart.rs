//! A restart of the operator costs nothing where everything is in sync, and heals what happened meanwhile.

use anyhow::Result;
use keyferry_e2e::harness::{Mark, Operator};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::support::{Tenant, external_secret};

const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// A team with synced targets `db-0` … `db-9`, and its operator.
async fn synced(prefix: &str) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let operator = tenant.operator().start().await?;
    for n in 0..10 {
        let policy = if n % 2 == 0 { "Owner" } else { "Orphan" };
        let db = external_secret(&format!("db-{n}")).property("password", "db", "password");
        tenant.apply(&db.label("team", "a").with("/spec/target/creationPolicy", policy)).await?;
    }
    for n in 0..10 {
        tenant.synced(&format!("db-{n}")).await?;
    }
    tenant.store_works("vault").await?;
    tenant.fence("before", "vault").await?;
    Ok((tenant, operator))
}

/// Writes of the operator for anything that was there before.
fn writes_since(tenant: &Tenant<'_>, mark: Mark) -> Result<Vec<String>> {
    let requests = tenant.requests_since(mark)?;
    let writes = requests.iter().filter(|request| WRITES.contains(&request.verb.as_str()));
    // An event is named after what it tells of.
    let old = writes.filter(|request| !request.name.starts_with("after"));
    Ok(old.map(|request| format!("{} {} {}", request.verb, request.resource, request.name)).collect())
}

#[tokio::test]
async fn nothing_is_written_and_nothing_read_when_all_is_in_sync() -> Result<()> {
    let (tenant, mut operator) = synced("restart").await?;
    for way in ["terminated", "killed"] {
        match way {
            "terminated" => drop(operator.terminate().await?),
            _ => operator.kill()?,
        }
        let (requests, reads) = (tenant.requests()?, tenant.reads()?);
        operator = operator.restart().await?;
        tenant.fence(&format!("after-being-{way}"), "vault").await?;

        assert_eq!(writes_since(&tenant, requests)?, Vec::<String>::new(), "after being {way}");
        assert_eq!(tenant.reads_since(reads, "db")?, [], "after being {way}");
    }
    Ok(())
}

#[tokio::test]
async fn what_happened_meanwhile_is_noticed() -> Result<()> {
    let (tenant, mut operator) = synced("meanwhile").await?;
    operator.terminate().await?;
    let secrets = tenant.namespace.secrets();
    secrets.delete("db-0", &DeleteParams::default()).await?;
    let edit = json!({ "stringData": { "password": "edited" } });
    secrets.patch("db-2", &PatchParams::default(), &Patch::Merge(edit)).await?;
    tenant.kv.put("new", &json!({ "password": "new" })).await?;
    tenant.apply(&external_secret("db-4").property("password", "new", "password").label("team", "a")).await?;
    tenant.apply(&external_secret("db-9").property("password", "new", "password")).await?;
    let untouched = tenant.bytes("db-6").await?;

    let _operator = operator.restart().await?;

    tenant.holds("db-0", &[("password", "first")]).await?;
    tenant.holds("db-2", &[("password", "first")]).await?;
    tenant.holds("db-4", &[("password", "new")]).await?;
    tenant.holds("db-9", &[("password", "new")]).await?;
    assert_eq!(tenant.bytes("db-6").await?, untouched);
    Ok(())
}
