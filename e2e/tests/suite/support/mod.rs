//! What the tests share: a team's place in the cluster, words for manifests and Secrets, and a directory.

mod directory;
mod manifest;
mod target;
mod tenant;

pub(crate) use directory::{Directory, Entry};
pub(crate) use manifest::{
    Manifest, aws_keys, cluster_store, credential, external_secret, secret_store, vault, vault_at,
};
pub(crate) use target::{Bytes, values};
pub(crate) use tenant::{Tenant, never_failed};
