//! What to write.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Template;
use crate::{admission::problem, schema::SUBDOMAIN};

/// What is written, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.deletionPolicy) || self.deletionPolicy != 'Delete' || !has(self.creationPolicy) \
     || self.creationPolicy in ['Owner', 'Orphan']",
    problem::DELETE_SHARED,
))]
#[x_kube(validation = (
    "!has(self.deletionPolicy) || self.deletionPolicy != 'Merge' || !has(self.creationPolicy) \
     || self.creationPolicy != 'None'",
    problem::MERGE_NOTHING,
))]
#[x_kube(validation = (
    "!has(self.template) || !has(self.template.templateFrom) \
     || (has(self.manifest) && !(self.manifest.apiVersion == 'v1' && self.manifest.kind == 'Secret')) \
     || self.template.templateFrom.all(from, !has(from.target) \
     || from.target.lowerAscii() in ['', 'data', 'annotations', 'labels'])",
    problem::TEMPLATE_TARGET,
))]
pub struct Target {
    /// Name of the Secret; that of the ExternalSecret where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: Option<String>,
    /// Whose the Secret is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Owner"))]
    pub creation_policy: Option<CreationPolicy>,
    /// What happens to the Secret when the backend does not have its values any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Retain"))]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether the Secret is made immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Another kind of object than a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<TargetManifest>,
    /// What the object looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetManifest {
    /// Its API version.
    #[schemars(length(min = 1))]
    pub api_version: String,
    /// The kind.
    #[schemars(length(min = 1))]
    pub kind: String,
}

/// Whose the target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CreationPolicy {
    /// It is created if need be, and shared with others.
    CreateOrMerge,
    /// Somebody else's, to whose keys ours are added.
    Merge,
    /// Nothing is written.
    None,
    /// The ExternalSecret's, but it outlives it.
    Orphan,
    /// The ExternalSecret's, and deleted with it.
    #[default]
    Owner,
}

/// What happens when the backend does not have the values any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The target is deleted.
    Delete,
    /// Our keys are removed.
    Merge,
    /// The target stays as it is.
    #[default]
    Retain,
}
