//! Values that stand in the store itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Hidden, admission::problem};

/// Values that stand in the store itself, for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FakeSpec {
    /// The values.
    #[schemars(length(max = 10_000))]
    pub data: Vec<FakeData>,
    /// What a check of the store comes to: 0 ready, 1 unknown, 2 error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_result: Option<i32>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FakeData {
    /// Its name.
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub key: String,
    /// The value. Objects that other operators stored long ago can lack it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(required)]
    #[x_kube(validation = ("self != ''", problem::EMPTY))]
    pub value: Option<Hidden<String>>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
