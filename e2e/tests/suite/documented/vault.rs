//! `docs/backends/vault.md`, with OpenBao.

mod errors;
mod google;

use anyhow::{Context, Result};
use keyferry_e2e::harness::process::Process;
use keyferry_e2e::harness::{Bao, ControlPlane, KvVersion, Moto, free_port, run_dir::RunDir, tool, wait};
use serde_json::{Value, json};

use super::authority::Authority;
use super::mutual_tls::MutualTls;
use super::shell::Shell;
use super::{Stage, reviewer};
use crate::support::{Directory, Entry, Manifest, credential};

/// The addresses that the page names.
const SERVER: &str = "https://vault.example.com:8200";
const PROXY: &str = "http://vault-proxy.vault.svc:8100";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let google = google::Google::start().await?;
    let mut stage = Stage::open("vault.md", |operator| google.surround(operator)).await?;
    let (plain, tls) = (server(&stage, Bao::start().await?).await?, server(&stage, Bao::start_tls().await?).await?);
    kubernetes(&mut stage, &plain).await?;
    jwt(&mut stage, &plain).await?;
    app_role(&mut stage, &plain).await?;
    user(&mut stage, &plain).await?;
    ldap(&mut stage, &plain).await?;
    client_certificate(&mut stage, &tls).await?;
    proxy(&mut stage, &plain).await?;
    aws(&mut stage, &plain).await?;
    google.tries_all(&mut stage, &plain).await?;
    namespaces(&mut stage, &plain).await?;
    mutual_tls(&mut stage, &plain).await?;
    token(&mut stage, &plain).await?;
    references(&mut stage, &plain).await?;
    errors::provoke(&mut stage, &plain).await?;
    stage.close()
}

/// Prepares a server: the secret that is read, and the permissions that the page grants.
async fn server(stage: &Stage, bao: Bao) -> Result<Bao> {
    bao.kv("secret", KvVersion::V2).put("prod/db", &json!({ "password": VALUE })).await?;
    let permissions = stage.page.section("Permissions")?;
    Shell::at(&bao)?.with_file("app.hcl", permissions.text("hcl")?)?.run(permissions.text("sh")?).await?;
    Ok(bao)
}

fn password(es: Manifest) -> Manifest {
    es.property("password", "prod/db", "password")
}

/// The store of a section reads the secret from a server at `url`.
async fn reads(stage: &mut Stage, heading: &str, url: &str) -> Result<()> {
    stage.works(heading, &[(SERVER, url)], password, &[("password", VALUE)]).await
}

/// Runs the commands of a section.
async fn run(stage: &Stage, heading: &str, shell: Shell) -> Result<()> {
    let shell = shell.with_variable("NAMESPACE", stage.tenant.name());
    shell.run(stage.page.section(heading)?.text("sh")?).await
}

async fn kubernetes(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "A ServiceAccount, reviewed by the cluster";
    let cluster = ControlPlane::shared().await?;
    let shell = Shell::at(bao)?
        .with_file("cluster-ca.pem", cluster.ca_pem())?
        .with_file("reviewer.jwt", &reviewer::token(cluster, &[]).await?)?
        .with_variable("API_SERVER", cluster.url());
    run(stage, heading, shell).await?;
    reads(stage, heading, bao.url()).await
}

async fn jwt(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "A ServiceAccount, verified by its signature";
    let key = ControlPlane::shared().await?.token_verifier_pem();
    run(stage, heading, Shell::at(bao)?.with_file("service-accounts.pub", key)?).await?;
    reads(stage, heading, bao.url()).await
}

async fn app_role(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "AppRole";
    run(stage, heading, Shell::at(bao)?).await?;
    name_ids(stage, heading, bao, "").await?;
    reads(stage, heading, bao.url()).await
}

/// Gives the AppRole of a section the ids that its manifests name. `namespace` ends with a slash.
async fn name_ids(stage: &Stage, heading: &str, bao: &Bao, namespace: &str) -> Result<()> {
    let role_id = stage.value(heading, "/spec/provider/vault/auth/appRole/roleId")?;
    let secret_id = stage.value(heading, "/stringData/secret-id")?;
    let role = format!("{namespace}auth/approle/role/app");
    bao.write(&format!("{role}/role-id"), &json!({ "role_id": role_id })).await?;
    bao.write(&format!("{role}/custom-secret-id"), &json!({ "secret_id": secret_id })).await?;
    Ok(())
}

async fn user(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "User name and password";
    let password = stage.value(heading, "/stringData/password")?;
    run(stage, heading, Shell::at(bao)?.with_variable("PASSWORD", password)).await?;
    reads(stage, heading, bao.url()).await
}

async fn ldap(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "LDAP";
    let password = stage.value(heading, "/stringData/password")?;
    let user = Entry::new("uid=keyferry,ou=people,dc=example,dc=com").password(&password);
    let directory = Directory::start(&[user]).await?;
    bao.plug_in("ldap", &[]).await?;
    run(stage, heading, Shell::at(bao)?.with_variable("DIRECTORY", directory.url())).await?;
    reads(stage, heading, bao.url()).await
}

