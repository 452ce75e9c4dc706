//! The manifest of `examples/portefaix/`, which users have in their Git today, works as it stands.

use std::fs;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use keyferry_e2e::harness::{ControlPlane, OperatorSpec, apply_yaml, condition, install_rbac, repository, wait};
use keyferry_fakes::akeyless::{Access, AkeylessGateway, Item};
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, TypeMeta};
use kube::{Api, Client};
use serde_json::json;

use crate::support::values;

/// Where the manifest lives: this test has the namespace for itself.
const NAMESPACE: &str = "my-app";
/// The one thing that a test must change.
const PUBLIC_URL: &str = "https://api.akeyless.io";

fn example(file: &str) -> Result<String> {
    let path = repository().join("examples/portefaix").join(file);
    fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

#[tokio::test]
async fn it_works_verbatim() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client()?;
    install_rbac(&client).await?;
    let gateway = AkeylessGateway::start()?;
    gateway.grant(Access::api_key("p-portefaix0001", "sample-access-key-of-the-fake-gateway"));
    gateway.put(Item::secret("/portefaix/prod/db/password", "first"));
    let manifest = example("portefaix.yaml")?;
    assert!(manifest.contains(PUBLIC_URL) && manifest.contains("external-secrets.io/v1beta1"));
    let manifest = manifest.replace(PUBLIC_URL, gateway.url());
    apply_yaml(&client, "default", &example("namespace.yaml")?).await?;
    apply_yaml(&client, "default", &example("credentials.yaml")?).await?;
    let kubeconfig = cluster.kubeconfig_for("keyferry", "keyferry").await?;
    let _operator = OperatorSpec::new(&kubeconfig).namespace(NAMESPACE).start().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);

    // The access key is missing at first: nothing in the manifest says where it is, so the message must.
    forget_access_key(&secrets).await?;
    apply_yaml(&client, "default", &manifest).await?;
    says(
        &client,
        "SecretStore",
        "akeyless-store",
        "False",
        &["MissingCredential", "my-app/akeyless-auth", "access-type-param"],
    )
    .await?;
    says(&client, "ExternalSecret", "db-credentials", "False", &["access-type-param"]).await?;

    apply_yaml(&client, "default", &example("credentials.yaml")?).await?;
    says(&client, "SecretStore", "akeyless-store", "True", &[]).await?;
    says(&client, "ExternalSecret", "db-credentials", "True", &["secret synced"]).await?;
    let held = |expected: &'static str| {
        let secrets = secrets.clone();
        async move {
            wait::until(&secrets, "db-credentials", &format!("it holds {expected}"), wait::DEADLINE, |secret| {
                secret.map(values).is_some_and(|values| values.get("password").is_some_and(|value| value == expected))
            })
            .await
        }
    };
    held("first").await?;

    // As Argo CD's refresh action does.
    gateway.rotate("/portefaix/prod/db/password", "second");
    let object = objects(&client, "ExternalSecret", "v1beta1")?;
    let force = json!({ "metadata": { "annotations": { "force-sync": "1" } } });
    object.patch("db-credentials", &PatchParams::default(), &Patch::Merge(force)).await?;
    held("second").await?;

    // Applying it again changes nothing: a GitOps tool sees no drift.
    let before = object.get("db-credentials").await?;
    apply_yaml(&client, "default", &manifest).await?;
    let after = object.get("db-credentials").await?;
    assert_eq!(before.metadata.generation, after.metadata.generation);
    Ok(())
}

async fn forget_access_key(secrets: &Api<Secret>) -> Result<()> {
    let without = json!({ "data": { "access-type-param": null } });
    secrets.patch("akeyless-auth", &PatchParams::default(), &Patch::Merge(without)).await?;
    Ok(())
}

fn objects(client: &Client, kind: &str, version: &str) -> Result<Api<DynamicObject>> {
    let types = TypeMeta { api_version: format!("external-secrets.io/{version}"), kind: kind.to_owned() };
    let resource = kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::try_from(&types)?);
    Ok(Api::namespaced_with(client.clone(), NAMESPACE, &resource))
}

async fn says(client: &Client, kind: &str, name: &str, status: &str, parts: &[&str]) -> Result<()> {
    let what = format!("{kind} {name} has Ready={status} with {parts:?}");
    wait::until(&objects(client, kind, "v1beta1")?, name, &what, wait::DEADLINE, |object| {
        object.and_then(|object| condition(object, "Ready")).is_some_and(|ready| {
            let message = ready["message"].as_str().unwrap_or_default();
            ready["status"] == status && parts.iter().all(|part| message.contains(part))
        })
    })
    .await?;
    Ok(())
}
