//! `docs/backends/kubernetes.md`, with another namespace of the same control plane.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use keyferry_e2e::harness::ControlPlane;
use serde_json::{Value, json};

use super::Stage;
use super::canned::always;
use crate::support::{Manifest, credential, secret_store};

/// The addresses that the page names.
const OWN: &str = "url: kubernetes.default\n";
const OTHER: &str = "https://other-cluster.example.com:6443";

/// The namespace that the page's stores read.
const REMOTE: &str = "platform";

const SERVICE_ACCOUNT: &str = "A ServiceAccount";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let mut stage = Stage::open("kubernetes.md", |operator| operator).await?;
    fill(&stage).await?;
    let own_namespace = format!("namespace: {} ", stage.tenant.name());
    stage.apply("Permissions", &[("namespace: shop ", &own_namespace)]).await?;
    service_account(&mut stage, cluster).await?;
    other_cluster(&mut stage, cluster).await?;
    service_account(&mut stage, cluster).await?;
    let expected = [
        ("host", "mail"),
        ("password", VALUE),
        ("pay-key", r#"{"of":"payments"}"#),
        ("port", "587"),
        ("registry.json", r#"{"password":"hush","user":"reader"}"#),
        ("team", "shop"),
    ];
    stage.syncs("What a reference means", &expected).await?;
    provoke(&mut stage, cluster).await?;
    stage.close()
}

/// The Secrets that are read.
async fn fill(stage: &Stage) -> Result<()> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": REMOTE } });
    stage.tenant.namespace.apply(&namespace.to_string()).await?;
    let of = |team| [("of", team)];
    for secret in [
        credential("db", &[("password", VALUE)]).label("team", "shop"),
        credential("registry", &[("user", "reader"), ("password", "hush")]),
        credential("mail", &[("host", "mail"), ("port", "587")]),
        credential("pay-key", &of("payments")).label("team", "payments"),
        credential("ship-key", &of("shipping")).label("team", "shipping"),
        credential("pay-name", &of("payments")).label("team", "payments"),
    ] {
        stage.tenant.apply(&secret.with("/metadata/namespace", REMOTE)).await?;
    }
    Ok(())
}

fn password(es: Manifest) -> Manifest {
    es.property("password", "db", "password")
}

async fn service_account(stage: &mut Stage, cluster: &ControlPlane) -> Result<()> {
    let own = format!("url: {}\n", cluster.url());
    stage.works(SERVICE_ACCOUNT, &[(OWN, &own)], password, &[("password", VALUE)]).await
}

/// The logins that do not need the operator's own cluster. Another one, so to speak.
async fn other_cluster(stage: &mut Stage, cluster: &ControlPlane) -> Result<()> {
    let ca = json!({ "ca.crt": cluster.ca_pem() });
    let ca = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other-cluster-ca" }, "data": ca });
    stage.tenant.namespace.apply(&ca.to_string()).await?;
    let token = cluster.token_for(stage.tenant.name(), "secrets-reader", &[]).await?;
    let (heading, expected) = ("A token", [("password", VALUE)]);
    let documented = stage.value(heading, "/stringData/token")?;
    stage.works(heading, &[(OTHER, cluster.url()), (&documented, &token)], password, &expected).await?;

    let config = kubeconfig(cluster, &token)?;
    stage.tenant.apply(&credential("other-cluster-config", &[("kubeconfig", &config)])).await?;
    stage.works("A kubeconfig", &[], password, &expected).await?;
    let mut both = provider("https://127.0.0.1:1", REMOTE, "nobody");
    both["kubernetes"]["authRef"] = json!({ "name": "other-cluster-config", "key": "kubeconfig" });
    stage.tenant.apply(&secret_store("both", both)).await?;
    stage.tenant.store_works("both").await?;

    let read =
        |file: &str| std::fs::read_to_string(cluster.dir().join(file)).context("the control plane has no such file");
    let (certificate, key) = (read("keyferry-e2e-admin.crt")?, read("keyferry-e2e-admin.key")?);
    let keys = [("tls.crt", certificate.as_str()), ("tls.key", key.as_str())];
    stage.tenant.apply(&credential("other-cluster-client", &keys)).await?;
    stage.works("A client certificate", &[(OTHER, cluster.url())], password, &expected).await
}

