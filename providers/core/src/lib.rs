//! What every backend has in common: the [`Provider`] trait, names, values and errors.
//!
//! A backend translates between this vocabulary and one vendor's protocol, and does nothing else. Property paths,
//! decoding, key conversion and templates live in the operator; timeouts, limits, retries, batching and sharing live
//! in `providers/layers`. A backend gets plain values and a [`TokenSource`], never a Kubernetes client.

mod error;
mod json;
mod name;
mod observe;
mod provider;
mod secret;
mod token;

pub use error::{Error, ErrorKind, Result, Retry};
pub use json::{CanonicalError, canonical_json, canonical_object};
pub use name::{InvalidName, Locator, RemoteName, Version, Want};
pub use observe::{Call, CallObserver, CallReport, Unobserved};
pub use provider::{Capabilities, Fetched, Listed, Page, Parts, Provider, Query};
pub use secret::SecretBytes;
pub use token::{ServiceAccountToken, TokenSource};
