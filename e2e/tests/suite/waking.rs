//! What an ExternalSecret depends on wakes it: none of these waits for the hourly tick or for a long back-off.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, ControlPlane, Operator};
use kube::api::DeleteParams;
use serde_json::json;

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store, vault, vault_at};

fn db() -> Manifest {
    external_secret("db").property("password", "db", "password")
}

/// A team with a remote secret and a running operator.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let operator = tenant.operator().start().await?;
    Ok((tenant, operator))
}

#[tokio::test]
async fn a_store_that_is_created() -> Result<()> {
    let (tenant, _operator) = tenant("late-store").await?;
    tenant.apply(&db().store("late")).await?;
    tenant.fails("db", &["StoreNotFound", "late", "create it"]).await?;

    tenant.apply(&secret_store("late", vault(Bao::shared().await?.url(), tenant.name()))).await?;

    tenant.holds("db", &[("password", "first")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_store_that_leads_elsewhere_now() -> Result<()> {
    let (tenant, _operator) = tenant("moved").await?;
    let bao = Bao::shared().await?;
    let elsewhere = format!("{}-elsewhere", tenant.name());
    let version = keyferry_e2e::harness::KvVersion::V2;
    bao.mount_kv(&elsewhere, version).await?.put("db", &json!({ "password": "elsewhere" })).await?;
    tenant.apply(&db()).await?;
    tenant.holds("db", &[("password", "first")]).await?;

    tenant.apply(&secret_store("vault", vault(bao.url(), &elsewhere))).await?;

    tenant.holds("db", &[("password", "elsewhere")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_credential_that_is_created() -> Result<()> {
    let (tenant, _operator) = tenant("late-secret").await?;
    let bao = Bao::shared().await?;
    let auth = json!({ "tokenSecretRef": { "name": "late", "key": "token" } });
    tenant.apply(&secret_store("store", vault_at(bao.url(), tenant.name(), auth))).await?;
    tenant.apply(&db().store("store")).await?;
    tenant.store_fails("store", &["MissingCredential", "late", "create it"]).await?;
    tenant.fails("db", &["late", "create it"]).await?;

    let token = bao.token(&[tenant.name()], "1h").await?;
    tenant.apply(&credential("late", &[("another-key", &token)])).await?;
    tenant.store_fails("store", &["MissingCredential", "late", "has no key \"token\"", "add"]).await?;

    tenant.apply(&credential("late", &[("token", &token)])).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    tenant.store_works("store").await?;
    Ok(())
}

#[tokio::test]
async fn a_credential_that_is_corrected() -> Result<()> {
    let (tenant, _operator) = tenant("corrected").await?;
    tenant.apply(&db()).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;

    tenant.apply(&credential("vault-token", &[("token", "wrong")])).await?;
    tenant.store_fails("vault", &["AuthenticationFailed", "correct the store's credentials"]).await?;
    tenant.apply(&db().annotation("force-sync", "1")).await?;
    tenant.fails("db", &["AuthenticationFailed"]).await?;
    assert_eq!(tenant.bytes("db").await?, bytes);

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    let token = Bao::shared().await?.token(&[tenant.name()], "1h").await?;
    tenant.apply(&credential("vault-token", &[("token", &token)])).await?;
    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

/// Another login may see other values, so that a new credential is a reason to read even where nothing failed.
#[tokio::test]
async fn a_credential_that_is_replaced() -> Result<()> {
    let (tenant, _operator) = tenant("replaced").await?;
    tenant.apply(&db()).await?;
    tenant.holds("db", &[("password", "first")]).await?;

    tenant.kv.put("db", &json!({ "password": "second" })).await?;
    let token = Bao::shared().await?.token(&[tenant.name()], "1h").await?;
    tenant.apply(&credential("vault-token", &[("token", &token)])).await?;

    tenant.holds("db", &[("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_credential_that_is_deleted_is_missed_and_its_return_noticed() -> Result<()> {
    let (tenant, _operator) = tenant("lost").await?;
    tenant.apply(&db()).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;

    tenant.namespace.secrets().delete("vault-token", &DeleteParams::default()).await?;
    tenant.store_fails("vault", &["MissingCredential", "vault-token"]).await?;
    assert_eq!(tenant.bytes("db").await?, bytes);

    let token = Bao::shared().await?.token(&[tenant.name()], "1h").await?;
    tenant.apply(&credential("vault-token", &[("token", &token)])).await?;
    tenant.store_works("vault").await?;
    Ok(())
}

#[tokio::test]
async fn a_service_account_that_is_created() -> Result<()> {
    let (tenant, _operator) = tenant("late-account").await?;
    let (cluster, bao, mount) = (ControlPlane::shared().await?, Bao::shared().await?, tenant.name());
    bao.enable_auth(mount, "kubernetes").await?;
    bao.review_tokens(mount, cluster).await?;
    bao.kubernetes_role(mount, "reader", (mount, "late"), None, &[mount]).await?;
    let account = json!({ "name": "late" });
    let auth = json!({ "kubernetes": { "mountPath": mount, "role": "reader", "serviceAccountRef": account } });
    tenant.apply(&secret_store("store", vault_at(bao.url(), mount, auth))).await?;
    tenant.apply(&db().store("store")).await?;
    tenant.store_fails("store", &["MissingCredential", "ServiceAccount", "late", "create it"]).await?;

    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "late" } });
    tenant.namespace.apply(&account.to_string()).await?;

    tenant.holds("db", &[("password", "first")]).await?;
    tenant.store_works("store").await?;
    Ok(())
}

/// What the login may read is not the cluster's to know: back-off finds out, and any change of the object at once.
#[tokio::test]
async fn a_change_of_an_external_secret_that_fails() -> Result<()> {
    let (tenant, _operator) = tenant("denied").await?;
    let bao = Bao::shared().await?;
    let policy = format!("{}-narrow", tenant.name());
    let rules = format!("path \"{}\" {{ capabilities = [\"read\"] }}", tenant.kv.path("other"));
    bao.policy(&policy, &rules).await?;
    tenant.apply(&credential("vault-token", &[("token", &bao.token(&[&policy], "1h").await?)])).await?;
    tenant.apply(&db()).await?;
    tenant.fails("db", &["AccessDenied", "spec.data[0]", "db", "grant"]).await?;

    bao.policy(&policy, &format!("path \"{}*\" {{ capabilities = [\"read\"] }}", tenant.name())).await?;
    tenant.apply(&db().annotation("force-sync", "1")).await?;

    tenant.holds("db", &[("password", "first")]).await?;
    Ok(())
}
