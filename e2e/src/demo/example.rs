//! The manifests of `examples/`, and what becomes of them in the cluster.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use keyferry_e2e::harness::{apply_yaml, condition, repository, resource_of, wait};
use kube::core::{DynamicObject, TypeMeta};
use kube::{Api, Client, ResourceExt};

use super::narrator::Narrator;

/// How long anything may take before the demo has failed: a tick and more.
const DEADLINE: Duration = Duration::from_mins(1);

/// A folder of `examples/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Example {
    /// The folder.
    pub(super) name: &'static str,
    /// The files, in the order in which they are applied.
    pub(super) files: &'static [&'static str],
    /// Where its objects live.
    pub(super) namespace: &'static str,
    /// The backend's address as the files have it.
    pub(super) address: &'static str,
}

impl Example {
    /// Applies all files, with the backend at `address`, and waits until all that they ask for is there.
    pub(super) async fn apply(&self, client: &Client, address: &str, narrator: &Narrator) -> Result<()> {
        let begin = Instant::now();
        let mut objects = Vec::new();
        for file in self.files {
            let text = self.read(file)?;
            if text.contains(self.address) {
                narrator.fact(file, &format!("the one change: {} becomes {address}", self.address))?;
            }
            let applied = apply_yaml(client, self.namespace, &text.replace(self.address, address)).await?;
            let names: Vec<_> = applied.iter().map(subject).collect();
            narrator.event(file, &format!("applied: {}", names.join(", ")), begin)?;
            objects.extend(applied);
        }
        for object in objects {
            let kind = object.types.as_ref().map(|types| types.kind.as_str());
            if let Some("SecretStore" | "ExternalSecret") = kind {
                self.await_ready(client, &object, begin, narrator).await?;
            }
            if kind == Some("ExternalSecret") {
                let secret = secrets(client, self.namespace).get(&target(&object)).await?;
                narrator.fact(&format!("Secret/{}", secret.name_any()), &sizes(&secret))?;
            }
        }
        Ok(())
    }

    async fn await_ready(
        &self,
        client: &Client,
        object: &DynamicObject,
        begin: Instant,
        narrator: &Narrator,
    ) -> Result<()> {
        let types = object.types.as_ref().context("an object without a kind")?;
        let api = objects(client, types, self.namespace).await?;
        let what = format!("{} is Ready", subject(object));
        let seen = wait::until(&api, &object.name_any(), &what, DEADLINE, |object| {
            object.and_then(|object| condition(object, "Ready")).is_some_and(|ready| ready["status"] == "True")
        })
        .await?
        .with_context(|| format!("{} is gone", subject(object)))?;
        let ready = condition(&seen, "Ready").context("there is no condition")?;
        let text = format!(
            "Ready=True, {}: {}",
            ready["reason"].as_str().unwrap_or_default(),
            ready["message"].as_str().unwrap_or_default()
        );
        narrator.event(&subject(object), &text, begin)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path: PathBuf = repository().join("examples").join(self.name).join(file);
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    }
}

/// Waits until a key of a Secret has so many bytes.
pub(super) async fn await_size(client: &Client, namespace: &str, secret: &str, key: &str, bytes: usize) -> Result<()> {
    let what = format!("{key} of Secret {namespace}/{secret} has {bytes} bytes");
    wait::until(&secrets(client, namespace), secret, &what, DEADLINE, |secret| {
        let value = secret.and_then(|secret| secret.data.as_ref()).and_then(|data| data.get(key));
        value.is_some_and(|value| value.0.len() == bytes)
    })
    .await?;
    Ok(())
}

/// The objects of a kind in a namespace.
pub(super) async fn objects(client: &Client, types: &TypeMeta, namespace: &str) -> Result<Api<DynamicObject>> {
    let (resource, _) = resource_of(client, types).await?;
    Ok(Api::namespaced_with(client.clone(), namespace, &resource))
}

fn secrets(client: &Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}

/// `Kind/name`.
fn subject(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
    format!("{kind}/{}", object.name_any())
}

/// The name of the Secret that an ExternalSecret makes.
fn target(external_secret: &DynamicObject) -> String {
    let named = external_secret.data["spec"]["target"]["name"].as_str();
    named.map_or_else(|| external_secret.name_any(), str::to_owned)
}

/// Keys and how long their values are; what the values are is nobody's business.
fn sizes(secret: &Secret) -> String {
    let keys = secret.data.iter().flatten().map(|(key, value)| format!("{key} ({} bytes)", value.0.len()));
    keys.collect::<Vec<_>>().join(", ")
}
