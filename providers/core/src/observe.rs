//! Who hears of the requests that backends make.

use std::{fmt::Debug, time::Duration};

use crate::ErrorKind;

/// Told of every request that really went to a backend, logins and repetitions included. Must not block.
pub trait CallObserver: Debug + Send + Sync + 'static {
    /// One request has ended.
    fn called(&self, call: Call);
}

/// One request to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// [`crate::Provider::name`] of the backend.
    pub provider: &'static str,
    /// What was asked, in the vendor's own words: `Login`, `ReadSecretData`, `GetSecretValue`.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: std::result::Result<(), ErrorKind>,
    /// From sending to the last byte of the answer.
    pub took: Duration,
}

/// Hears nothing: for tests and for tools that keep no metrics.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn called(&self, _call: Call) {}
}
