//! A request that AWS can tell who signed it, in the form that gateways take.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_clouds::aws::{AwsKeys, Endpoint, Identity, Region, SignedQuestion};
use keyferry_core::{Result, SecretBytes};
use serde_json::json;

use crate::PROVIDER;

const PURPOSE: &str = "access type aws_iam";
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The AWS identity of this process.
pub(super) fn identity(keys: Option<&AwsKeys>) -> Result<Identity> {
    match keys {
        None => Identity::ambient(Region::OfOperator { default: Some("us-east-1") }, PROVIDER, PURPOSE),
        Some(keys) => Identity::of_keys(keys, PROVIDER, PURPOSE),
    }
}

pub(super) async fn signed_question(identity: &Identity, now: Timestamp) -> Result<SecretBytes> {
    let signed = identity.signed_question(Endpoint::Regional, &[CONTENT_TYPE], now.into()).await?;
    let headers = signed.headers.iter().map(|(name, value)| (name, [value.expose_str().unwrap_or_default()]));
    let headers = json!(headers.collect::<BTreeMap<_, _>>());
    let question = json!({
        "sts_request_method": SignedQuestion::METHOD,
        "sts_request_url": STANDARD.encode(signed.url),
        "sts_request_body": STANDARD.encode(SignedQuestion::BODY),
        "sts_request_headers": STANDARD.encode(headers.to_string()),
    });
    Ok(SecretBytes::from(question.to_string()))
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::Value;

    use super::{AwsKeys, identity, signed_question};

    /// The signature was computed with another implementation (Python's hmac) from the published algorithm.
    #[tokio::test]
    async fn the_question_is_signed_as_aws_specifies() {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: Some("session/token==".into()),
            region: "cn-north-1".into(),
        };
        let identity = identity(Some(&keys)).expect("an identity");
        let now = "2015-08-30T12:36:00Z".parse().expect("a time");
        let question = signed_question(&identity, now).await.expect("a signature");
        let question: Value = serde_json::from_slice(question.expose()).expect("JSON");
        let part = |name: &str| STANDARD.decode(question[name].as_str().expect("text")).expect("base64");
        assert_eq!(question["sts_request_method"], "POST");
        assert_eq!(part("sts_request_body"), b"Action=GetCallerIdentity&Version=2011-06-15");
        assert_eq!(part("sts_request_url"), b"https://sts.cn-north-1.amazonaws.com.cn/");
        let headers: Value = serde_json::from_slice(&part("sts_request_headers")).expect("JSON");
        assert_eq!(headers["X-Amz-Date"][0], "20150830T123600Z");
        assert_eq!(headers["Content-Type"][0], "application/x-www-form-urlencoded");
        assert_eq!(headers["X-Amz-Security-Token"][0], "session/token==");
        let authorization = headers["Authorization"][0].as_str().expect("text");
        assert!(
            authorization.ends_with("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=f1bf5857beb2646cbf93c47c3a6acf64b8d744c2666d150d1a5e258fa2976140"),
            "{authorization}"
        );
    }
}
