//! The process's proxy settings hold for every backend, and not for what `NO_PROXY` names.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use keyferry_e2e::harness::wait;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store, vault};

/// A proxy that lets nobody through.
struct Proxy {
    url: String,
    asked_for: Arc<Mutex<BTreeSet<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked_for = Arc::<Mutex<BTreeSet<_>>>::default();
        let hosts = Arc::clone(&asked_for);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let hosts = Arc::clone(&hosts);
                tokio::spawn(async move { refuse(client, &hosts).await });
            }
        });
        Ok(Self { url, asked_for, task })
    }

    /// The hosts that clients wanted to be led to, with the port where it was named.
    fn asked_for(&self) -> BTreeSet<String> {
        self.asked_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn refuse(client: TcpStream, hosts: &Mutex<BTreeSet<String>>) -> Result<()> {
    let mut lines = BufReader::new(client).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    while lines.next_line().await?.is_some_and(|header| !header.is_empty()) {}
    let target = request.split(' ').nth(1).unwrap_or_default();
    let host = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap_or_default();
    hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    lines.into_inner().write_all(answer.as_bytes()).await?;
    Ok(())
}

/// A store of every backend that is reached over a network, and the host that it asks first.
fn stores() -> Vec<(&'static str, Value, &'static str)> {
    let key = |key: &str| json!({ "name": "logins", "key": key });
    let aws = |service: &str| {
        let keys = json!({ "accessKeyIDSecretRef": key("word"), "secretAccessKeySecretRef": key("word") });
        json!({ "aws": { "service": service, "region": "eu-west-1", "auth": { "secretRef": keys } } })
    };
    let akeyless = json!({ "akeyless": {
        "akeylessGWApiURL": "https://akeyless.example/api/v2",
        "authSecretRef": { "secretRef": {
            "accessID": key("word"), "accessType": key("access-type"), "accessTypeParam": key("word"),
        } },
    } });
    let azure = json!({ "azurekv": {
        "vaultUrl": "https://keyferry.vault.azure.net", "tenantId": "0f6dd79c-0f19-4a2b-a5b1-4b6f0f8d2f6a",
        "authSecretRef": { "clientId": key("word"), "clientSecret": key("word") },
    } });
    let gcp = json!({ "gcpsm": {
        "projectID": "keyferry-1", "auth": { "secretRef": { "secretAccessKeySecretRef": key("google") } },
    } });
    let infisical = json!({ "infisical": {
        "hostAPI": "https://infisical.example",
        "auth": { "universalAuthCredentials": { "clientId": key("word"), "clientSecret": key("word") } },
        "secretsScope": { "projectSlug": "web", "environmentSlug": "prod" },
    } });
    let kubernetes = json!({ "kubernetes": {
        "server": { "url": "https://kubernetes.example:6443" }, "auth": { "token": { "bearerToken": key("word") } },
    } });
    let webhook = json!({ "webhook": {
        "url": "https://webhook.example/{{ .remoteRef.key }}", "result": { "jsonPath": "$.value" },
    } });
    vec![
        ("akeyless", akeyless, "akeyless.example:443"),
        ("azure", azure, "login.microsoftonline.com:443"),
        ("gcp", gcp, "oauth2.googleapis.com:443"),
        ("infisical", infisical, "infisical.example:443"),
        ("kubernetes", kubernetes, "kubernetes.example:6443"),
        ("parameter-store", aws("ParameterStore"), "ssm.eu-west-1.amazonaws.com:443"),
        ("plain", vault("http://vault.example:8200", "kv"), "vault.example:8200"),
        ("secrets-manager", aws("SecretsManager"), "secretsmanager.eu-west-1.amazonaws.com:443"),
        ("tls", vault("https://vault.example:8201", "kv"), "vault.example:8201"),
        ("webhook", webhook, "webhook.example:443"),
    ]
}

fn logins() -> Result<Manifest> {
    let google = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).context("no key could be made")?;
    let google = json!({
        "type": "service_account",
        "project_id": "keyferry-1",
        "private_key_id": "1",
        "private_key": google.serialize_pem(),
        "client_email": "reader@keyferry-1.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    Ok(credential("logins", &[("word", "word"), ("access-type", "api_key"), ("google", &google.to_string())]))
}

#[tokio::test]
async fn every_backend_is_reached_through_the_proxy_and_a_host_that_is_exempt_without() -> Result<()> {
    let (tenant, proxy) = (Tenant::create("proxies").await?, Proxy::start().await?);
    tenant.apply(&logins()?).await?;
    tenant.kv.put("db", &json!({ "password": "direct" })).await?;
    let operator = ["HTTP_PROXY", "HTTPS_PROXY"]
        .into_iter()
        .fold(tenant.operator(), |operator, variable| operator.variable(variable, &proxy.url));
    // The API server of the tests and OpenBao are both here.
    let _operator = operator.variable("NO_PROXY", "localhost,127.0.0.1").start().await?;

    tenant.apply(&external_secret("direct").property("password", "db", "password")).await?;
    for (name, provider, _) in stores() {
        tenant.apply(&secret_store(name, provider)).await?;
        tenant.apply(&external_secret(name).store(name).key("password", "db")).await?;
    }

    tenant.holds("direct", &[("password", "direct")]).await?;
    let expected: BTreeSet<_> = stores().into_iter().map(|(.., host)| host.to_owned()).collect();
    wait::eventually("the proxy is asked for every backend", wait::DEADLINE, async || {
        Ok(expected.is_subset(&proxy.asked_for()).then_some(()))
    })
    .await
    .with_context(|| format!("it was asked for {:?}", proxy.asked_for()))?;
    for (name, ..) in stores() {
        tenant.fails(name, &["ProviderUnreachable"]).await?;
    }
    assert!(proxy.asked_for().iter().all(|host| !host.starts_with("127.0.0.1")), "{:?}", proxy.asked_for());
    Ok(())
}
