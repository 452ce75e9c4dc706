//! The CustomResourceDefinitions as tools meet them.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyferry_e2e::harness::{ControlPlane, Namespace};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::external_secret;

/// `kubectl apply` without `--server-side` keeps the whole manifest in an annotation, whose size is limited.
#[tokio::test]
async fn they_can_be_applied_by_the_client() -> Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(ControlPlane::shared().await?.client()?);
    let all = crds.list(&ListParams::default()).await?;
    assert_eq!(all.items.len(), 3);
    for mut crd in all {
        let name = crd.name_any();
        (crd.metadata.managed_fields, crd.status) = (None, None);
        let annotation = json!({ "kubectl.kubernetes.io/last-applied-configuration": serde_json::to_string(&crd)? });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotation } }));
        let trying = PatchParams { dry_run: true, ..PatchParams::default() };
        crds.patch(&name, &trying, &patch).await.with_context(|| format!("{name} is too large"))?;
    }
    Ok(())
}

#[tokio::test]
async fn external_secrets_are_found_by_store_and_target() -> Result<()> {
    let namespace = Namespace::create(ControlPlane::shared().await?, "selected").await?;
    for (name, store, target) in [("a", "one", "x"), ("b", "one", "y"), ("c", "two", "x")] {
        let manifest = external_secret(name).store(store).with("/spec/target/name", target).key("key", "remote");
        namespace.apply(&manifest.with("/spec/secretStoreRef/kind", "SecretStore").to_string()).await?;
    }
    let api = namespace.objects("ExternalSecret").await?;
    for (selector, expected) in [
        ("spec.secretStoreRef.name=one", &["a", "b"][..]),
        ("spec.target.name=x,spec.secretStoreRef.name!=two", &["a"]),
        ("spec.secretStoreRef.kind=ClusterSecretStore", &[]),
        ("spec.refreshInterval=1h", &["a", "b", "c"]),
    ] {
        let found = api.list(&ListParams::default().fields(selector)).await?;
        let names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, expected, "{selector}");
    }
    Ok(())
}

#[tokio::test]
async fn kubectl_get_shows_what_matters() -> Result<()> {
    let client = ControlPlane::shared().await?.client()?;
    let store = ["Name", "AGE", "Status", "Capabilities", "Ready"];
    for (resource, expected) in [
        ("externalsecrets", &["Name", "StoreType", "Store", "Refresh Interval", "Status", "Ready", "Last Sync"][..]),
        ("secretstores", &store),
        ("clustersecretstores", &store),
    ] {
        let request = http::Request::get(format!("/apis/external-secrets.io/v1/{resource}"))
            .header("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
            .body(Vec::new())?;
        let table: Value = client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().context("there is no table")?;
        let names: Vec<_> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
        assert_eq!(names, expected, "{resource}");
    }
    Ok(())
}
