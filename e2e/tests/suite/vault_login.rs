//! Ways to log in to Vault, and how seldom that happens.

mod aws;
mod ldap;

use anyhow::{Context, Result};
use keyferry_e2e::harness::{Bao, ControlPlane, Mark};
use serde_json::{Value, json};

use crate::support::{Tenant, credential, external_secret, never_failed, secret_store, vault_at};

/// An account for stores to log in as.
const ACCOUNT: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
";

#[tokio::test]
async fn an_app_role_logs_in() -> Result<()> {
    let tenant = Tenant::create("approle").await?;
    let auth = app_role(&tenant, "1h").await?;
    let _operator = tenant.operator().start().await?;
    reads_with(&tenant, auth).await
}

#[tokio::test]
async fn the_id_of_an_app_role_may_stand_in_the_secret() -> Result<()> {
    let tenant = Tenant::create("roleref").await?;
    let mut auth = app_role(&tenant, "1h").await?;
    auth["appRole"].as_object_mut().context("it is an object")?.remove("roleId");
    auth["appRole"]["roleRef"] = json!({ "name": "app-role", "key": "role-id" });
    let _operator = tenant.operator().start().await?;
    reads_with(&tenant, auth).await
}

#[tokio::test]
async fn a_user_logs_in_with_a_password() -> Result<()> {
    let (tenant, bao) = (Tenant::create("userpass").await?, Bao::shared().await?);
    let mount = tenant.name();
    bao.enable_auth(mount, "userpass").await?;
    bao.user(mount, "ann", "pass word", &[mount]).await?;
    tenant.apply(&credential("ann", &[("password", "pass word")])).await?;
    let _operator = tenant.operator().start().await?;
    let secret = json!({ "name": "ann", "key": "password" });
    reads_with(&tenant, json!({ "userPass": { "path": mount, "username": "ann", "secretRef": secret } })).await
}

/// OpenBao asks the API server about each token.
#[tokio::test]
async fn a_service_account_logs_in_by_token_review() -> Result<()> {
    let (cluster, bao) = (ControlPlane::shared().await?, Bao::shared().await?);
    let tenant = Tenant::create("kubernetes").await?;
    let mount = tenant.name();
    tenant.namespace.apply(ACCOUNT).await?;
    bao.enable_auth(mount, "kubernetes").await?;
    bao.review_tokens(mount, cluster).await?;
    bao.kubernetes_role(mount, "reader", (mount, "reader"), Some("bao"), &[mount]).await?;
    let _operator = tenant.operator().start().await?;
    let account = json!({ "name": "reader", "audiences": ["bao"] });
    let auth = json!({ "kubernetes": { "mountPath": mount, "role": "reader", "serviceAccountRef": account } });
    reads_with(&tenant, auth).await
}

/// OpenBao knows the key that signs the cluster's tokens.
#[tokio::test]
async fn a_service_account_logs_in_by_jwt() -> Result<()> {
    let (cluster, bao) = (ControlPlane::shared().await?, Bao::shared().await?);
    let tenant = Tenant::create("jwt").await?;
    let mount = tenant.name();
    tenant.namespace.apply(ACCOUNT).await?;
    bao.enable_auth(mount, "jwt").await?;
    bao.trust_issuer(mount, cluster).await?;
    // The audience where the manifest names none.
    bao.jwt_role(mount, "reader", (mount, "reader"), "vault", &[mount]).await?;
    let _operator = tenant.operator().start().await?;
    let token = json!({ "serviceAccountRef": { "name": "reader" } });
    reads_with(&tenant, json!({ "jwt": { "path": mount, "role": "reader", "kubernetesServiceAccountToken": token } }))
        .await
}

#[tokio::test]
async fn a_jwt_may_stand_in_a_secret() -> Result<()> {
    let (cluster, bao) = (ControlPlane::shared().await?, Bao::shared().await?);
    let tenant = Tenant::create("jwtsecret").await?;
    let mount = tenant.name();
    tenant.namespace.apply(ACCOUNT).await?;
    bao.enable_auth(mount, "jwt").await?;
    bao.trust_issuer(mount, cluster).await?;
    bao.jwt_role(mount, "reader", (mount, "reader"), "elsewhere", &[mount]).await?;
    let jwt = cluster.token_for(mount, "reader", &["elsewhere"]).await?;
    tenant.apply(&credential("jwt", &[("jwt", &jwt)])).await?;
    let _operator = tenant.operator().start().await?;
    let secret = json!({ "name": "jwt", "key": "jwt" });
    reads_with(&tenant, json!({ "jwt": { "path": mount, "role": "reader", "secretRef": secret } })).await
}

