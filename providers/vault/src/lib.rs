//! HashiCorp Vault and OpenBao: the KV engines of version 1 and 2, and any engine that is read with a plain `GET`.
//!
//! [`Vault`] is built from a [`VaultConfig`], which is plain data. One login is shared by all calls, renewed while the
//! server allows it, and revoked when the provider is closed.

mod access;
mod auth;
mod client;
mod config;
mod engine;
mod folders;
mod headers;
mod kv;
mod path;
mod provider;
mod session;
mod standby;

pub use auth::{Auth, AwsIdentity, AwsLogin, GoogleIdentity, GoogleLogin, JwtSource, LoginMethod};
pub use config::{KvVersion, VaultConfig};
pub use keyferry_clouds::{
    aws::Role as AwsRole,
    google::{Endpoints as GoogleEndpoints, WorkloadIdentity},
};
pub use keyferry_rest::{Identity, Tls};
pub use provider::Vault;

/// The backend's name in messages and metrics.
pub const PROVIDER: &str = "HashiCorp/Vault";
