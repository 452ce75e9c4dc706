//! What the operator knows of the cluster: local copies of the watched kinds, trimmed to what is used.
//!
//! ```text
//! API server ── watch ──► Mirror<T> ── Change<T> ──► wake whoever depends on it
//! ```
//!
//! Secrets and ConfigMaps are watched as metadata only; their bodies are read when needed and never kept.

mod connect;
mod mirror;
mod object;
mod watch;
mod writer;

pub(crate) use connect::connect;
pub(crate) use mirror::{Change, Mirror};
pub(crate) use object::{Meta, ObjectKey, StoreKey, StoreKind};
pub(crate) use watch::{Watched, error_text, follow};
pub(crate) use writer::{WriteError, Writer};
