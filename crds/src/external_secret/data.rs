//! What to fetch.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GeneratorRef, Rewrite};
use crate::{SecretStoreRef, admission::problem, schema::DATA_KEY};

/// One value, for one key of the Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// Key of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub secret_key: String,
    /// What is read.
    pub remote_ref: RemoteRef,
    /// Another source than the ExternalSecret's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// A secret of a backend, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRef {
    /// Its name or path in the backend.
    pub key: String,
    /// Part of a JSON value: a key, or a path in gjson's notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// A version, in the backend's own notation; the latest where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the value is read or the metadata; None where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_policy: Option<MetadataPolicy>,
    /// What becomes of characters that a Secret's keys cannot have; Default where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// How the value is encoded; None where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// What becomes of a value with null bytes; Ignore where nothing is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// A set of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.extract) || has(self.find) || has(self.sourceRef)",
    problem::NO_FETCH,
))]
#[x_kube(validation = (
    "[has(self.extract), has(self.find), has(self.sourceRef) && has(self.sourceRef.generatorRef)]\
     .filter(given, given).size() <= 1",
    problem::SEVERAL_FETCHES,
))]
pub struct DataFrom {
    /// All keys of one JSON secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<RemoteRef>,
    /// All secrets that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// Changes to the keys, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub rewrite: Option<Vec<Rewrite>>,
    /// Another source than the ExternalSecret's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// Which secrets match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Find {
    /// Where the search begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FindName>,
    /// By tags, all of which must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// As in `extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// As in `extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// As in `extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// Which names match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindName {
    /// A regular expression that matches anywhere in the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regexp: Option<String>,
}

/// A store or a generator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.storeRef) != has(self.generatorRef)",
    problem::SOURCE,
))]
pub struct SourceRef {
    /// A store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<SecretStoreRef>,
    /// A generator; only below `dataFrom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_ref: Option<GeneratorRef>,
}

/// What becomes of characters that a Secret's keys cannot have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConversionStrategy {
    /// An underscore.
    #[default]
    Default,
    /// The code point, as `_U0020_`.
    Unicode,
}

/// How a value is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DecodingStrategy {
    /// Base64 or Base64URL if it can be decoded as such.
    Auto,
    /// Base64.
    Base64,
    /// Base64 with the alphabet for URLs.
    #[serde(rename = "Base64URL")]
    Base64Url,
    /// Not at all.
    #[default]
    None,
}

/// Whether a secret's value is read or its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetadataPolicy {
    /// The metadata, such as tags or labels.
    Fetch,
    /// The value.
    #[default]
    None,
}

/// What becomes of a value with null bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NullBytePolicy {
    /// It is an error.
    Fail,
    /// It is taken as it is.
    #[default]
    Ignore,
}
