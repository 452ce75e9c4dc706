//! What comes out of Vault's two KV engines, and how its paths are written.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, KvVersion, wait};
use serde_json::{Value, json};

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store, vault};

fn database() -> Value {
    json!({ "user": "ann", "password": "<s3cret>&", "port": 5432, "nodes": [{ "host": "a" }, { "host": "b" }] })
}

/// What each way to ask for it gives.
const DATABASE: [(&str, &str); 8] = [
    ("all", r#"{"nodes":[{"host":"a"},{"host":"b"}],"password":"\u003cs3cret\u003e\u0026","port":5432,"user":"ann"}"#),
    ("host", "b"),
    ("nodes", r#"[{"host":"a"},{"host":"b"}]"#),
    ("password", "<s3cret>&"),
    ("port", "5432"),
    ("port-of-db", "5432"),
    ("user", "ann"),
    ("user-of-db", "ann"),
];

fn everything(name: &str, store: &str) -> Manifest {
    external_secret(name)
        .store(store)
        .extract("team/db")
        .key("all", "team/db")
        .property("user-of-db", "team/db", "user")
        .property("port-of-db", "team/db", "port")
        .property("host", "team/db", "nodes.1.host")
}

#[tokio::test]
async fn version_2_gives_values_properties_and_whole_maps() -> Result<()> {
    let tenant = Tenant::create("kv2").await?;
    tenant.kv.put("team/db", &database()).await?;
    let _operator = tenant.operator().start().await?;

    tenant.apply(&everything("db", "vault")).await?;

    tenant.holds("db", &DATABASE).await?;
    Ok(())
}

#[tokio::test]
async fn version_1_gives_the_same() -> Result<()> {
    let (tenant, bao) = (Tenant::create("kv1").await?, Bao::shared().await?);
    let mount = format!("{}-v1", tenant.name());
    bao.mount_kv(&mount, KvVersion::V1).await?.put("team/db", &database()).await?;
    let store = secret_store("v1", vault(bao.url(), &mount)).with("/spec/provider/vault/version", "v1");
    tenant.apply(&store).await?;
    let _operator = tenant.operator().start().await?;

    tenant.apply(&everything("db", "v1")).await?;

    tenant.holds("db", &DATABASE).await?;
    Ok(())
}

#[tokio::test]
async fn a_path_may_be_written_with_and_without_its_mount() -> Result<()> {
    let (tenant, bao) = (Tenant::create("paths").await?, Bao::shared().await?);
    let (v2, v1) = (tenant.name().to_owned(), format!("{}-v1", tenant.name()));
    let mut without_path = vault(bao.url(), "");
    without_path["vault"].as_object_mut().expect("a provider is an object").remove("path");
    tenant.apply(&secret_store("without-path", without_path.clone())).await?;
    let version = "/spec/provider/vault/version";
    tenant.apply(&secret_store("v1", vault(bao.url(), &v1)).with(version, "v1")).await?;
    tenant.apply(&secret_store("v1-without-path", without_path).with(version, "v1")).await?;
    tenant.kv.put("team/db", &json!({ "user": "ann" })).await?;
    bao.mount_kv(&v1, KvVersion::V1).await?.put("team/db", &json!({ "user": "ann" })).await?;
    let _operator = tenant.operator().start().await?;

    let forms = [
        ("vault", "team/db".to_owned()),
        ("vault", format!("{v2}/team/db")),
        ("vault", format!("{v2}/data/team/db")),
        ("without-path", format!("{v2}/team/db")),
        ("without-path", format!("{v2}/data/team/db")),
        ("v1", "team/db".to_owned()),
        ("v1", format!("{v1}/team/db")),
        ("v1-without-path", format!("{v1}/team/db")),
    ];
    for (index, (store, key)) in forms.iter().enumerate() {
        let name = format!("form-{index}");
        tenant.apply(&external_secret(&name).store(store).property("user", key, "user")).await?;
    }

    for index in 0..forms.len() {
        tenant.holds(&format!("form-{index}"), &[("user", "ann")]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_version_can_be_named() -> Result<()> {
    let tenant = Tenant::create("version").await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    let _operator = tenant.operator().start().await?;

    let entry = json!({ "secretKey": "old", "remoteRef": { "key": "db", "property": "password", "version": "1" } });
    tenant.apply(&external_secret("db").property("new", "db", "password").add("data", entry)).await?;

    tenant.holds("db", &[("new", "second"), ("old", "first")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_authority_of_ones_own_is_trusted_where_the_store_says_so() -> Result<()> {
    let (tenant, bao) = (Tenant::create("tls").await?, Bao::start_tls().await?);
    let kv = bao.mount_kv("tls", KvVersion::V2).await?;
    kv.put("db", &json!({ "password": "over tls" })).await?;
    tenant.apply(&credential("vault-token", &[("token", bao.root_token())])).await?;
    let ca = bao.ca_pem().expect("it speaks TLS");
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "vault-ca" }, "data": { "ca.crt": ca },
    });
    tenant.namespace.apply(&config_map.to_string()).await?;
    let store = |name: &str| secret_store(name, vault(bao.url(), "tls"));
    let encoded = k8s_openapi::ByteString(ca.as_bytes().to_vec());
    tenant.apply(&store("bundle").with("/spec/provider/vault/caBundle", serde_json::to_value(encoded)?)).await?;
    let provider = json!({ "type": "ConfigMap", "name": "vault-ca", "key": "ca.crt" });
    tenant.apply(&store("provider").with("/spec/provider/vault/caProvider", provider)).await?;
    tenant.apply(&store("untrusting")).await?;
    let _operator = tenant.operator().start().await?;

    for name in ["bundle", "provider"] {
        tenant.apply(&external_secret(name).store(name).property("password", "db", "password")).await?;
        tenant.holds(name, &[("password", "over tls")]).await?;
    }
    tenant.store_fails("untrusting", &["certificate"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_of_the_server_is_entered() -> Result<()> {
    let (tenant, bao) = (Tenant::create("inner").await?, Bao::shared().await?);
    let inner = &format!("{}-inner", tenant.name());
    bao.write(&format!("sys/namespaces/{inner}"), &json!({})).await?;
    let mount = json!({ "type": "kv", "options": { "version": "2" } });
    bao.write(&format!("{inner}/sys/mounts/kv"), &mount).await?;
    let kv = bao.kv(&format!("{inner}/kv"), KvVersion::V2);
    wait::eventually("the mount can be written", wait::DEADLINE, async || {
        Ok(kv.put("db", &json!({ "password": "inside" })).await.ok())
    })
    .await?;
    tenant.apply(&credential("vault-token", &[("token", bao.root_token())])).await?;
    let store = |name: &str| secret_store(name, vault(bao.url(), "kv"));
    tenant.apply(&store("by-field").with("/spec/provider/vault/namespace", inner.as_str())).await?;
    // A header of the user's own is sent as well: this one has the same effect.
    let headers = json!({ "X-Vault-Namespace": inner });
    tenant.apply(&store("by-header").with("/spec/provider/vault/headers", headers)).await?;
    let _operator = tenant.operator().start().await?;

    for name in ["by-field", "by-header"] {
        tenant.apply(&external_secret(name).store(name).property("password", "db", "password")).await?;
        tenant.holds(name, &[("password", "inside")]).await?;
    }
    Ok(())
}

/// An engine of version 1 says of the paths of version 2 that nothing is there.
#[tokio::test]
async fn the_wrong_version_of_an_engine_deletes_nothing() -> Result<()> {
    let (tenant, bao) = (Tenant::create("mistaken").await?, Bao::shared().await?);
    let mount = format!("{}-v1", tenant.name());
    bao.mount_kv(&mount, KvVersion::V1).await?.put("db", &json!({ "password": "kept" })).await?;
    let store = || secret_store("v1", vault(bao.url(), &mount));
    let version = "/spec/provider/vault/version";
    tenant.apply(&store().with(version, "v1")).await?;
    let _operator = tenant.operator().start().await?;
    let db = external_secret("db").store("v1").every("1s").with("/spec/target/deletionPolicy", "Delete");
    tenant.apply(&db.property("password", "db", "password")).await?;
    tenant.holds("db", &[("password", "kept")]).await?;

    tenant.apply(&store().with(version, "v2")).await?;

    let told = format!("the engine at {mount} is not KV version 2; set `version: v1` in the store");
    tenant.fails("db", &["InvalidConfiguration", "spec.data[0]", &told]).await?;
    tenant.fence("fence", "vault").await?;
    tenant.holds("db", &[("password", "kept")]).await?;
    Ok(())
}

/// Names lead back to their secrets however the path is written, and are in the target as they are written.
#[tokio::test]
async fn a_search_begins_at_a_path_and_skips_what_was_deleted() -> Result<()> {
    let (tenant, bao) = (Tenant::create("search").await?, Bao::shared().await?);
    let mount = tenant.name();
    for name in ["team/db", "team/deep/a b", "team/gone", "other/db"] {
        tenant.kv.put(name, &json!({ "of": name })).await?;
    }
    tenant.kv.delete("team/gone").await?;
    let rules = format!("path \"{mount}/metadata/*\" {{ capabilities = [\"list\"] }}");
    bao.policy(&format!("{mount}-list"), &rules).await?;
    let token = bao.token(&[mount, &format!("{mount}-list")], "1h").await?;
    tenant.apply(&credential("vault-token", &[("token", &token)])).await?;
    let mut without_path = vault(bao.url(), "");
    without_path["vault"].as_object_mut().expect("a provider is an object").remove("path");
    tenant.apply(&secret_store("without-path", without_path)).await?;
    let _operator = tenant.operator().start().await?;

    for (index, (store, path)) in [
        ("vault", "team".to_owned()),
        ("vault", "/team/".to_owned()),
        ("without-path", format!("{mount}/data/team")),
        ("without-path", format!("{mount}/team")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("found-{index}");
        let find = json!({ "find": { "path": path, "name": { "regexp": "^[^o]" } } });
        tenant.apply(&external_secret(&name).store(store).add("dataFrom", find)).await?;
        let key = |below: &str| format!("{}_{below}", path.replace('/', "_"));
        let (db, deep) = (key("db"), key("deep_a_b"));
        let expected = [(db.as_str(), r#"{"of":"team/db"}"#), (deep.as_str(), r#"{"of":"team/deep/a b"}"#)];
        tenant.holds(&name, &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_key_leads_out_of_the_mount() -> Result<()> {
    let tenant = Tenant::create("outside").await?;
    let root = Bao::shared().await?.root_token();
    tenant.apply(&credential("vault-token", &[("token", root)])).await?;
    let _operator = tenant.operator().start().await?;
    for (index, key) in ["../../sys/mounts", "x/../../../sys/mounts", ".\t./.\t./sys/mounts"].into_iter().enumerate() {
        let name = format!("outside-{index}");
        tenant.apply(&external_secret(&name).key("value", key)).await?;
        tenant.fails(&name, &["InvalidConfiguration", "spec.data[0]", "must not have a"]).await?;
        assert!(tenant.namespace.secrets().get_opt(&name).await?.is_none());
    }
    Ok(())
}
