//! References to objects beside a store or an ExternalSecret.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::schema::{DATA_KEY, LABEL, SUBDOMAIN};

/// A key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// Name of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its namespace: a ClusterSecretStore only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Key within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

// Not derived, to leave out descriptions: stores have this schema in more than sixty places.
impl JsonSchema for SecretKeySelector {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretKeySelector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 253, "pattern": SUBDOMAIN },
                "namespace": { "type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL },
                "key": { "type": "string", "minLength": 1, "maxLength": 253, "pattern": DATA_KEY },
            },
        })
    }
}

impl SecretKeySelector {
    /// Whether it names nothing. Tools that write empty objects for absent ones leave such selectors behind.
    pub fn is_empty(&self) -> bool {
        let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
        empty(&self.name) && empty(&self.key)
    }
}

/// A ServiceAccount whose tokens are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountSelector {
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Its namespace: a ClusterSecretStore only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: Option<String>,
    /// Audiences of its tokens, beside those that the provider needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
}

/// Where CA certificates come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaProvider {
    /// Kind of the object.
    #[serde(rename = "type")]
    pub type_: CaProviderType,
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Key within it; `ca.crt` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: Option<String>,
    /// Its namespace: a ClusterSecretStore must name it, a SecretStore reads from its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: Option<String>,
}

/// Kinds of objects that hold CA certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaProviderType {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// A store in the same namespace, or a cluster-wide one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStoreRef {
    /// Name of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: Option<String>,
    /// Kind of the store; SecretStore where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<StoreRefKind>,
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreRefKind {
    /// Usable from every namespace that its conditions let in.
    ClusterSecretStore,
    /// Usable from its own namespace.
    #[default]
    SecretStore,
}
