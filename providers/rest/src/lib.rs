//! HTTP for backends that speak JSON: TLS roots, safe errors, sessions that renew themselves.
//!
//! A backend holds one [`Client`], writes its requests with [`Request`] and reads each [`Answer`]. Everything that is
//! the same for all vendors is settled here: which status is which [`keyferry_core::ErrorKind`], what a half answer is,
//! who is told of a call, and that no body and no header value ever enters an error. What differs (the vendor's own
//! error texts) the backend says with [`Answer::hint`] and [`Answer::error`], before it asks for [`Answer::json`].
//!
//! ```no_run
//! # async fn read(client: keyferry_rest::Client, base: keyferry_rest::BaseUrl, token: keyferry_core::SecretBytes)
//! # -> keyferry_core::Result<()> {
//! #[derive(serde::Deserialize)]
//! struct Secret {
//!     #[serde(deserialize_with = "keyferry_rest::secret")]
//!     value: keyferry_core::SecretBytes,
//! }
//! let answer = client
//!     .get("GetSecret", base.join("v1/secrets/a").map_err(|error| client.invalid("GetSecret", error))?)
//!     .about("the secret a")
//!     .bearer(&token)
//!     .send()
//!     .await?;
//! let secret: Secret = answer.json()?;
//! # let _ = secret.value;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Session`] keeps a login for all callers; [`Lines`] are connections that are logged in themselves. There is no retry, no limit and no time limit in here, except for
//! opening a connection: those are layers.

mod answer;
mod base_url;
mod client;
mod lines;
mod proxies;
mod record;
mod request;
mod secret;
mod session;
mod status;
mod tls;
mod transport;

pub use answer::Answer;
pub use base_url::{BaseUrl, InvalidUrl};
pub use client::Client;
pub use lines::{LineLogin, Lines};
pub use proxies::is_proxied;
pub use request::Request;
pub use reqwest::Method;
pub use secret::{optional_secret, secret};
pub use session::{Grant, Lease, Login, Session};
pub use tls::{Identity, Tls};
pub use transport::find_cause;
pub use url::Url;
