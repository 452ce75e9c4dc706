//! The namespace in which one test lives.

use std::thread;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Secret};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use kube::{Api, Client, ResourceExt};

use super::control_plane::ControlPlane;
use super::manifests::{apply_yaml, resource_of};
use super::wait;

/// The version of the API in which tests look at Keyferry's own kinds.
const API_VERSION: &str = "external-secrets.io/v1";

/// A namespace with a unique name. Dropping it deletes it, without waiting until it is empty.
pub struct Namespace {
    name: String,
    client: Client,
    kubeconfig: kube::Config,
}

impl Namespace {
    /// Creates a namespace whose name starts with `prefix`.
    pub async fn create(cluster: &ControlPlane, prefix: &str) -> Result<Self> {
        let client = cluster.client()?;
        let namespace = KubeNamespace {
            metadata: ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() },
            ..KubeNamespace::default()
        };
        let created = Api::<KubeNamespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("failed to create a namespace {prefix}-"))?;
        Ok(Self { name: created.name_any(), client, kubeconfig: cluster.client_config() })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client that may do everything.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The Secrets of the namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The objects of one of Keyferry's kinds in this namespace, or in the cluster where the kind lives there.
    pub async fn objects(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let types = TypeMeta { api_version: API_VERSION.to_owned(), kind: kind.to_owned() };
        let (resource, scope) = resource_of(&self.client, &types).await?;
        Ok(match scope {
            kube::discovery::Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            kube::discovery::Scope::Namespaced => Api::namespaced_with(self.client.clone(), &self.name, &resource),
        })
    }

    /// Applies manifests, those without a namespace to this one.
    pub async fn apply(&self, manifests: &str) -> Result<Vec<DynamicObject>> {
        apply_yaml(&self.client, &self.name, manifests).await
    }

    /// Waits until a Secret exists for which `met` holds.
    ///
    /// # Errors
    /// At the deadline; the message shows the Secret and the status of every ExternalSecret.
    pub async fn wait_for_secret(&self, name: &str, met: impl Fn(&Secret) -> bool) -> Result<Secret> {
        let what = format!("Secret {name} is as expected");
        let found = wait::until(&self.secrets(), name, &what, wait::DEADLINE, |secret| secret.is_some_and(&met)).await;
        match found {
            Ok(secret) => secret.with_context(|| format!("Secret {name} is gone")),
            Err(error) => bail!("{error:#}\n{}", self.external_secrets().await),
        }
    }

    /// Waits until a Secret does not exist.
    pub async fn wait_for_no_secret(&self, name: &str) -> Result<()> {
        let what = format!("Secret {name} is gone");
        wait::until(&self.secrets(), name, &what, wait::DEADLINE, |secret| secret.is_none()).await?;
        Ok(())
    }

    /// Waits until the condition `Ready` of one of Keyferry's objects has this status (`True` or `False`), tells of the
    /// manifest as it is now, and has a message with all `parts`.
    pub async fn wait_for_ready(&self, kind: &str, name: &str, status: &str, parts: &[&str]) -> Result<DynamicObject> {
        let what = format!("{kind} {name} has Ready={status} with {parts:?}");
        let api = self.objects(kind).await?;
        wait::until(&api, name, &what, wait::DEADLINE, |object| {
            let generation = object.and_then(|object| object.metadata.generation);
            object.and_then(|object| condition(object, "Ready")).is_some_and(|ready| {
                let message = ready["message"].as_str().unwrap_or_default();
                ready["status"] == status
                    && ready["observedGeneration"].as_i64() == generation
                    && parts.iter().all(|part| message.contains(part))
            })
        })
        .await?
        .with_context(|| format!("{kind} {name} is gone"))
    }

    /// What the ExternalSecrets say, for the message of a failure.
    async fn external_secrets(&self) -> String {
        let list = async { anyhow::Ok(self.objects("ExternalSecret").await?.list(&ListParams::default()).await?) };
        match list.await {
            Ok(list) => {
                let states = list.iter().map(|object| format!("{} {:#}", object.name_any(), object.data["status"]));
                format!("ExternalSecrets: {}", states.collect::<Vec<_>>().join("\n"))
            }
            Err(error) => format!("failed to list ExternalSecrets: {error:#}"),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, config) = (self.name.clone(), self.kubeconfig.clone());
        // The test's runtime ends with the test: the deletion gets its own.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let api: Api<KubeNamespace> = Api::all(Client::try_from(config)?);
                api.delete(&name, &DeleteParams::default()).await?;
                anyhow::Ok(())
            })
        });
    }
}

/// A condition of an object, as JSON.
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a serde_json::Value> {
    let conditions = object.data.get("status")?.get("conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}
