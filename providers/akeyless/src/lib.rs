//! Akeyless gateways: static, rotated, dynamic and certificate items.
//!
//! ```text
//! Akeyless (provider.rs)      listing (find.rs)
//!   └ Reader (read.rs)        which item by which command, static ones together; what is known of items (items.rs)
//!       └ Client (client.rs)  commands and answers; what refusals mean (refusal.rs)
//!           ├ Session         one login for all callers (auth.rs), and whether it holds (token.rs)
//!           └ Gateway         where the API is (gateway.rs)
//! ```
//!
//! An item is described once to learn its type; the type is remembered, and looked up again when reading by it fails.
//! What users of other operators have in their Secrets stays as it is, byte for byte (answer.rs).

mod answer;
mod auth;
mod client;
mod config;
mod environment;
mod find;
mod gateway;
mod items;
mod provider;
mod read;
mod refusal;
mod token;

pub use config::{AccessType, AkeylessConfig, Auth, KubernetesToken, ServiceAccount, UnknownAccessType};
pub use environment::{Azure, AzureCloud, Environment};
pub use keyferry_clouds::aws::AwsKeys;
pub use provider::Akeyless;

/// The backend's name. The doubled syllable is what dashboards of other operators look for.
pub const PROVIDER: &str = "AKEYLESSLESS/SecretsManager";
