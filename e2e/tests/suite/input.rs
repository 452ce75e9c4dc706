//! Bad input: whatever is wrong with one thing, the Secret that was written before keeps every byte, the condition names
//! cause and remedy, everything else goes on, and the cure is noticed without help.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, Operator};
use serde_json::json;

use crate::support::{Bytes, Manifest, Tenant, credential, external_secret, secret_store, vault_at};

/// A synced ExternalSecret `db` that reads from the store `own`, whose credential is the Secret `own`.
struct Patient {
    tenant: Tenant<'static>,
    token: String,
    bytes: Bytes,
    _operator: Operator,
}

impl Patient {
    async fn healthy(prefix: &str) -> Result<Self> {
        let (tenant, bao) = (Tenant::create(prefix).await?, Bao::shared().await?);
        tenant.kv.put("db", &json!({ "password": "first" })).await?;
        let token = bao.token(&[tenant.name()], "1h").await?;
        tenant.apply(&credential("own", &[("token", &token)])).await?;
        tenant.apply(&own_store(bao, &tenant)).await?;
        let operator = tenant.operator().start().await?;
        tenant.apply(&db()).await?;
        tenant.synced("db").await?;
        let bytes = tenant.bytes("db").await?;
        Ok(Self { tenant, token, bytes, _operator: operator })
    }

    /// The condition has all `parts`, the target is as before, and others are synced.
    async fn suffers(&self, parts: &[&str]) -> Result<()> {
        self.tenant.fails("db", parts).await?;
        self.tenant.fence("somebody-else", "vault").await?;
        assert_eq!(self.tenant.bytes("db").await?, self.bytes);
        Ok(())
    }

    /// After its cure, which the caller has seen to, a new value arrives by itself.
    async fn recovers(&self) -> Result<()> {
        self.tenant.kv.put("db", &json!({ "password": "second" })).await?;
        self.tenant.holds("db", &[("password", "second")]).await?;
        self.tenant.synced("db").await?;
        Ok(())
    }
}

fn db() -> Manifest {
    external_secret("db").store("own").every("2s").property("password", "db", "password")
}

fn own_store(bao: &Bao, tenant: &Tenant<'_>) -> Manifest {
    secret_store(
        "own",
        vault_at(bao.url(), tenant.name(), json!({ "tokenSecretRef": { "name": "own", "key": "token" } })),
    )
}

#[tokio::test]
async fn the_store_is_missing() -> Result<()> {
    let patient = Patient::healthy("no-store").await?;
    patient.tenant.delete("SecretStore", "own").await?;
    patient.suffers(&["StoreNotFound", "own", "create it or correct secretStoreRef"]).await?;
    patient.tenant.apply(&own_store(Bao::shared().await?, &patient.tenant)).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_credential_is_missing() -> Result<()> {
    let patient = Patient::healthy("no-secret").await?;
    let secret = format!("Secret {}/own", patient.tenant.name());
    patient.tenant.namespace.secrets().delete("own", &kube::api::DeleteParams::default()).await?;
    patient.suffers(&["MissingCredential", &secret, "create it"]).await?;
    patient.tenant.apply(&credential("own", &[("token", &patient.token)])).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_credential_lacks_its_key() -> Result<()> {
    let patient = Patient::healthy("no-key").await?;
    patient.tenant.apply(&credential("own", &[("else", "where")])).await?;
    patient.suffers(&["MissingCredential", "own", "has no key \"token\"", "add"]).await?;
    patient.tenant.apply(&credential("own", &[("token", &patient.token)])).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_token_is_wrong() -> Result<()> {
    let patient = Patient::healthy("wrong-token").await?;
    patient.tenant.apply(&credential("own", &[("token", "wrong")])).await?;
    patient.suffers(&["AuthenticationFailed", "correct the store's credentials"]).await?;
    patient.tenant.apply(&credential("own", &[("token", &patient.token)])).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_login_may_not_read_it() -> Result<()> {
    let patient = Patient::healthy("may-not").await?;
    let bao = Bao::shared().await?;
    let elsewhere = format!("{}-elsewhere", patient.tenant.name());
    bao.policy(&elsewhere, "path \"elsewhere/*\" { capabilities = [\"read\"] }").await?;
    let narrow = bao.token(&[&elsewhere], "1h").await?;
    patient.tenant.apply(&credential("own", &[("token", &narrow)])).await?;
    patient.suffers(&["AccessDenied", "spec.data[0]", "db", "grant the store's login read access"]).await?;
    bao.policy(&elsewhere, &format!("path \"{}*\" {{ capabilities = [\"read\"] }}", patient.tenant.name())).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_remote_secret_is_missing() -> Result<()> {
    let patient = Patient::healthy("no-remote").await?;
    patient.tenant.apply(&db().property("more", "missing", "password")).await?;
    patient
        .suffers(&["RemoteNotFound", "spec.data[1]", "missing", "create it in the backend or correct remoteRef"])
        .await?;
    patient.tenant.apply(&db()).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_property_is_missing() -> Result<()> {
    let patient = Patient::healthy("no-property").await?;
    patient.tenant.kv.put("db", &json!({ "user": "ann" })).await?;
    patient.suffers(&["PropertyNotFound", "spec.data[0]", "db", "password", "add it in the backend"]).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_path_of_the_property_is_invalid() -> Result<()> {
    let patient = Patient::healthy("bad-path").await?;
    patient.tenant.apply(&db().property("more", "db", "list.#(a==")).await?;
    patient.suffers(&["PropertyNotFound", "spec.data[1]", "db", "list.#(a=="]).await?;
    patient.tenant.apply(&db()).await?;
    patient.recovers().await
}

#[tokio::test]
async fn the_mount_is_missing() -> Result<()> {
    let patient = Patient::healthy("no-mount").await?;
    let bao = Bao::shared().await?;
    let mount = format!("{}-nowhere", patient.tenant.name());
    patient.tenant.apply(&own_store(bao, &patient.tenant).with("/spec/provider/vault/path", mount)).await?;
    patient.suffers(&["spec.data[0]", "db"]).await?;
    patient.tenant.apply(&own_store(bao, &patient.tenant)).await?;
    patient.recovers().await
}

#[tokio::test]
async fn what_this_version_does_not_do_is_said() -> Result<()> {
    let patient = Patient::healthy("unsupported").await?;
    let template = json!({ "data": { "url": "postgres://{{ .password }}" } });
    patient.tenant.apply(&db().with("/spec/target/template", template)).await?;
    patient.suffers(&["Unsupported", "spec.target.template"]).await?;
    let removed = db().with("/spec/target", json!({}));
    patient.tenant.apply(&removed).await?;
    patient.recovers().await
}
