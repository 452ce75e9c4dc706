//! What a store says about its webhook.

use std::{collections::BTreeMap, fmt, time::Duration};

use keyferry_core::SecretBytes;

use crate::auth::Auth;

/// Settings of one store for the consumers of one namespace, with all references resolved.
#[derive(Clone, Default)]
pub struct WebhookConfig {
    /// Template of the URL. What is put in of `.remoteRef` is escaped for a query.
    pub url: String,
    /// HTTP method; `GET` where none is named.
    pub method: Option<String>,
    /// Headers: names, and templates of their values.
    pub headers: BTreeMap<String, String>,
    /// Template of the body.
    pub body: Option<String>,
    /// How long one request may take, where the store wants less patience than others; zero is none.
    pub timeout: Option<Duration>,
    /// Where in a JSON answer the value stands; without it the whole answer is the value.
    pub json_path: Option<String>,
    /// What templates find below each name: the keys of a Secret.
    pub secrets: BTreeMap<String, BTreeMap<String, SecretBytes>>,
    /// How to log in beside that.
    pub auth: Auth,
    /// Certificates to trust instead of the system's: PEM, or base64 of PEM.
    pub roots: Option<Vec<u8>>,
    /// Namespace of the consumers, `.remoteRef.namespace` in templates.
    pub namespace: String,
}

/// Passwords stand in the middle of URLs, headers and bodies.
impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("method", &self.method)
            .field("timeout", &self.timeout)
            .field("json_path", &self.json_path)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
