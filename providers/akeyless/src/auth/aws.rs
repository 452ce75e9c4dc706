//! A request that AWS can tell who signed it: "who am I?" of STS. It is not sent there but to the gateway, which has
//! it sent.

use std::{collections::BTreeMap, time::SystemTime};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use serde_json::json;

use crate::{PROVIDER, config::invalid, environment::AwsKeys};

const OPERATION: &str = "FindAwsCredentials";
const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// Where STS is asked when nothing says where the operator runs.
const REGION: &str = "us-east-1";

/// The AWS identity of this process.
#[derive(Debug)]
pub(crate) enum Aws {
    /// Wherever the SDK finds it: environment, files, the web identity of the pod, the node.
    Ambient,
    Given(Signer),
}

/// Who signs, and for which region.
#[derive(Debug)]
pub(crate) struct Signer {
    credentials: Credentials,
    region: String,
}

impl Aws {
    pub(super) fn new(keys: Option<AwsKeys>) -> Result<Self> {
        let Some(AwsKeys { access_key_id, secret_access_key, session_token, region }) = keys else {
            return Ok(Self::Ambient);
        };
        let text = |value: SecretBytes| {
            let text = value.expose_str().map(str::to_owned);
            text.ok_or_else(|| invalid("the AWS credentials of this process are not text"))
        };
        let session_token = session_token.map(text).transpose()?;
        let credentials = Credentials::new(access_key_id, text(secret_access_key)?, session_token, None, "keyferry");
        Ok(Self::Given(Signer { credentials, region }))
    }

    pub(super) async fn signed_question(&self) -> Result<SecretBytes> {
        let now = Timestamp::now().into();
        match self {
            Self::Ambient => ambient().await?.signed_question(now),
            Self::Given(signer) => signer.signed_question(now),
        }
    }
}

impl Signer {
    fn signed_question(&self, now: SystemTime) -> Result<SecretBytes> {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = format!("https://sts.{}.{suffix}/", self.region);
        let headers = json!(self.sign(&url, now)?);
        let question = json!({
            "sts_request_method": "POST",
            "sts_request_url": STANDARD.encode(url),
            "sts_request_body": STANDARD.encode(QUESTION),
            "sts_request_headers": STANDARD.encode(headers.to_string()),
        });
        Ok(SecretBytes::from(question.to_string()))
    }

    /// The headers of the signed question, each with the list of its values.
    fn sign(&self, url: &str, now: SystemTime) -> Result<BTreeMap<String, [String; 1]>> {
        let wrong = || invalid("the AWS credentials of this process cannot sign");
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| wrong())?
            .into();
        let headers = [("content-type", CONTENT_TYPE)].into_iter();
        let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(QUESTION.as_bytes()));
        let (signed, _) = sign(request.map_err(|_| wrong())?, &parameters).map_err(|_| wrong())?.into_parts();
        let added = signed.headers().chain([("content-type", CONTENT_TYPE)]);
        Ok(added.map(|(name, value)| (capitalised(name), [value.to_owned()])).collect())
    }
}

/// Looks for credentials and region where every AWS client looks.
async fn ambient() -> Result<Signer> {
    let missing = || {
        let text = "no AWS credentials found in the operator's pod for access type aws_iam; give it an IAM role (IRSA, Pod \
                    Identity or the node's)";
        Error::new(ErrorKind::Unauthenticated, PROVIDER, OPERATION, text)
    };
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    let region = config.region().map_or(REGION, Region::as_ref).to_owned();
    let provider = config.credentials_provider().ok_or_else(missing)?;
    let credentials = provider.provide_credentials().await.map_err(|_| missing())?;
    Ok(Signer { credentials, region })
}

/// `x-amz-date` as `X-Amz-Date`.
fn capitalised(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use jiff::Timestamp;
    use serde_json::Value;

    use super::{Aws, AwsKeys};

    fn question(region: &str, session_token: Option<&str>) -> (String, Value) {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
            region: region.into(),
        };
        let Ok(Aws::Given(signer)) = Aws::new(Some(keys)) else { panic!("keys were given") };
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().expect("a time");
        let question = signer.signed_question(now.into()).expect("a signature");
        let question: Value = serde_json::from_slice(question.expose()).expect("JSON");
        let part = |name: &str| STANDARD.decode(question[name].as_str().expect("text")).expect("base64");
        assert_eq!(question["sts_request_method"], "POST");
        assert_eq!(part("sts_request_body"), b"Action=GetCallerIdentity&Version=2011-06-15");
        let url = String::from_utf8(part("sts_request_url")).expect("text");
        (url, serde_json::from_slice(&part("sts_request_headers")).expect("JSON"))
    }

    /// The signatures were computed with another implementation (Python's hmac) from the published algorithm.
    #[test]
    fn the_question_is_signed_as_aws_specifies() {
        let (url, headers) = question("eu-central-1", None);
        assert_eq!(url, "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(headers["X-Amz-Date"][0], "20150830T123600Z");
        assert_eq!(headers["Content-Type"][0], "application/x-www-form-urlencoded");
        assert_eq!(
            headers["Authorization"][0],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature=24d7f3da3232bcfb70801f5966182847b7171d23c174a6f2a1fee54df8783abf"
        );
    }

    #[test]
    fn temporary_credentials_sign_their_session_token_too() {
        let (url, headers) = question("cn-north-1", Some("session/token=="));
        assert_eq!(url, "https://sts.cn-north-1.amazonaws.com.cn/");
        assert_eq!(headers["X-Amz-Security-Token"][0], "session/token==");
        let authorization = headers["Authorization"][0].as_str().expect("text");
        assert!(
            authorization.ends_with("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=f1bf5857beb2646cbf93c47c3a6acf64b8d744c2666d150d1a5e258fa2976140"),
            "{authorization}"
        );
    }
}
