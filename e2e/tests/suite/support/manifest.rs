//! Manifests, from the least that is valid to what a test is about.

use std::fmt;

use k8s_openapi::ByteString;
use keyferry_e2e::harness::AwsKeys;
use serde_json::{Value, json};

/// The name of the store that every [`Tenant`](super::Tenant) has.
const STORE: &str = "vault";

/// A manifest in the making. Its text is JSON, which is YAML as well.
#[derive(Clone, Debug)]
pub(crate) struct Manifest(Value);

/// An ExternalSecret that reads nothing yet: hourly, from the tenant's store.
pub(crate) fn external_secret(name: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": { "name": name },
        "spec": { "refreshInterval": "1h", "secretStoreRef": { "name": STORE } },
    }))
}

/// A SecretStore of a provider such as [`vault`].
pub(crate) fn secret_store(name: &str, provider: impl Into<Value>) -> Manifest {
    Manifest(json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": { "name": name },
        "spec": {},
    }))
    .with("/spec/provider", provider)
}

/// A ClusterSecretStore of a controller class.
pub(crate) fn cluster_store(name: &str, class: &str, provider: impl Into<Value>) -> Manifest {
    Manifest(json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ClusterSecretStore",
        "metadata": { "name": name },
        "spec": { "controller": class },
    }))
    .with("/spec/provider", provider)
}

/// A Vault provider that logs in with the token in the Secret `vault-token`.
pub(crate) fn vault(server: &str, path: &str) -> Value {
    vault_at(server, path, json!({ "tokenSecretRef": { "name": "vault-token", "key": "token" } }))
}

/// A Vault provider that logs in some other way.
pub(crate) fn vault_at(server: &str, path: &str, auth: impl Into<Value>) -> Value {
    json!({ "vault": { "server": server, "path": path, "version": "v2", "auth": auth.into() } })
}

/// A Secret with credentials. Not with `stringData`: a key that is left out the next time would stay.
pub(crate) fn credential(name: &str, keys: &[(&str, &str)]) -> Manifest {
    let encoded = |value: &str| json!(ByteString(value.as_bytes().to_vec()));
    let data: serde_json::Map<_, _> = keys.iter().map(|(key, value)| ((*key).to_owned(), encoded(value))).collect();
    Manifest(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": data }))
}

/// A Secret with keys of AWS, and the `secretRef` that names them.
pub(crate) fn aws_keys(name: &str, keys: &AwsKeys) -> (Manifest, Value) {
    let selector = |key: &str| json!({ "name": name, "key": key });
    let mut values = vec![("id", keys.id.as_str()), ("secret", keys.secret.as_str())];
    let mut refs = json!({ "accessKeyIDSecretRef": selector("id"), "secretAccessKeySecretRef": selector("secret") });
    if let Some(token) = &keys.session_token {
        values.push(("token", token));
        refs["sessionTokenSecretRef"] = selector("token");
    }
    (credential(name, &values), refs)
}

impl Manifest {
    /// Sets what is at a JSON pointer such as `/spec/target/name`; objects on the way are made.
    #[must_use]
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let place = pointer.split('/').skip(1).fold(&mut self.0, |place, key| &mut place[key]);
        *place = value.into();
        self
    }

    /// Sets the interval between two ticks.
    #[must_use]
    pub(crate) fn every(self, interval: &str) -> Self {
        self.with("/spec/refreshInterval", interval)
    }

    /// Reads from another SecretStore than the tenant's.
    #[must_use]
    pub(crate) fn store(self, store: &str) -> Self {
        self.with("/spec/secretStoreRef/name", store)
    }

    /// Adds a key of the target that holds all of a remote secret.
    #[must_use]
    pub(crate) fn key(self, secret_key: &str, remote: &str) -> Self {
        self.add("data", json!({ "secretKey": secret_key, "remoteRef": { "key": remote } }))
    }

    /// Adds a key of the target that holds a property of a remote secret.
    #[must_use]
    pub(crate) fn property(self, secret_key: &str, remote: &str, property: &str) -> Self {
        self.add("data", json!({ "secretKey": secret_key, "remoteRef": { "key": remote, "property": property } }))
    }

    /// Adds an entry of `dataFrom` that takes over every key of a remote secret.
    #[must_use]
    pub(crate) fn extract(self, remote: &str) -> Self {
        self.add("dataFrom", json!({ "extract": { "key": remote } }))
    }

    /// Adds an entry to a list of the spec.
    #[must_use]
    pub(crate) fn add(mut self, list: &str, entry: Value) -> Self {
        match &mut self.0["spec"][list] {
            Value::Array(entries) => entries.push(entry),
            absent => *absent = json!([entry]),
        }
        self
    }

    /// Sets a label.
    #[must_use]
    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = json!(value);
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub(crate) fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = json!(value);
        self
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
