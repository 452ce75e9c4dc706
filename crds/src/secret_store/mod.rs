//! SecretStore and ClusterSecretStore: a secret backend, and how to log in there.

mod cluster;
mod interval;
mod status;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    cluster::ClusterSecretStore,
    interval::CheckInterval,
    status::{SecretStoreStatus, StoreCapabilities},
};
use crate::{GoDuration, ProviderSpec, admission::problem, schema::LABEL};

/// A secret backend, and how to log in there.
#[allow(clippy::duplicated_attributes, reason = "columns may have the same type")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "external-secrets.io",
    version = "v1",
    kind = "SecretStore",
    doc = "A secret backend that ExternalSecrets of the same namespace read from.",
    namespaced,
    status = "SecretStoreStatus",
    derive = "PartialEq",
    shortname = "ss",
    category = "external-secrets",
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Capabilities", type_ = "string", json_path = ".status.capabilities"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#)
)]
#[serde(rename_all = "camelCase")]
pub struct SecretStoreSpec {
    /// Class of the operator that serves this store; empty is every operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// The backend: exactly one.
    #[x_kube(validation = (
        "[has(self.akeyless), has(self.aws), has(self.azurekv), has(self.fake), has(self.gcpsm), has(self.infisical), \
         has(self.kubernetes), has(self.vault), has(self.webhook)].filter(given, given).size() == 1",
        problem::PROVIDER,
    ))]
    pub provider: ProviderSpec,
    /// How often a failed call is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_settings: Option<RetrySettings>,
    /// Time between two checks of the store: seconds, or a duration such as 10m; 0 is the operator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<CheckInterval>,
    /// Namespaces that may use a ClusterSecretStore: those that any of these lets in, or all if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<ClusterSecretStoreCondition>>,
}

impl SecretStoreSpec {
    /// The time between two checks that the manifest asks for; `None` also where it cannot be read.
    pub fn check_interval(&self) -> Option<Duration> {
        self.refresh_interval.as_ref().and_then(|interval| interval.duration().ok())
    }
}

/// How often a failed call is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrySettings {
    /// At most so many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// Pause between two tries, such as 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<GoDuration>,
}

/// Namespaces that may use a ClusterSecretStore: those that any of its parts lets in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSecretStoreCondition {
    /// By labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub namespace_selector: Option<LabelSelector>,
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 63), regex(pattern = LABEL)))]
    pub namespaces: Option<Vec<String>>,
    /// By regular expressions that match anywhere in the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_regexes: Option<Vec<String>>,
}
