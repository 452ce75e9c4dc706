//! Secrets of a Kubernetes cluster: another one, or another namespace of this one.
//!
//! The API server is spoken to in plain REST. Only three things of it are needed: read a Secret, list the names of
//! Secrets, and ask what one may do.
//!
//! | file | knows |
//! |---|---|
//! | `config.rs` | what a store says |
//! | `kubeconfig.rs` | what a kubeconfig says |
//! | `auth.rs` | ways to log in |
//! | `client.rs` | requests, and what a refusal means |
//! | `secret.rs` | what is inside a Secret |
//! | `review.rs` | what the login may do |
//! | `provider.rs` | what [`keyferry_core::Provider`] makes of them |

mod auth;
mod client;
mod config;
mod kubeconfig;
mod provider;
mod review;
mod secret;

pub use auth::Auth;
pub use config::KubernetesConfig;
pub use keyferry_rest::Identity;
pub use provider::Kubernetes;

/// The backend's name in messages and metrics.
pub const PROVIDER: &str = "Kubernetes";
