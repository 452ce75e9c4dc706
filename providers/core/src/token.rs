//! Short-lived tokens of Kubernetes ServiceAccounts.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{Result, SecretBytes};

/// Mints tokens of the one ServiceAccount that a store names. The operator checks that the store may use it before a
/// backend ever sees the source.
#[async_trait]
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// A fresh token for `audiences` (none means the API server's own), valid for about `ttl`.
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken>;

    /// The value of an annotation of the ServiceAccount, by which clouds tie an identity to it.
    fn annotation(&self, key: &str) -> Option<&str>;
}

/// A signed JWT.
#[derive(Clone, Debug)]
pub struct ServiceAccountToken {
    /// The token itself.
    pub token: SecretBytes,
    /// How long it is still valid, at the moment that it was minted.
    pub valid_for: Duration,
}
