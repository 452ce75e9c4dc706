//! What stands in for identities of AWS where the feature `aws` is off.

use std::{sync::Arc, time::SystemTime};

use keyferry_core::{Error, ErrorKind, Result, TokenSource};

use super::{AwsKeys, Endpoint, Region, Role, SignedQuestion, Sts};

/// There is none.
#[derive(Debug)]
pub enum Identity {}

impl Identity {
    /// Fails with [`ErrorKind::Unsupported`].
    pub fn ambient(_region: Region, provider: &'static str, purpose: &'static str) -> Result<Self> {
        Err(unsupported(provider, purpose))
    }

    /// Fails with [`ErrorKind::Unsupported`].
    pub fn of_keys(_keys: &AwsKeys, provider: &'static str, purpose: &'static str) -> Result<Self> {
        Err(unsupported(provider, purpose))
    }

    /// Fails with [`ErrorKind::Unsupported`].
    pub fn of_service_account(
        _tokens: Arc<dyn TokenSource>,
        _region: String,
        _sts: Sts,
        provider: &'static str,
        purpose: &'static str,
    ) -> Result<Self> {
        Err(unsupported(provider, purpose))
    }

    /// Does nothing, because there is no identity.
    #[must_use]
    pub fn assuming(self, _role: Role, _sts: Sts) -> Self {
        self
    }

    /// Does nothing, because there is no identity.
    #[expect(clippy::unused_async, reason = "has the shape of what it stands in for")]
    pub async fn signed_question(
        &self,
        _endpoint: Endpoint,
        _headers: &[(&str, &str)],
        _now: SystemTime,
    ) -> Result<SignedQuestion> {
        match *self {}
    }
}

fn unsupported(provider: &'static str, purpose: &'static str) -> Error {
    let text = format!("{purpose} needs a build of Keyferry with the feature aws");
    Error::new(ErrorKind::Unsupported, provider, "Configure", text)
}
