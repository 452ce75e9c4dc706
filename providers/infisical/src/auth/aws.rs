//! A request that AWS can tell who signed it, in the form that Infisical takes.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_clouds::aws::{AwsKeys, Endpoint, Identity, Region, SignedQuestion};
use keyferry_core::Result;
use serde_json::{Value, json};

use super::text::Text;
use crate::PROVIDER;

const PURPOSE: &str = "auth.awsAuthCredentials";

/// The AWS identity of this process.
pub(super) fn identity(keys: Option<&AwsKeys>) -> Result<Identity> {
    match keys {
        None => Identity::ambient(Region::OfOperator { default: None }, PROVIDER, PURPOSE),
        Some(keys) => Identity::of_keys(keys, PROVIDER, PURPOSE),
    }
}

/// The body of the login.
pub(super) async fn body(identity: &Identity, machine: &Text, now: Timestamp) -> Result<Value> {
    let signed = identity.signed_question(Endpoint::Regional, &[], now.into()).await?;
    let added = signed.headers.iter().map(|(name, value)| (name.as_str(), value.expose_str().unwrap_or_default()));
    // STS is asked with exactly these; whoever verifies the signature needs no others.
    let length = SignedQuestion::BODY.len().to_string();
    let fixed =
        [("Content-Length", length.as_str()), ("Content-Type", SignedQuestion::CONTENT_TYPE), ("Host", &signed.host)];
    let headers: BTreeMap<_, _> = fixed.into_iter().chain(added).collect();
    Ok(json!({
        "identityId": machine.as_str(),
        "iamHttpRequestMethod": SignedQuestion::METHOD,
        "iamRequestBody": STANDARD.encode(SignedQuestion::BODY),
        "iamRequestHeaders": STANDARD.encode(json!(headers).to_string()),
    }))
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::Value;

    use super::{AwsKeys, Text, body, identity};

    async fn headers(session_token: Option<&str>) -> Value {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
            region: "eu-central-1".into(),
        };
        let machine = Text::parse(&"id".into(), "x").expect("text");
        let now = "2015-08-30T12:36:00Z".parse().expect("a time");
        let body = body(&identity(Some(&keys)).expect("keys"), &machine, now).await.expect("a body");
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
