//! HashiCorp Vault and OpenBao.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VaultAuth;
use crate::{CaProvider, Hidden, SecretKeySelector, admission::problem};

/// HashiCorp Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.checkAndSet) || !has(self.version) || self.version != 'v1'",
    problem::VAULT_CHECK_AND_SET,
))]
pub struct VaultSpec {
    /// URL of the server.
    pub server: String,
    /// Mount of the KV engine; where none is named, keys begin with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version of the KV engine.
    #[serde(default)]
    pub version: VaultVersion,
    /// Namespace of the secrets (Enterprise and OpenBao).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How to log in; not at all where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<VaultAuth>,
    /// Headers sent with every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Hidden<BTreeMap<String, String>>>,
    /// CA certificates (PEM in Base64) that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub ca_bundle: Option<String>,
    /// Where to read CA certificates from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
    /// A client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<VaultTls>,
    /// Whether reads see earlier writes (Enterprise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_your_writes: Option<bool>,
    /// Whether reads that a standby cannot serve go to the active node (Enterprise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_inconsistent: Option<bool>,
    /// Whether writes name the version that they replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_and_set: Option<VaultCheckAndSet>,
}

/// Versions of the KV engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VaultVersion {
    /// One value for each key.
    V1,
    /// With versions and metadata.
    #[default]
    V2,
}

/// A client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.certSecretRef) == has(self.keySecretRef)", problem::VAULT_TLS))]
pub struct VaultTls {
    /// The certificate; its key is `tls.crt` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretKeySelector>,
    /// Its private key; its key is `tls.key` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<SecretKeySelector>,
}

/// Whether writes name the version that they replace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultCheckAndSet {
    /// Whether they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}
