//! A request that AWS can tell who signed it: "who am I?" of STS. It is not sent there but to Infisical, which sends
//! it on.

use std::{collections::BTreeMap, time::SystemTime};

use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::text::Text;
use crate::{
    PROVIDER,
    config::{AwsKeys, invalid},
};

const OPERATION: &str = "FindAwsCredentials";
const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// The AWS identity of this process.
#[derive(Debug)]
pub(super) enum Aws {
    /// Wherever the SDK finds it: environment, files, the web identity of the pod, the node.
    Ambient,
    Given(Signer),
}

/// Who signs, and for which region.
#[derive(Debug)]
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
}

impl Aws {
    pub(super) fn new(keys: Option<AwsKeys>) -> Result<Self> {
        let Some(AwsKeys { access_key_id, secret_access_key, session_token, region }) = keys else {
            return Ok(Self::Ambient);
        };
        let text = |value: keyferry_core::SecretBytes| {
            let text = value.expose_str().map(str::to_owned);
            text.ok_or_else(|| invalid("the AWS credentials of this process are not text"))
        };
        let session_token = session_token.map(text).transpose()?;
        let secret = text(secret_access_key)?;
        let credentials = Credentials::new(access_key_id, secret, session_token, None, "keyferry");
        Ok(Self::Given(Signer { credentials, region }))
    }

    /// The body of the login.
    pub(super) async fn body(&self, identity: &Text, now: Timestamp) -> Result<Value> {
        let headers = match self {
            Self::Ambient => ambient().await?.sign(now.into()),
            Self::Given(signer) => signer.sign(now.into()),
        }?;
        Ok(json!({
            "identityId": identity.as_str(),
            "iamHttpRequestMethod": "POST",
            "iamRequestBody": STANDARD.encode(QUESTION),
            "iamRequestHeaders": STANDARD.encode(json!(headers).to_string()),
        }))
    }
}

impl Signer {
    /// The headers of the signed question.
    fn sign(&self, now: SystemTime) -> Result<BTreeMap<String, String>> {
        let wrong = || invalid("the AWS credentials of this process cannot sign");
        let host = format!("sts.{}.amazonaws.com", self.region);
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
        let body = SignableBody::Bytes(QUESTION.as_bytes());
        let request = SignableRequest::new("POST", format!("https://{host}/"), std::iter::empty(), body);
        let (signed, _) = sign(request.map_err(|_| wrong())?, &parameters).map_err(|_| wrong())?.into_parts();
        // STS is asked with exactly these; whoever verifies the signature needs no others.
        let fixed = [
            ("Content-Length", QUESTION.len().to_string()),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("Host", host),
        ];
        let added = signed.headers().map(|(name, value)| (capitalised(name), value.to_owned()));
        Ok(fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(added).collect())
    }
}

/// Looks for credentials and region where every AWS client looks.
async fn ambient() -> Result<Signer> {
    let missing = |what: &str| {
        let text = format!(
            "no AWS {what} found in the operator's pod for auth.awsAuthCredentials; give it an IAM role (IRSA, Pod \
             Identity or the node's), or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION"
        );
        Error::new(ErrorKind::Unauthenticated, PROVIDER, OPERATION, text)
    };
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    let region = config.region().ok_or_else(|| missing("region"))?.to_string();
    let provider = config.credentials_provider().ok_or_else(|| missing("credentials"))?;
    let credentials = provider.provide_credentials().await.map_err(|_| missing("credentials"))?;
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
    use keyferry_core::SecretBytes;
    use serde_json::Value;

    use super::{Aws, AwsKeys, Text};

    async fn headers(session_token: Option<&str>) -> Value {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(SecretBytes::from),
            region: "eu-central-1".into(),
        };
        let identity = Text::parse(&"id".into(), "x").expect("text");
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().expect("a time");
        let body = Aws::new(Some(keys)).expect("keys").body(&identity, now).await.expect("a body");
        assert_eq!((&body["identityId"], &body["iamHttpRequestMethod"]), (&"id".into(), &"POST".into()));
        let decoded = |name: &str| STANDARD.decode(body[name].as_str().expect("text")).expect("base64");
        assert_eq!(decoded("iamRequestBody"), b"Action=GetCallerIdentity&Version=2011-06-15");
        serde_json::from_slice(&decoded("iamRequestHeaders")).expect("JSON")
    }

    /// The signatures were computed with another implementation (Python's hmac) from the published algorithm.
    #[tokio::test]
    async fn the_question_is_signed_as_aws_specifies() {
        let headers = headers(None).await;
        assert_eq!(headers["Host"], "sts.eu-central-1.amazonaws.com");
        assert_eq!(headers["X-Amz-Date"], "20150830T123600Z");
        assert_eq!(headers["Content-Length"], "43");
        assert_eq!(headers["X-Amz-Security-Token"], Value::Null);
        assert_eq!(
            headers["Authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=1936ab80e43374dc7dda6c323fffc2388d341bd81d94c0d01461212b322f30f0"
        );
    }

    #[tokio::test]
    async fn temporary_credentials_sign_their_session_token_too() {
        let headers = headers(Some("session/token==")).await;
        assert_eq!(headers["X-Amz-Security-Token"], "session/token==");
        let authorization = headers["Authorization"].as_str().expect("text");
        assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token, "), "{authorization}");
        assert!(
            authorization.ends_with("Signature=d832e597996e076f67c2e214c7dbaee4412522c9bacefdd60188138fe19e40d9"),
            "{authorization}"
        );
    }
}
