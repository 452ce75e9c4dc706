//! What the tests share: a team's place in the cluster, and words for manifests and Secrets.

mod manifest;
mod target;
mod tenant;

pub(crate) use manifest::{Manifest, cluster_store, credential, external_secret, secret_store, vault, vault_at};
pub(crate) use target::{Bytes, values};
pub(crate) use tenant::{Tenant, never_failed};
