//! What a store says about its Vault.

use std::collections::BTreeMap;

use keyferry_core::SecretBytes;
use keyferry_rest::Tls;

use crate::auth::Auth;

/// Settings of one store, with all references resolved.
#[derive(Clone, Debug, Default)]
pub struct VaultConfig {
    /// Address of the server, `https://vault.example:8200`, perhaps with a path before `/v1`.
    pub server: String,
    /// Where the secrets engine is mounted. Without it, a key begins with the mount.
    pub path: Option<String>,
    /// Version of the KV engine.
    pub version: KvVersion,
    /// Namespace of the secrets.
    pub namespace: Option<String>,
    /// Namespace of the login, where it differs from `namespace`.
    pub auth_namespace: Option<String>,
    /// How to log in.
    pub auth: Auth,
    /// Whom to trust, and which client certificate to show.
    pub tls: Tls,
    /// Further headers for every request.
    pub headers: BTreeMap<String, SecretBytes>,
    /// Read from no replica that does not know of our own login yet.
    pub read_your_writes: bool,
    /// With `read_your_writes`: let the active node answer instead of a replica that lags behind.
    pub forward_inconsistent: bool,
}

/// Version of the KV secrets engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvVersion {
    /// Without versions. Also fits other engines that answer a `GET` with a map.
    V1,
    /// With versions and metadata.
    #[default]
    V2,
}
