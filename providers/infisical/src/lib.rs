//! Infisical: secrets of one environment of a project.
//!
//! A store is one scope: a project, an environment, and a folder that keys without a slash are relative to. A key
//! with a slash names its folder itself. Values come from the public API below `/v3/secrets/raw`: one key by name,
//! several keys of one folder by one listing of that folder. The listing leaves out what the machine identity may not
//! see, so a key that it lacks is asked for by name before it counts as absent: only the vendor's own "not found"
//! about a secret is [`keyferry_core::ErrorKind::NotFound`]; about an environment or project it is a wrong setting.

mod address;
mod auth;
mod client;
mod config;
mod fetch;
mod find;
mod metadata;
mod provider;
mod refusal;
mod wire;

pub use config::{Ambient, Auth, InfisicalConfig, Scope};
pub use keyferry_clouds::aws::AwsKeys;
pub use provider::Infisical;

/// The name by which metrics and messages know this backend.
const PROVIDER: &str = "Infisical";
