//! The errors that the page tells.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, KvVersion};
use serde_json::json;

use super::{SERVER, Stage, password};
use crate::support::{Manifest, credential, secret_store, vault, vault_at};

/// Provokes errors. At the end the server is sealed.
pub(super) async fn provoke(stage: &mut Stage, bao: &Bao) -> Result<()> {
    of_readers(stage, bao).await?;
    of_logins(stage, bao).await?;
    of_settings(stage, bao).await?;
    bao.write("sys/seal", &json!({})).await?;
    stage.store_says("Vault is sealed", "sealed", vault(bao.url(), "secret")).await
}

async fn of_readers(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let read = |key: &'static str, property: &'static str| move |es: Manifest| es.property("value", key, property);
    let kv = bao.kv("secret", KvVersion::V2);
    kv.put("prod/deleted", &json!({ "password": "gone" })).await?;
    kv.delete("prod/deleted").await?;
    stage.apply("A token", &[(SERVER, bao.url())]).await?;
    stage.reader_says("the token may not use", "vault", read("elsewhere/db", "password")).await?;
    stage.reader_says("there is no secret/data/", "vault", read("prod/nothing", "password")).await?;
    stage.reader_says("version … of … has been deleted", "vault", read("prod/deleted", "password")).await?;
    let version = json!({ "secretKey": "value", "remoteRef": { "key": "prod/db", "version": "99" } });
    stage.reader_says("there is no version … of …", "vault", |es| es.add("data", version)).await?;
    stage.reader_says("the path \"…\" must not have", "vault", read("prod/../../sys/mounts", "x")).await?;
    stage.reader_says("the secret has no property", "vault", read("prod/db", "nothing")).await
}

async fn of_logins(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let secret = |key: &str| json!({ "name": "wrong", "key": key });
    stage.tenant.apply(&credential("wrong", &[("secret-id", "wrong"), ("token", "wrong")])).await?;
    let role = vault_at(bao.url(), "secret", json!({ "appRole": { "roleId": "x", "secretRef": secret("secret-id") } }));
    stage.store_says("the login at auth/", "wrong-role", role).await?;
    let token = vault_at(bao.url(), "secret", json!({ "tokenSecretRef": secret("token") }));
    stage.store_says("the token is not valid", "wrong-token", token).await?;
    let nothing = vault_at(bao.url(), "secret", json!({}));
    stage.store_says("names no way to log in", "no-method", nothing).await?;
    let own = vault_at(bao.url(), "secret", json!({ "kubernetes": { "role": "app" } }));
    stage.store_says("would send the operator's own token", "own-token", own).await
}

async fn of_settings(stage: &mut Stage, bao: &Bao) -> Result<()> {
    stage.tenant.apply(&credential("vault-token", &[("token", bao.root_token())])).await?;
    let with = |field: &str, value: &str| {
        let mut provider = vault(bao.url(), "secret");
        provider["vault"][field] = json!(value);
        provider
    };
    bao.mount_kv("old", KvVersion::V1).await?;
    let stores = [("nowhere", with("path", "nowhere")), ("v1", with("version", "v1")), ("old", with("path", "old"))];
    for (name, provider) in stores {
        stage.tenant.apply(&secret_store(name, provider)).await?;
    }
    stage.reader_says("no secrets engine is mounted", "nowhere", password).await?;
    stage.reader_says("the engine does not know", "v1", password).await?;
    stage.reader_says("the engine at … is not KV version 2", "old", password).await?;
    let mut lengthy = vault(bao.url(), "secret");
    lengthy["vault"]["headers"] = json!({ "Content-Length": "2" });
    stage.store_says("headers: …", "lengthy", lengthy).await?;
    let version = json!({ "secretKey": "value", "remoteRef": { "key": "prod/db", "version": "1" } });
    stage.reader_says("KV version 1 keeps no versions", "v1", |es| es.add("data", version)).await?;
    stage.store_says("there is no such namespace", "no-namespace", with("namespace", "nowhere")).await
}
