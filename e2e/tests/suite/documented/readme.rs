//! `docs/backends/README.md`: what all backends have in common, tried with OpenBao.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use keyferry_e2e::harness::{Bao, KvVersion};
use serde_json::json;

use super::Stage;
use super::authority::Authority;
use super::mutual_tls::MutualTls;
use crate::support::{Manifest, credential, vault, vault_at};

/// The address that the page names.
const SERVER: &str = "https://vault.example.com:8200";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let mut stage = Stage::open("README.md", |operator| operator).await?;
    let (plain, tls) = (server(Bao::start().await?).await?, server(Bao::start_tls().await?).await?);
    authorities(&mut stage, &tls).await?;
    cluster_store(&mut stage, &plain).await?;
    stage.works("Patience", &[(SERVER, plain.url())], password, &[("password", VALUE)]).await?;
    provoke(&mut stage, &plain, &tls).await?;
    stage.close()
}

/// Puts the secret that is read into a server.
async fn server(bao: Bao) -> Result<Bao> {
    bao.kv("secret", KvVersion::V2).put("prod/db", &json!({ "password": VALUE, "note": "plain text" })).await?;
    Ok(bao)
}

fn password(es: Manifest) -> Manifest {
    es.property("password", "prod/db", "password")
}

async fn authorities(stage: &mut Stage, bao: &Bao) -> Result<()> {
    stage.tenant.apply(&credential("vault-token", &[("token", bao.root_token())])).await?;
    let ca = json!({ "ca.crt": bao.ca_pem().context("it speaks TLS")? });
    let ca = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "company-ca" }, "data": ca });
    stage.tenant.namespace.apply(&ca.to_string()).await?;
    stage.works("Certificate authorities", &[(SERVER, bao.url())], password, &[("password", VALUE)]).await
}

async fn cluster_store(stage: &mut Stage, bao: &Bao) -> Result<()> {
    bao.enable_auth("approle", "approle").await?;
    bao.policy("app", "path \"secret/data/prod/*\" { capabilities = [\"read\"] }").await?;
    let (role_id, secret_id) = bao.app_role("approle", "app", &["app"], "1h").await?;
    stage.tenant.apply(&credential("vault-approle", &[("role-id", &role_id), ("secret-id", &secret_id)])).await?;
    let name = stage.tenant.name().to_owned();
    let labels = json!({ "name": name, "labels": { "vault": "yes" } });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": labels });
    stage.tenant.namespace.apply(&namespace.to_string()).await?;
    // The class keeps the operators of other tests away: they see the stores of the whole cluster.
    let own = format!("spec:\n  controller: {name}\n  provider:");
    let changes = [(SERVER, bao.url()), ("spec:\n  provider:", &own)];
    let heading = "Namespaces of a ClusterSecretStore";
    stage.works(heading, &changes, password, &[("password", VALUE)]).await
}

async fn provoke(stage: &mut Stage, plain: &Bao, tls: &Bao) -> Result<()> {
    let token = |name: &str, key: &str| {
        vault_at(plain.url(), "secret", json!({ "tokenSecretRef": { "name": name, "key": key } }))
    };
    let mut foreign = token("vault-token", "token");
    foreign["vault"]["auth"]["tokenSecretRef"]["namespace"] = json!("default");
    let at = |url: &str| vault(url, "secret");
    stage.store_says("Secret … does not exist", "no-secret", token("nothing", "token")).await?;
    stage.store_says("Secret … has no key", "no-key", token("vault-token", "nothing")).await?;
    stage.store_says("names the namespace", "foreign", foreign).await?;

    let (not_tls, authority) = (plain.url().replace("http://", "https://"), Authority::new()?);
    let guarded = MutualTls::to(plain.url(), &authority).await?;
    let mut without_certificate = at(guarded.url());
    without_certificate["vault"]["caBundle"] = serde_json::to_value(ByteString(authority.pem().into()))?;
    stage.store_says("its certificate comes from an authority", "untrusted", at(tls.url())).await?;
    stage.store_says("the TLS handshake failed", "not-tls", at(&not_tls)).await?;
    stage.store_says("… cannot be reached", "nobody", at("http://127.0.0.1:1")).await?;
    stage.store_says("the server refused", "no-certificate", without_certificate).await?;

    let read = |property: &'static str| move |es: Manifest| es.property("value", "prod/db", property);
    stage.reader_says("the secret has no property", "vault", read("nothing")).await?;
    let extract = json!({ "extract": { "key": "prod/db", "property": "note" } });
    stage.reader_says("the secret is not valid JSON", "vault", |es| es.add("dataFrom", extract)).await?;
    stage.reader_says("… is not ready", "nobody", password).await
}
