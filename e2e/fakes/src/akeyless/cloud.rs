//! Cloud identities as logins: the owners' own proofs, which a gateway hands on or verifies.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    aws::{CALLER_IDENTITY, Question},
    jwt::Members,
    keys::{Keys, Wrong},
};

/// The claims of the JWT inside `cloud_id`, if it holds and one of `keys` has signed it.
pub(super) async fn token(cloud_id: &str, keys: &Keys) -> Result<Members, &'static str> {
    keys.verify(&decoded(cloud_id)?).await.map_err(|wrong| match wrong {
        Wrong::Form => "the cloud id is not the base64 of a JWT",
        Wrong::Early | Wrong::Expired => "the cloud token does not hold now",
        Wrong::Keys => "the cloud's keys cannot be read",
        Wrong::Signature => "the cloud has not signed the token",
    })
}

/// Checks that `cloud_id` is a request that asks AWS for its sender's identity, signed with one of `keys` just now.
pub(super) fn check_question(
    cloud_id: &str,
    keys: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<(), &'static str> {
    let request: Value = serde_json::from_str(&decoded(cloud_id)?).map_err(|_| "the cloud id is not JSON")?;
    let field = |name: &str| request[name].as_str().ok_or("a field of the cloud id is missing");
    let url = decoded(field("sts_request_url")?)?;
    let host = url.strip_prefix("https://").and_then(|rest| rest.strip_suffix('/'));
    let body = decoded(field("sts_request_body")?)?;
    if field("sts_request_method")? != "POST" || body != CALLER_IDENTITY {
        return Err("the signed request is not GetCallerIdentity");
    }
    let headers: BTreeMap<String, Vec<String>> = serde_json::from_str(&decoded(field("sts_request_headers")?)?)
        .map_err(|_| "the signed headers are not JSON")?;
    let headers = headers.into_iter().map(|(name, values)| (name, values.join(",")));
    let host = host.ok_or("the signed request does not go to STS")?;
    Question::new(host, ("", &body), headers).signer(keys, now).map(drop)
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "a part of the cloud id is not base64")?;
    String::from_utf8(bytes).map_err(|_| "a part of the cloud id is no text")
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    use super::{check_question, token};
    use crate::keys::Issuer;

    /// The signature was computed with another implementation (Python's hmac).
    fn cloud_id(change: impl FnOnce(&mut Value)) -> String {
        let headers = json!({
            "Authorization": ["AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sts/aws4_request, \
                               SignedHeaders=host;x-amz-date, Signature=\
                               1936ab80e43374dc7dda6c323fffc2388d341bd81d94c0d01461212b322f30f0"],
            "X-Amz-Date": ["20150830T123600Z"],
        });
        let mut request = json!({
            "sts_request_method": "POST",
            "sts_request_url": STANDARD.encode("https://sts.eu-central-1.amazonaws.com/"),
            "sts_request_body": STANDARD.encode("Action=GetCallerIdentity&Version=2011-06-15"),
            "sts_request_headers": STANDARD.encode(headers.to_string()),
        });
        change(&mut request);
        STANDARD.encode(request.to_string())
    }

    fn check(cloud_id: &str) -> Result<(), &'static str> {
        let keys = [("AKIDEXAMPLE".to_owned(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned())].into();
        check_question(cloud_id, &keys, "2015-08-30T12:40:00Z".parse().expect("a time"))
    }

    #[test]
    fn only_a_signed_get_caller_identity_is_an_identity() {
        assert_eq!(check(&cloud_id(|_| ())), Ok(()));
        for (field, value) in [
            ("sts_request_method", "GET".to_owned()),
            ("sts_request_url", STANDARD.encode("https://evil.example/")),
            ("sts_request_url", STANDARD.encode("https://sts.us-east-1.amazonaws.com/")),
            ("sts_request_body", STANDARD.encode("Action=AssumeRole")),
            ("sts_request_headers", STANDARD.encode("{}")),
            ("sts_request_headers", "{}".to_owned()),
        ] {
            let changed = cloud_id(|request| request[field] = Value::from(value));
            assert!(check(&changed).is_err(), "{field}");
        }
        assert!(check("e30=").is_err());
    }

    #[tokio::test]
    async fn tokens_must_be_base64_of_a_jwt_that_the_cloud_has_signed() {
        let (cloud, claims) = (Issuer::default(), json!({"oid": "o"}));
        let read =
            async |cloud_id: &str| token(cloud_id, &cloud.keys()).await.map(|claims| claims.text("oid").to_owned());
        assert_eq!(read(&STANDARD.encode(cloud.sign(&claims))).await, Ok("o".to_owned()));
        for (cloud_id, wrong) in [
            (STANDARD.encode(Issuer::default().sign(&claims)), "the cloud has not signed the token"),
            (STANDARD.encode(cloud.sign(&json!({"exp": 1}))), "the cloud token does not hold now"),
            (STANDARD.encode("x"), "the cloud id is not the base64 of a JWT"),
            (cloud.sign(&claims), "a part of the cloud id is not base64"),
        ] {
            assert_eq!(read(&cloud_id).await, Err(wrong));
        }
    }
}
