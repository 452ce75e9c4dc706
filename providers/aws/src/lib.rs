//! AWS Secrets Manager and the Parameter Store of AWS Systems Manager, read with the official SDK.
//!
//! | file | what lives there |
//! |---|---|
//! | `config` | a store's settings, and what is wrong with them |
//! | `environment` | endpoints and proxies of the process |
//! | `auth` | from an identity and a chain of roles to credentials |
//! | `client` | signed requests, told to the observer |
//! | `secrets_manager`, `parameter_store` | what is asked of each service, and how its answers are read |
//! | `provider` | both behind [`keyferry_core::Provider`] |
//!
//! How identities come to credentials, and what AWS's refusals mean, is told in [`keyferry_clouds::aws`].
//!
//! The SDK's own retries, credential cache and time limits are off: retries and limits are layers, and credentials
//! are kept by [`keyferry_rest::Session`].

mod auth;
mod client;
mod config;
mod denials;
mod environment;
mod names;
mod parameter_store;
mod provider;
mod secrets_manager;

pub use config::{AccessKeys, AwsConfig, Identity, Role, Service, SessionTags, StoreIdentity};
pub use environment::Environment;
pub use provider::Aws;