/// Moto chooses the access keys of its users, and checks what is signed with them.
async fn aws(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "AWS";
    let moto = Moto::start().await?;
    let keys = moto.user("secrets-reader").await?;
    moto.enforce().await?;
    bao.plug_in("aws", &[]).await?;
    run(stage, heading, Shell::at(bao)?).await?;
    bao.write("auth/aws/config/client", &json!({ "sts_endpoint": moto.url() })).await?;
    let id = stage.value(heading, "/stringData/access-key-id")?;
    let secret = stage.value(heading, "/stringData/secret-access-key")?;
    let changes = [(SERVER, bao.url()), (&id, &keys.id), (&secret, &keys.secret)];
    stage.works(heading, &changes, password, &[("password", VALUE)]).await
}

async fn client_certificate(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let (heading, authority) = ("A client certificate", Authority::new()?);
    run(stage, heading, Shell::at(bao)?.with_file("client-ca.pem", authority.pem())?).await?;
    certificates(stage, bao.ca_pem().context("it speaks TLS")?, &authority).await?;
    reads(stage, heading, bao.url()).await
}

/// The server's CA and the client's certificate, where the page's manifests look for them.
async fn certificates(stage: &Stage, server_ca: &str, clients: &Authority) -> Result<()> {
    let (identity, ca) = (clients.client()?, json!({ "ca.crt": server_ca }));
    let ca = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "vault-ca" }, "data": ca });
    stage.tenant.namespace.apply(&ca.to_string()).await?;
    let keys = [("tls.crt", identity.certificate.as_str()), ("tls.key", identity.key.as_str())];
    stage.tenant.apply(&credential("vault-client", &keys)).await
}

async fn proxy(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let (dir, port) = (RunDir::create("proxy")?, free_port()?);
    let config = json!({
        "vault": { "address": bao.url() },
        "auto_auth": { "method": [
            { "type": "token_file", "config": { "token_file_path": dir.write("token", bao.root_token())? } },
        ] },
        "api_proxy": { "use_auto_auth_token": true },
        "listener": [{ "tcp": {
            "address": format!("127.0.0.1:{port}"), "tls_disable": true, "require_request_header": true,
        } }],
    });
    let arguments =
        ["proxy".to_owned(), format!("-config={}", dir.write("proxy.json", &config.to_string())?.display())];
    let mut process = Process::start(&tool("bao")?, arguments, [], dir.file("proxy.log"))?;
    let url = format!("http://127.0.0.1:{port}");
    wait::eventually("the proxy listens", wait::DEADLINE, async || {
        process.ensure_running()?;
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok())
    })
    .await?;
    let read = stage.works("An agent or proxy that logs in", &[(PROXY, &url)], password, &[("password", VALUE)]).await;
    read.with_context(|| process.log_tail())
}

async fn namespaces(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "Namespaces";
    run(stage, heading, Shell::at(bao)?).await?;
    name_ids(stage, heading, bao, "platform/").await?;
    let kv = bao.kv("platform/team-a/secret", KvVersion::V2);
    wait::eventually("the mount can be written", wait::DEADLINE, async || {
        Ok(kv.put("prod/db", &json!({ "password": "of the team" })).await.ok())
    })
    .await?;
    stage.works(heading, &[(SERVER, bao.url())], password, &[("password", "of the team")]).await
}

async fn mutual_tls(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let authority = Authority::new()?;
    let proxy = MutualTls::to(bao.url(), &authority).await?;
    certificates(stage, authority.pem(), &authority).await?;
    name_token(stage, "TLS", bao).await?;
    reads(stage, "TLS", proxy.url()).await
}

async fn token(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let heading = "A token";
    run(stage, heading, Shell::at(bao)?).await?;
    name_token(stage, heading, bao).await?;
    reads(stage, heading, bao.url()).await
}

/// Makes the token that the manifests of a section name. It may have been made for another section.
async fn name_token(stage: &Stage, heading: &str, bao: &Bao) -> Result<()> {
    let token = stage.value(heading, "/stringData/token")?;
    let known = bao.write("auth/token/lookup", &json!({ "token": token })).await.is_ok();
    if !known {
        let body = json!({ "id": token, "policies": ["app"], "no_parent": true, "period": "24h" });
        bao.write("auth/token/create", &body).await?;
    }
    Ok(())
}

/// The store of the section on tokens still works.
async fn references(stage: &mut Stage, bao: &Bao) -> Result<()> {
    let kv = bao.kv("secret", KvVersion::V2);
    kv.put("prod/db", &json!({ "password": "second" })).await?;
    kv.put("prod/mail", &json!({ "host": "mail", "port": 587 })).await?;
    tag(bao, "prod/db", json!({ "owner": "ann" })).await?;
    for (name, team) in [("pay-key", "payments"), ("ship-key", "shipping"), ("pay-name", "payments")] {
        let name = format!("prod/services/{name}");
        kv.put(&name, &json!({ "of": team })).await?;
        tag(bao, &name, json!({ "team": team })).await?;
    }
    let expected = [
        ("first-password", VALUE),
        ("host", "mail"),
        ("owner", "ann"),
        ("password", "second"),
        ("port", "587"),
        ("prod_services_pay-key", r#"{"of":"payments"}"#),
    ];
    stage.syncs("What a reference means", &expected).await
}

async fn tag(bao: &Bao, name: &str, tags: Value) -> Result<()> {
    bao.write(&format!("secret/metadata/{name}"), &json!({ "custom_metadata": tags })).await?;
    Ok(())
}
