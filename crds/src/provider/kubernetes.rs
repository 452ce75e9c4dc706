//! Secrets of a Kubernetes cluster.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaProvider, SecretKeySelector, ServiceAccountSelector, admission::problem, schema::LABEL};

/// Secrets of a Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesSpec {
    /// The API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<KubernetesServer>,
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<KubernetesAuth>,
    /// A kubeconfig that says where the API server is and how to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_ref: Option<SecretKeySelector>,
    /// Namespace that Secrets are read from.
    #[serde(default = "default_namespace")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub remote_namespace: String,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// An API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesServer {
    /// Its URL.
    #[serde(default = "default_url")]
    pub url: String,
    /// CA certificates (PEM in Base64) that are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub ca_bundle: Option<String>,
    /// Where to read CA certificates from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
}

fn default_url() -> String {
    "kubernetes.default".to_owned()
}

/// How to log in: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.cert), has(self.token), has(self.serviceAccount)].filter(given, given).size() == 1",
    problem::KUBERNETES_AUTH,
))]
pub struct KubernetesAuth {
    /// With a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<KubernetesCert>,
    /// With a token from a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<KubernetesToken>,
    /// With tokens of a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountSelector>,
}

/// A client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesCert {
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(required)]
    #[x_kube(validation = ("has(self.name) && has(self.key)", problem::NAME_AND_KEY))]
    pub client_cert: Option<SecretKeySelector>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(required)]
    #[x_kube(validation = ("has(self.name) && has(self.key)", problem::NAME_AND_KEY))]
    pub client_key: Option<SecretKeySelector>,
}

/// A token from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesToken {
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(required)]
    #[x_kube(validation = ("has(self.name) && has(self.key)", problem::NAME_AND_KEY))]
    pub bearer_token: Option<SecretKeySelector>,
}
