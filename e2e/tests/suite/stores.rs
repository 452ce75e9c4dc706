//! What a SecretStore says of itself.

use anyhow::{Context, Result};
use keyferry_e2e::harness::{Bao, Fault, Relay, condition};
use serde_json::json;

use crate::support::{Tenant, credential, external_secret, secret_store, vault, vault_at};

#[tokio::test]
async fn a_store_that_works_says_so_in_the_words_of_kubectl_wait() -> Result<()> {
    let tenant = Tenant::create("works").await?;
    let _operator = tenant.operator().start().await?;

    let store = tenant.store_works("vault").await?;

    let ready = condition(&store, "Ready").context("there is no condition Ready")?;
    assert_eq!((&ready["reason"], &ready["message"]), (&json!("Valid"), &json!("store validated")));
    assert_eq!(ready["observedGeneration"], json!(1));
    assert!(ready["lastTransitionTime"].is_string());
    assert_eq!(store.data["status"]["observedGeneration"], json!(1));
    assert!(store.data["status"]["capabilities"].is_string());
    tenant.tells("SecretStore", "vault", "Valid", "store validated").await
}

#[tokio::test]
async fn a_store_that_does_not_work_names_cause_and_remedy() -> Result<()> {
    let tenant = Tenant::create("broken").await?;
    let (bao, name) = (Bao::shared().await?, tenant.name());
    tenant.apply(&credential("wrong", &[("token", "wrong")])).await?;
    let foreign = json!({ "tokenSecretRef": { "name": "vault-token", "key": "token", "namespace": "kube-system" } });
    let wrong = json!({ "tokenSecretRef": { "name": "wrong", "key": "token" } });
    let stores = [
        ("wrong-token", vault_at(bao.url(), name, wrong), ["AuthenticationFailed", "correct the store's credentials"]),
        ("nobody-listens", vault("http://127.0.0.1:1", name), ["ProviderUnreachable", "it is tried again"]),
        ("foreign", vault_at(bao.url(), name, foreign), ["InvalidConfiguration", "kube-system"]),
    ];
    for (name, provider, _) in &stores {
        tenant.apply(&secret_store(name, provider.clone())).await?;
    }
    let _operator = tenant.operator().start().await?;

    for (name, _, parts) in &stores {
        let message = tenant.store_fails(name, parts).await?;
        assert!(message.contains("spec.provider") || message.contains("tokenSecretRef"), "no field in {message}");
        let store = tenant.namespace.objects("SecretStore").await?.get(name).await?;
        let ready = condition(&store, "Ready").context("there is no condition Ready")?;
        assert_eq!(ready["reason"], json!("InvalidProviderConfig"));
        tenant.tells("SecretStore", name, "InvalidProviderConfig", parts[0]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_change_of_its_manifest_is_checked_at_once() -> Result<()> {
    let tenant = Tenant::create("changed").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&secret_store("store", vault("http://127.0.0.1:1", tenant.name()))).await?;
    tenant.store_fails("store", &[]).await?;

    tenant.apply(&secret_store("store", vault(Bao::shared().await?.url(), tenant.name()))).await?;

    let store = tenant.store_works("store").await?;
    assert_eq!(store.data["status"]["observedGeneration"], json!(2));
    Ok(())
}

/// Nothing reads from it, so that only the check of its own can notice.
#[tokio::test]
async fn its_interval_says_how_often_it_is_checked() -> Result<()> {
    let tenant = Tenant::create("interval").await?;
    let relay = Relay::to(Bao::shared().await?.url()).await?;
    let store = secret_store("store", vault(relay.url(), tenant.name())).with("/spec/refreshInterval", "1s");
    tenant.apply(&store).await?;
    let _operator = tenant.operator().start().await?;
    tenant.store_works("store").await?;

    relay.fail(Fault::Down);
    tenant.store_fails("store", &["ProviderUnreachable"]).await?;
    relay.recover();
    tenant.store_works("store").await?;
    Ok(())
}

/// With neither a server nor a login.
#[tokio::test]
async fn the_fake_backend_holds_its_values_itself() -> Result<()> {
    let tenant = Tenant::create("fake").await?;
    let _operator = tenant.operator().start().await?;
    let data = json!([
        { "key": "/db", "value": "plain" },
        { "key": "/json", "value": "{\"user\": \"ann\"}" },
        { "key": "/db", "value": "old", "version": "v1" },
    ]);
    tenant.apply(&secret_store("fake", json!({ "fake": { "data": data } }))).await?;
    let old = json!({ "secretKey": "old", "remoteRef": { "key": "/db", "version": "v1" } });
    let db = external_secret("db").store("fake").key("plain", "/db").property("user", "/json", "user");
    tenant.apply(&db.add("data", old)).await?;

    tenant.holds("db", &[("old", "old"), ("plain", "plain"), ("user", "ann")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_store_of_another_class_is_left_alone() -> Result<()> {
    let tenant = Tenant::create("class").await?;
    tenant.kv.put("db", &json!({ "password": "value" })).await?;
    let _operator = tenant.operator().start().await?;
    let theirs = secret_store("theirs", vault(Bao::shared().await?.url(), tenant.name()));
    tenant.apply(&theirs.with("/spec/controller", "somebody-else")).await?;
    tenant.apply(&external_secret("db").store("theirs").property("password", "db", "password")).await?;

    tenant.fence("fence", "vault").await?;

    for (kind, name) in [("SecretStore", "theirs"), ("ExternalSecret", "db")] {
        let object = tenant.namespace.objects(kind).await?.get(name).await?;
        assert_eq!(object.data.get("status"), None, "{kind}");
    }
    assert!(tenant.namespace.secrets().get_opt("db").await?.is_none());
    Ok(())
}
