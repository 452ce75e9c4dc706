//! What a store says about its cluster.

use crate::auth::Auth;

/// Settings of one store, with all references resolved.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Address of the API server; `https` where it names no scheme. A kubeconfig has its own.
    pub server: String,
    /// Certificates to trust instead of the system's: PEM, or base64 of PEM. API servers mostly have a CA of their
    /// own, so without it little works. A kubeconfig has its own.
    pub roots: Option<Vec<u8>>,
    /// Namespace that Secrets are read from.
    pub namespace: String,
    /// How to log in.
    pub auth: Auth,
}

impl KubernetesConfig {
    /// The cluster that we run in, and its namespace `default`.
    pub fn new(auth: Auth) -> Self {
        Self { server: "kubernetes.default".into(), roots: None, namespace: "default".into(), auth }
    }
}
