//! What stands in for the AWS identity of this process where the feature `aws` is off.

use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::text::Text;
use crate::{PROVIDER, config::AwsKeys};

/// There is none.
#[derive(Debug)]
pub(super) enum Aws {}

impl Aws {
    pub(super) fn new(_keys: Option<AwsKeys>) -> Result<Self> {
        let text = "auth.awsAuthCredentials needs a build of Keyferry with the feature aws";
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, "Configure", text))
    }

    #[expect(clippy::unused_async, reason = "has the shape of what it stands in for")]
    pub(super) async fn body(&self, _identity: &Text, _now: Timestamp) -> Result<Value> {
        match *self {}
    }
}
