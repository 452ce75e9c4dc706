//! Applying manifests the way `kubectl apply --server-side` does.

use std::fs;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::wait::{Condition, conditions};
use kube::{Api, Client, ResourceExt};

use super::{layout, wait};

/// Applies every document of `text`, in order. Namespaced objects that name no namespace go to `namespace`.
pub async fn apply_yaml(client: &Client, namespace: &str, text: &str) -> Result<Vec<DynamicObject>> {
    let manifests: Vec<Option<DynamicObject>> =
        serde_saphyr::from_multiple(text).context("failed to parse a manifest")?;
    let mut applied = Vec::with_capacity(manifests.len());
    for manifest in manifests.into_iter().flatten() {
        applied.push(apply(client, namespace, &manifest).await?);
    }
    Ok(applied)
}

/// Finds the API of a kind of any group, and whether its objects live in namespaces.
pub async fn resource_of(client: &Client, types: &TypeMeta) -> Result<(ApiResource, Scope)> {
    let kind = GroupVersionKind::try_from(types).with_context(|| format!("malformed version {}", types.api_version))?;
    let (resource, capabilities) = pinned_kind(client, &kind)
        .await
        .with_context(|| format!("the API server does not know {} {}", types.api_version, types.kind))?;
    Ok((resource, capabilities.scope))
}

/// Applies every CustomResourceDefinition of `crds/generated/` and waits until objects of its kind can be made.
///
/// # Errors
/// If there is none.
pub async fn install_crds(client: &Client) -> Result<()> {
    let dir = layout::repository().join("crds/generated");
    let mut files: Vec<_> = fs::read_dir(&dir)
        .with_context(|| format!("failed to list {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    ensure!(!files.is_empty(), "no manifest in {}", dir.display());

    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        for applied in
            apply_yaml(client, "default", &text).await.with_context(|| format!("failed to apply {}", file.display()))?
        {
            await_established(client, &applied.name_any()).await?;
        }
    }
    Ok(())
}

/// Applies `deploy/rbac.yaml`: what the operator may do.
pub async fn install_rbac(client: &Client) -> Result<()> {
    let file = layout::repository().join("deploy/rbac.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    apply_yaml(client, "default", &text).await.with_context(|| format!("failed to apply {}", file.display()))?;
    Ok(())
}

async fn apply(client: &Client, namespace: &str, manifest: &DynamicObject) -> Result<DynamicObject> {
    let types = manifest.types.as_ref().context("a manifest names no kind")?;
    let (resource, scope) = resource_of(client, types).await?;
    let name = manifest.metadata.name.as_deref().context("a manifest has no name")?;
    let api: Api<DynamicObject> = match scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = manifest.metadata.namespace.as_deref().unwrap_or(namespace);
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let parameters = PatchParams::apply("keyferry-e2e").force();
    api.patch(name, &parameters, &Patch::Apply(manifest))
        .await
        .with_context(|| format!("failed to apply {} {name}", types.kind))
}

/// A definition is served a moment after it is called established, and version by version.
async fn await_established(client: &Client, name: &str) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = conditions::is_crd_established();
    let what = format!("the definition {name} is established");
    let crd = wait::until(&api, name, &what, wait::DEADLINE, |crd| established.matches_object(crd))
        .await?
        .with_context(|| format!("{name} is gone"))?;
    for version in crd.spec.versions.iter().filter(|version| version.served) {
        let types =
            TypeMeta { api_version: format!("{}/{}", crd.spec.group, version.name), kind: crd.spec.names.kind.clone() };
        let what = format!("{} {} is served", types.api_version, types.kind);
        wait::eventually(&what, wait::DEADLINE, async || Ok(resource_of(client, &types).await.ok())).await?;
    }
    Ok(())
}
