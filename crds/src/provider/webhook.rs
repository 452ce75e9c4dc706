//! Any HTTP server that answers JSON.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CaProvider, GoDuration, Hidden, SecretKeySelector, admission::problem};

/// Any HTTP server that answers JSON. URL, headers and body are templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSpec {
    /// URL that is called.
    pub url: String,
    /// HTTP method; GET where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers that are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Hidden<BTreeMap<String, String>>>,
    /// Body that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Hidden<String>>,
    /// How long to wait for an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Where the value stands in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<WebhookResult>,
    /// Secrets that templates can use. They need the label `external-secrets.io/type: webhook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<WebhookSecret>>,
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<WebhookAuth>,
    /// CA certificates (PEM in Base64) that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub ca_bundle: Option<String>,
    /// Where to read CA certificates from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
}

/// Where the value stands in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookResult {
    /// JSONPath; the whole answer where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
}

/// A Secret that templates can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecret {
    /// Its name in templates.
    pub name: String,
    /// The Secret; all its keys can be used.
    pub secret_ref: SecretKeySelector,
}

/// How to log in: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.ntlm)", problem::WEBHOOK_AUTH))]
pub struct WebhookAuth {
    /// With NTLM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntlm: Option<WebhookNtlm>,
}

/// NTLM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookNtlm {
    /// User name.
    pub username_secret: SecretKeySelector,
    /// Password.
    pub password_secret: SecretKeySelector,
}
