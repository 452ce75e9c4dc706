//! Kubeconfig files. They are written as JSON, which is YAML as well.

use std::path::Path;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::pki::Identity;

/// What a client shows to the API server.
pub(super) enum Credentials<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// The text of a kubeconfig file for one user who is at home in `namespace`.
pub(super) fn kubeconfig(url: &str, ca: &Path, namespace: &str, credentials: &Credentials<'_>) -> String {
    let user = match credentials {
        Credentials::Certificate(identity) => json!({
            "client-certificate": identity.certificate,
            "client-key": identity.key,
        }),
        Credentials::Token(token) => json!({ "token": token }),
    };
    let text: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "e2e", "cluster": { "server": url, "certificate-authority": ca } }],
        "users": [{ "name": "e2e", "user": user }],
        "contexts": [{ "name": "e2e", "context": { "cluster": "e2e", "user": "e2e", "namespace": namespace } }],
        "current-context": "e2e",
    });
    format!("{text:#}\n")
}

/// The client configuration that a kubeconfig file describes.
pub(super) async fn client_config(kubeconfig: &Path) -> Result<kube::Config> {
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("failed to read {}", kubeconfig.display()))?;
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .context("failed to make a client configuration")?;
    config.proxy_url = None;
    Ok(config)
}