/// What its policies do not allow is no sign that a token has ended.
#[tokio::test]
async fn a_token_may_be_forbidden_to_look_itself_up() -> Result<()> {
    let (tenant, bao) = (Tenant::create("narrow").await?, Bao::shared().await?);
    let body = json!({ "policies": [tenant.name()], "no_default_policy": true, "no_parent": true });
    let token = bao.write("auth/token/create", &body).await?;
    let token = token["auth"]["client_token"].as_str().context("there is no token")?;
    tenant.apply(&credential("narrow", &[("token", token)])).await?;
    let _operator = tenant.operator().start().await?;

    reads_with(&tenant, json!({ "tokenSecretRef": { "name": "narrow", "key": "token" } })).await
}

#[tokio::test]
async fn many_external_secrets_share_one_login() -> Result<()> {
    let tenant = Tenant::create("sharing").await?;
    let auth = app_role(&tenant, "1h").await?;
    tenant.apply(&secret_store("login", vault_at(Bao::shared().await?.url(), tenant.name(), auth))).await?;
    tenant.kv.put("db", &json!({ "password": "read" })).await?;
    let mark = tenant.reads()?;
    let _operator = tenant.operator().start().await?;

    for n in 0..20 {
        let db = external_secret(&format!("db-{n}")).store("login").every("1s");
        tenant.apply(&db.property("password", "db", "password")).await?;
    }
    for n in 0..20 {
        tenant.synced(&format!("db-{n}")).await?;
    }
    tenant.ticks("db", 5).await?;

    assert_eq!(logins(&tenant, mark).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_login_is_renewed_before_anybody_notices_its_end() -> Result<()> {
    let tenant = Tenant::create("renewal").await?;
    let auth = app_role(&tenant, "3s").await?;
    let operator = tenant.operator().start().await?;
    reads_with(&tenant, auth).await?;
    tenant.apply(&external_secret("often").store("login").every("1s").property("password", "db", "password")).await?;
    tenant.synced("often").await?;
    let mark = tenant.reads()?;

    // Longer than the login lasts.
    tenant.ticks("db", 6).await?;

    let calls = tenant.reads_since(mark, "db")?;
    assert!(calls.iter().all(|call| !call.failed), "{calls:?}");
    never_failed(&operator, "often").await
}

#[tokio::test]
async fn a_login_that_was_revoked_is_replaced_at_once() -> Result<()> {
    let tenant = Tenant::create("revoked").await?;
    let auth = app_role(&tenant, "1h").await?;
    let _operator = tenant.operator().start().await?;
    reads_with(&tenant, auth).await?;

    let login = format!("sys/leases/revoke-prefix/auth/{}/login", tenant.name());
    Bao::shared().await?.write(&login, &json!({})).await?;
    tenant.kv.put("db", &json!({ "password": "after" })).await?;
    let db = external_secret("db").store("login").property("password", "db", "password");
    tenant.apply(&db.annotation("force-sync", "1")).await?;

    tenant.holds("db", &[("password", "after")]).await?;
    Ok(())
}

/// A store `login` that logs in with `auth` gives a value, and says that it works.
async fn reads_with(tenant: &Tenant<'_>, auth: Value) -> Result<()> {
    tenant.kv.put("db", &json!({ "password": "read" })).await?;
    tenant.apply(&secret_store("login", vault_at(Bao::shared().await?.url(), tenant.name(), auth))).await?;
    tenant.apply(&external_secret("db").store("login").property("password", "db", "password")).await?;
    tenant.holds("db", &[("password", "read")]).await?;
    tenant.store_works("login").await?;
    Ok(())
}

/// An AppRole mount with the team's name, whose logins last for `ttl`, and how a store logs in to it.
async fn app_role(tenant: &Tenant<'_>, ttl: &str) -> Result<Value> {
    let (bao, mount) = (Bao::shared().await?, tenant.name());
    bao.enable_auth(mount, "approle").await?;
    let (role_id, secret_id) = bao.app_role(mount, "app", &[mount], ttl).await?;
    tenant.apply(&credential("app-role", &[("role-id", &role_id), ("secret-id", &secret_id)])).await?;
    let secret = json!({ "name": "app-role", "key": "secret-id" });
    Ok(json!({ "appRole": { "path": mount, "roleId": role_id, "secretRef": secret } }))
}

async fn logins(tenant: &Tenant<'_>, mark: Mark) -> Result<usize> {
    Ok(Bao::shared().await?.calls_since(mark, &format!("auth/{}/login", tenant.name()))?.len())
}
