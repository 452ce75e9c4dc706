//! The AWS identity of this process.

use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use keyferry_core::{Error, ErrorKind, Result};

use super::{Region, sign::Signer};

const OPERATION: &str = "FindAwsCredentials";

/// Looks for credentials and region where every AWS client looks.
pub(super) async fn signer(region: &Region, provider: &'static str, purpose: &'static str) -> Result<Signer> {
    let missing = |what: &str| {
        let text = format!(
            "no AWS {what} found in the operator's pod for {purpose}; give it an IAM role (IRSA, Pod Identity or the \
             node's), or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION"
        );
        Error::new(ErrorKind::Unauthenticated, provider, OPERATION, text)
    };
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http).retry_config(RetryConfig::disabled());
    let config = match region {
        Region::Named(name) => loader.region(aws_config::Region::new(name.clone())),
        Region::OfOperator { .. } => loader,
    }
    .load()
    .await;
    let default = match region {
        Region::Named(_) => None,
        Region::OfOperator { default } => *default,
    };
    let region =
        config.region().map(aws_config::Region::as_ref).or(default).ok_or_else(|| missing("region"))?.to_owned();
    let source = config.credentials_provider().ok_or_else(|| missing("credentials"))?;
    let credentials = source.provide_credentials().await.map_err(|_| missing("credentials"))?;
    Ok(Signer { credentials, region })
}
