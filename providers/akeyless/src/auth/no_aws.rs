//! What stands in for the AWS identity of this process where the feature `aws` is off.

use keyferry_core::{Error, ErrorKind, Result, SecretBytes};

use crate::{PROVIDER, environment::AwsKeys};

/// There is none.
#[derive(Debug)]
pub(crate) enum Aws {}

impl Aws {
    pub(super) fn new(_keys: Option<AwsKeys>) -> Result<Self> {
        let text = "access type aws_iam needs a build of Keyferry with the feature aws";
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, "Configure", text))
    }

    #[expect(clippy::unused_async, reason = "has the shape of what it stands in for")]
    pub(super) async fn signed_question(&self) -> Result<SecretBytes> {
        match *self {}
    }
}
