//! The objects of the benchmark, and a plain client that writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::surroundings::MOUNT;

/// Longer than the benchmark: no tick disturbs a phase.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// How many requests at a time prepare a phase.
pub(super) const CLIENT_CONCURRENCY: usize = 16;

/// Before and after the values change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Round {
    First,
    Second,
}

/// The name of an ExternalSecret, its remote secret and its target.
pub(super) fn name(n: usize) -> String {
    format!("secret-{n:05}")
}

/// The value of a remote secret.
pub(super) fn value(n: usize, round: Round) -> String {
    format!("{round:?} value of {}", name(n))
}

/// Does `work` for every number below `count`, so many at a time, on all processors.
pub(super) async fn spread<W, F>(count: usize, concurrency: usize, work: W) -> Result<()>
where
    W: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (next, work) = (Arc::clone(&next), work.clone());
        workers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return anyhow::Ok(());
                }
                work(n).await?;
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker ended abnormally")??;
    }
    Ok(())
}

/// The ExternalSecrets of a namespace.
pub(super) fn external_secrets(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("external-secrets.io", "v1", "ExternalSecret");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

/// Creates ExternalSecrets.
pub(super) async fn create_external_secrets(
    client: &Client,
    namespace: &str,
    count: usize,
    interval: Duration,
    concurrency: usize,
) -> Result<()> {
    let writes = Writes::new(client, namespace);
    spread(count, concurrency, move |n| {
        let writes = writes.clone();
        async move { writes.create_external_secret(n, interval).await.map(drop) }
    })
    .await
}

/// Changes the interval of every ExternalSecret.
pub(super) async fn set_interval(client: &Client, namespace: &str, count: usize, interval: Duration) -> Result<()> {
    let api = external_secrets(client, namespace);
    spread(count, CLIENT_CONCURRENCY, move |n| {
        let api = api.clone();
        async move {
            let patch = json!({ "spec": { "refreshInterval": go_duration(interval) } });
            api.patch(&name(n), &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok(())
        }
    })
    .await
}

/// Fails unless every ExternalSecret is Ready and every target holds the value of this round.
pub(super) async fn verify(client: &Client, namespace: &str, count: usize, round: Round) -> Result<()> {
    let writes = Writes::new(client, namespace);
    let external_secrets = writes.external_secrets.list(&ListParams::default()).await?;
    let is_ready = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let ready = external_secrets.iter().filter(|object| is_ready(object)).count();
    ensure!(ready == count, "{ready} of {count} ExternalSecrets are Ready");
    for n in 0..count {
        let secret = writes.secrets.get(&name(n)).await?;
        let right = secret.data.as_ref().and_then(|data| data.get("value"));
        ensure!(right.is_some_and(|held| held.0 == value(n, round).as_bytes()), "{} holds something else", name(n));
    }
    Ok(())
}

/// The three writes that a synced ExternalSecret is made of.
#[derive(Clone)]
pub(super) struct Writes {
    namespace: String,
    external_secrets: Api<DynamicObject>,
    secrets: Api<Secret>,
}

impl Writes {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            external_secrets: external_secrets(client, namespace),
            secrets: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Creates an ExternalSecret and returns its uid.
    pub(super) async fn create_external_secret(&self, n: usize, interval: Duration) -> Result<String> {
        let object = serde_json::from_value(external_secret(n, interval))?;
        let created = self.external_secrets.create(&PostParams::default(), &object).await?;
        created.uid().context("an object without a uid")
    }

    /// The uid of an existing ExternalSecret.
    pub(super) async fn uids(&self) -> Result<Vec<String>> {
        let objects = self.external_secrets.list(&ListParams::default()).await?;
        objects.iter().map(|object| object.uid().context("an object without a uid")).collect()
    }

    /// Creates a target as the operator does, and writes the status that tells of it.
    pub(super) async fn sync(&self, n: usize, uid: &str) -> Result<()> {
        let secret: Secret = serde_json::from_value(self.target(n, uid))?;
        let secret = self.secrets.create(&PostParams::default(), &secret).await?;
        let patch = json!({ "metadata": { "uid": uid }, "status": status(n, &secret) });
        self.external_secrets.patch_status(&name(n), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    fn target(&self, n: usize, uid: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name(n),
                "namespace": self.namespace,
                "labels": {
                    "reconcile.external-secrets.io/managed": "true",
                    "reconcile.external-secrets.io/created-by": format!("{n:056x}"),
                },
                "ownerReferences": [{
                    "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": name(n), "uid": uid,
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "stringData": { "value": value(n, Round::First) },
        })
    }
}

fn external_secret(n: usize, interval: Duration) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": { "name": name(n) },
        "spec": {
            "refreshInterval": go_duration(interval),
            "secretStoreRef": { "name": "vault", "kind": "SecretStore" },
            "target": { "name": name(n) },
            "data": [{ "secretKey": "value", "remoteRef": { "key": name(n), "property": "value" } }],
        },
    })
}

fn status(n: usize, target: &Secret) -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({
        "binding": { "name": name(n) },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
            "lastTransitionTime": now, "observedGeneration": 1,
        }],
        "observedGeneration": 1,
        "refreshTime": now,
        "syncedResourceVersion": format!("1-{n:056x}"),
        "target": { "uid": target.uid(), "resourceVersion": target.resource_version() },
    })
}

fn go_duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// A namespace, a store that logs in by AppRole, and two accounts.
pub(super) fn team(namespace: &str, server: &str, role_id: &str, secret_id: &str) -> String {
    let named = |name: &str| json!({ "name": name, "namespace": namespace });
    let binding = |account: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": format!("{namespace}-{account}") },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": namespace }],
        })
    };
    let store = json!({ "vault": {
        "server": server,
        "path": MOUNT,
        "version": "v2",
        "auth": { "appRole": {
            "path": "approle", "roleId": role_id, "secretRef": { "name": "app-role", "key": "secret-id" },
        } },
    } });
    let documents = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named("keyferry") }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named("client") }),
        binding("keyferry", "keyferry"),
        binding("client", "cluster-admin"),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": named("app-role"), "stringData": { "secret-id": secret_id },
        }),
        json!({
            "apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": named("vault"),
            "spec": { "provider": store },
        }),
    ];
    documents.map(|document| document.to_string()).join("\n---\n")
}
