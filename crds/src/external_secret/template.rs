//! What the target looks like.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecodingStrategy;
use crate::{
    admission::problem,
    schema::{DATA_KEY, SUBDOMAIN},
};

/// What the target looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.type) || self.type != 'bootstrap.kubernetes.io/token'",
    problem::BOOTSTRAP_TOKEN,
))]
#[x_kube(validation = (
    "!has(self.type) || self.type != 'kubernetes.io/service-account-token' || !has(self.metadata) \
     || !has(self.metadata.annotations) || !('kubernetes.io/service-account.name' in self.metadata.annotations)",
    problem::ACCOUNT_TOKEN,
))]
#[x_kube(validation = (
    "!has(self.type) || self.type != 'kubernetes.io/service-account-token' || !has(self.templateFrom) \
     || self.templateFrom.all(from, !has(from.target) || from.target.lowerAscii() != 'annotations')",
    problem::ACCOUNT_TOKEN_PERHAPS,
))]
pub struct Template {
    /// Type of the Secret.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Version of the template engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "v2"))]
    pub engine_version: Option<EngineVersion>,
    /// Labels, annotations and finalizers. They replace those of the ExternalSecret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Whether fetched values that no template uses are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Replace"))]
    pub merge_policy: Option<MergePolicy>,
    /// Template of each key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<BTreeMap<String, String>>,
    /// Templates from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub template_from: Option<Vec<TemplateFrom>>,
}

/// Versions of the template engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineVersion {
    /// Still in old objects; it cannot be written any more.
    #[schemars(skip)]
    V1,
    /// Go templates with Sprig functions.
    #[default]
    V2,
}

/// Metadata of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Annotations; their values are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels; their values are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Finalizers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalizers: Option<Vec<String>>,
}

/// What becomes of fetched values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MergePolicy {
    /// They are written beside what the templates make.
    Merge,
    /// Only what the templates make is written.
    #[default]
    Replace,
}

/// Templates from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateFrom {
    /// From a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<TemplateSource>,
    /// From a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<TemplateSource>,
    /// From here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<String>,
    /// What they make: Data, Annotations or Labels, and for another kind than Secret a path; Data where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub target: Option<String>,
    /// How the rendered values are encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_decoding_strategy: Option<DecodingStrategy>,
}

/// An object with templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSource {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Its keys.
    pub items: Vec<TemplateItem>,
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateItem {
    /// Its key.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: String,
    /// What it makes; Values where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_as: Option<TemplateAs>,
}

/// What a template makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TemplateAs {
    /// A YAML map of keys and values.
    KeysAndValues,
    /// The value of one key.
    #[default]
    Values,
}
