//! ClusterSecretStores: who may use them, and whose credentials they use.
//!
//! Each test has a controller class of its own, so that the operators of the other tests leave its stores alone.

use anyhow::Result;
use keyferry_e2e::harness::{Bao, Operator, condition};
use serde_json::json;

use crate::support::{Manifest, Tenant, cluster_store, external_secret, vault, vault_at};

/// A team with a remote secret and an operator for the controller class with the team's name.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, Operator)> {
    let tenant = Tenant::create(prefix).await?;
    tenant.kv.put("db", &json!({ "password": "first" })).await?;
    let class = format!("--controller-class={}", tenant.name());
    let operator = tenant.operator().argument(class).start().await?;
    Ok((tenant, operator))
}

/// A ClusterSecretStore with the team's name whose credentials lie in the team's namespace.
async fn store(tenant: &Tenant<'_>) -> Result<Manifest> {
    let name = tenant.name();
    let auth = json!({ "tokenSecretRef": { "name": "vault-token", "key": "token", "namespace": name } });
    Ok(cluster_store(name, name, vault_at(Bao::shared().await?.url(), name, auth)))
}

fn db(tenant: &Tenant<'_>) -> Manifest {
    external_secret("db")
        .store(tenant.name())
        .with("/spec/secretStoreRef/kind", "ClusterSecretStore")
        .property("password", "db", "password")
}

#[tokio::test]
async fn a_cluster_store_serves_external_secrets() -> Result<()> {
    let (tenant, _operator) = tenant("cluster").await?;
    tenant.apply(&store(&tenant).await?).await?;
    tenant.apply(&db(&tenant)).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    let object = tenant.namespace.wait_for_ready("ClusterSecretStore", tenant.name(), "True", &[]).await?;
    assert_eq!(condition(&object, "Ready").map(|ready| &ready["reason"]), Some(&json!("Valid")));
    Ok(())
}

#[tokio::test]
async fn credentials_without_a_namespace_are_those_of_the_reader() -> Result<()> {
    let (tenant, _operator) = tenant("referent").await?;
    let provider = vault(Bao::shared().await?.url(), tenant.name());
    tenant.apply(&cluster_store(tenant.name(), tenant.name(), provider)).await?;
    tenant.apply(&db(&tenant)).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    tenant.namespace.wait_for_ready("ClusterSecretStore", tenant.name(), "True", &["store validated"]).await?;
    Ok(())
}

#[tokio::test]
async fn only_namespaces_that_its_conditions_let_in_may_use_it() -> Result<()> {
    let (tenant, _operator) = tenant("conditions").await?;
    let closed = store(&tenant).await?.with("/spec/conditions", json!([{ "namespaces": ["somebody-else"] }]));
    tenant.apply(&closed).await?;
    tenant.apply(&db(&tenant)).await?;
    let denied = format!("is not allowed from namespace \"{}\": denied by spec.condition", tenant.name());
    tenant.fails("db", &["AccessDenied", &denied]).await?;

    let labels = json!({ "matchLabels": { "kubernetes.io/metadata.name": tenant.name() } });
    let open = [
        json!([{ "namespaces": ["somebody-else", tenant.name()] }]),
        json!([{ "namespaceRegexes": [format!("^{}$", tenant.name())] }]),
        json!([{ "namespaces": ["somebody-else"] }, { "namespaceSelector": labels }]),
    ];
    for conditions in open {
        tenant.apply(&store(&tenant).await?.with("/spec/conditions", conditions)).await?;
        tenant.holds("db", &[("password", "first")]).await?;
        tenant.synced("db").await?;
        tenant.apply(&closed).await?;
        tenant.fails("db", &["AccessDenied"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_label_lets_a_namespace_in_at_once() -> Result<()> {
    let (tenant, _operator) = tenant("labelled").await?;
    let selector = json!([{ "namespaceSelector": { "matchLabels": { "vault": "yes" } } }]);
    tenant.apply(&store(&tenant).await?.with("/spec/conditions", selector)).await?;
    tenant.apply(&db(&tenant)).await?;
    tenant.fails("db", &["AccessDenied"]).await?;

    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": tenant.name(), "labels": { "vault": "yes" } },
    });
    tenant.namespace.apply(&namespace.to_string()).await?;

    tenant.holds("db", &[("password", "first")]).await?;
    Ok(())
}
