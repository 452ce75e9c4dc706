//! Changes to the keys of a set of values.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::problem;

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.regexp), has(self.transform), has(self.merge)].filter(given, given).size() == 1",
    problem::REWRITE,
))]
pub struct Rewrite {
    /// Replaces what matches in each key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regexp: Option<RewriteRegexp>,
    /// Makes each key anew from a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<RewriteTransform>,
    /// Merges the keys of JSON values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<RewriteMerge>,
}

/// Replaces what matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RewriteRegexp {
    /// Regular expression.
    pub source: String,
    /// Replacement; `$1` is the first group.
    pub target: String,
}

/// Makes keys anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RewriteTransform {
    /// Template; `.value` is the key.
    pub template: String,
}

/// Merges the keys of JSON values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RewriteMerge {
    /// What the merged keys become; Extract where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<MergeStrategy>,
    /// With strategy JSON, the key that the JSON object goes into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Two values have the same key; Error where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_policy: Option<ConflictPolicy>,
    /// Keys whose values are merged last and so win, the last one most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Vec<String>>,
    /// A key of `priority` is not there; Strict where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_policy: Option<PriorityPolicy>,
}

/// What merged keys become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MergeStrategy {
    /// Keys of their own.
    #[default]
    Extract,
    /// One JSON object.
    #[serde(rename = "JSON")]
    Json,
}

/// What happens when two merged values have the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// It is an error.
    #[default]
    Error,
    /// The later one wins.
    Ignore,
}

/// What happens when a key with priority is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PriorityPolicy {
    /// Nothing.
    IgnoreNotFound,
    /// It is an error.
    #[default]
    Strict,
}
