//! Google Cloud Secret Manager.
//!
//! Secrets are read with Google's own client. The logins are ours, on [`keyferry_rest`]: Google's renew themselves in
//! tasks of their own, try again by themselves, put answers into error texts, and tell nobody which requests they
//! make. All logins of [`Auth`] end in one access token per store, which all calls of that store share.
//!
//! | file | knows |
//! |---|---|
//! | `config.rs` | what a store says |
//! | `environment.rs` | what the process's surroundings say |
//! | `auth.rs`, `auth/` | how to come by an access token |
//! | `client.rs`, `failure.rs` | Secret Manager's calls and errors |
//! | `provider.rs` | what [`keyferry_core::Provider`] makes of them |

mod auth;
mod client;
mod config;
mod environment;
mod failure;
mod name;
mod provider;
mod services;

pub use auth::{Auth, AwsCredentials, Federation, Subject};
pub use config::{GcpConfig, VersionSelection};
pub use environment::{Endpoints, Environment};
pub use keyferry_clouds::google::WorkloadIdentity;
pub use provider::Gcp;

/// The name that metrics and messages show.
pub(crate) const PROVIDER: &str = "GCP/SecretManager";
