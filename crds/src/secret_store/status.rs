//! How a store is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// How a store is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStoreStatus {
    /// How it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Condition>>,
    /// What can be done with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<StoreCapabilities>,
    /// The generation of the spec that the rest of the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What can be done with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreCapabilities {
    /// Reading.
    ReadOnly,
    /// Both.
    ReadWrite,
    /// Writing.
    WriteOnly,
}
