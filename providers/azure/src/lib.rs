//! Azure Key Vault: secrets, certificates and public keys of one vault.
//!
//! Key Vault is read with Azure's own clients, whose requests go out through [`keyferry_rest`]. The logins are ours, on
//! [`keyferry_rest`] too: Azure's need OpenSSL for certificates, try again by themselves, and begin with a request that
//! has no token, only to be told whom tokens are for. Whatever the login, it ends in one access token per store, which
//! all calls of that store share.
//!
//! | file | knows |
//! |---|---|
//! | `config.rs`, `cloud.rs`, `vault_url.rs` | what a store says |
//! | `environment.rs` | what the process's surroundings say |
//! | `auth.rs`, `auth/` | how to come by an access token |
//! | `client.rs`, `transport.rs`, `failure.rs` | Key Vault's calls and errors |
//! | `object.rs` | what a key names |
//! | `provider.rs` | what [`keyferry_core::Provider`] makes of them |

mod auth;
mod client;
mod cloud;
mod config;
mod environment;
mod failure;
mod object;
mod provider;
mod transport;
mod vault_url;

pub use auth::{Auth, ServiceAccount, WorkloadIdentity};
pub use config::{AzureConfig, Cloud, CustomCloud};
pub use environment::Environment;
pub use provider::Azure;

/// The name that metrics and messages show.
pub(crate) const PROVIDER: &str = "Azure/KeyVault";