/// A kubeconfig in which everything stands that it needs.
fn kubeconfig(cluster: &ControlPlane, token: &str) -> Result<String> {
    let ca = serde_json::to_value(ByteString(cluster.ca_pem().into()))?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "other",
        "clusters": [{ "name": "c", "cluster": { "server": cluster.url(), "certificate-authority-data": ca } }],
        "users": [{ "name": "u", "user": { "token": token } }],
        "contexts": [{ "name": "other", "context": { "cluster": "c", "user": "u" } }],
    });
    Ok(config.to_string())
}

/// The store of the section on ServiceAccounts still works.
async fn provoke(stage: &mut Stage, cluster: &ControlPlane) -> Result<()> {
    let read = |key: &'static str| move |es: Manifest| es.key("value", key);
    stage.reader_says("there is no Secret", REMOTE, read("nothing")).await?;
    stage.reader_says("the key \"…\" cannot be", REMOTE, read("platform/db")).await?;
    let version = json!({ "secretKey": "value", "remoteRef": { "key": "db", "version": "1" } });
    stage.reader_says("a Secret keeps no versions", REMOTE, |es| es.add("data", version)).await?;
    let path = json!({ "find": { "path": "db" } });
    stage.reader_says("Secrets have no paths", REMOTE, |es| es.add("dataFrom", path)).await?;

    let url = cluster.url();
    stage.store_says("the login may not get", "elsewhere", provider(url, "default", "secrets-reader")).await?;
    let mut untrusted = provider(url, REMOTE, "secrets-reader");
    untrusted["kubernetes"]["server"] = json!({ "url": url });
    stage.store_says("its certificate comes from", "untrusted", untrusted).await?;
    let lost = always(404, "not here").await?;
    stage.store_says("nothing there knows", "lost", provider(lost.url(), REMOTE, "secrets-reader")).await?;

    let wrong = [("token", "not-a-token"), ("lines", "a\nb"), ("kubeconfig", "{}")];
    stage.tenant.apply(&credential("wrong", &wrong)).await?;
    let mut refused = provider(url, REMOTE, "secrets-reader");
    refused["kubernetes"]["auth"] = json!({ "token": { "bearerToken": { "name": "wrong", "key": "token" } } });
    stage.store_says("the API server does not accept", "refused", refused.clone()).await?;
    refused["kubernetes"]["auth"]["token"]["bearerToken"]["key"] = json!("lines");
    stage.store_says("auth.token.bearerToken", "lines", refused).await?;
    let config = json!({ "remoteNamespace": REMOTE, "authRef": { "name": "wrong", "key": "kubeconfig" } });
    stage.store_says("the kubeconfig that authRef names", "no-config", json!({ "kubernetes": config })).await?;
    limited(stage, url).await
}

/// A ServiceAccount that may read one Secret only.
async fn limited(stage: &mut Stage, url: &str) -> Result<()> {
    let team = stage.tenant.name().to_owned();
    let manifest = format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: mail-reader }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: mail-reader, namespace: {REMOTE} }}
rules: [{{ apiGroups: [''], resources: [secrets], verbs: [get], resourceNames: [mail] }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: mail-reader, namespace: {REMOTE} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: mail-reader }}
subjects: [{{ kind: ServiceAccount, name: mail-reader, namespace: {team} }}]
"
    );
    stage.tenant.namespace.apply(&manifest).await?;
    let store = secret_store("limited", provider(url, REMOTE, "mail-reader"));
    stage.tenant.apply(&store).await?;
    stage.tenant.store_works("limited").await?;
    stage.reader_says("the login may not read", "limited", password).await
}

/// A provider that logs in with tokens of a ServiceAccount.
fn provider(url: &str, namespace: &str, account: &str) -> Value {
    let ca = json!({ "type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt" });
    json!({ "kubernetes": {
        "remoteNamespace": namespace,
        "server": { "url": url, "caProvider": ca },
        "auth": { "serviceAccount": { "name": account } },
    } })
}
