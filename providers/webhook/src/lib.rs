//! Any HTTP server as a backend: the store says with templates what to send, and with a JSONPath what to take.
//!
//! | file | knows |
//! |---|---|
//! | `config.rs` | what a store says |
//! | `auth.rs` | logins that are more than a header |
//! | `ntlm.rs`, `ntlm/` | the login of Windows domains |
//! | `template.rs`, `template/` | Go templates, and how much they may do |
//! | `json_path.rs` | which part of an answer is the value, and how it is written |
//! | `url.rs` | what goes into URLs, and what comes out of their templates |
//! | `client.rs` | one request, and what its answer means |
//! | `provider.rs` | what [`keyferry_core::Provider`] makes of them |

mod auth;
mod client;
mod config;
mod json_path;
mod ntlm;
mod provider;
mod template;
mod url;

pub use auth::Auth;
pub use config::WebhookConfig;
pub use provider::Webhook;

/// The backend's name in messages and metrics.
pub const PROVIDER: &str = "Webhook";
