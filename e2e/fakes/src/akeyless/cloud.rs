//! Cloud identities as logins: their form, not their signatures.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::jwt;

/// The claims of the JWT inside `cloud_id`, while it holds.
pub(super) fn token(cloud_id: &str) -> Result<Map<String, Value>, &'static str> {
    let token = decoded(cloud_id)?;
    let claims = jwt::claims(&token).ok_or("the cloud id is not the base64 of a JWT")?;
    if jwt::has_expired(&claims) { Err("the cloud token has expired") } else { Ok(claims) }
}

/// Checks that `cloud_id` is a signed request that asks AWS for its sender's identity.
pub(super) fn caller_identity(cloud_id: &str) -> Result<(), &'static str> {
    let request: Value = serde_json::from_str(&decoded(cloud_id)?).map_err(|_| "the cloud id is not JSON")?;
    let field = |name: &str| request[name].as_str().ok_or("a field of the cloud id is missing");
    if field("sts_request_method")? != "POST" {
        return Err("the signed request is no POST");
    }
    let url = decoded(field("sts_request_url")?)?;
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if !host.starts_with("sts.") || !(host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")) {
        return Err("the signed request does not go to STS");
    }
    if decoded(field("sts_request_body")?)? != "Action=GetCallerIdentity&Version=2011-06-15" {
        return Err("the signed request is not GetCallerIdentity");
    }
    let headers = decoded(field("sts_request_headers")?)?;
    let headers: Map<String, Value> = serde_json::from_str(&headers).map_err(|_| "the signed headers are not JSON")?;
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, values)| values[0].as_str()).ok_or("a signed header is missing")
    };
    let region = host.split('.').nth(1).filter(|part| *part != "amazonaws").unwrap_or("us-east-1");
    let scope = format!("/{region}/sts/aws4_request");
    let authorization = header("authorization")?;
    let signed = authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
        && authorization.contains(&scope)
        && ["SignedHeaders=", "host", "x-amz-date", "Signature="].iter().all(|part| authorization.contains(part));
    if !signed || header("x-amz-date")?.len() != "20250101T000000Z".len() {
        return Err("the request is not signed with SigV4 for STS of its region");
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "a part of the cloud id is not base64")?;
    String::from_utf8(bytes).map_err(|_| "a part of the cloud id is no text")
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    use super::{caller_identity, token};
    use crate::jwt;

    fn cloud_id(change: impl FnOnce(&mut Value)) -> String {
        let headers = json!({
            "Authorization": ["AWS4-HMAC-SHA256 Credential=AKID/20250101/eu-west-1/sts/aws4_request, \
                               SignedHeaders=content-type;host;x-amz-date, Signature=00"],
            "X-Amz-Date": ["20250101T000000Z"],
        });
        let mut request = json!({
            "sts_request_method": "POST",
            "sts_request_url": STANDARD.encode("https://sts.eu-west-1.amazonaws.com/"),
            "sts_request_body": STANDARD.encode("Action=GetCallerIdentity&Version=2011-06-15"),
            "sts_request_headers": STANDARD.encode(headers.to_string()),
        });
        change(&mut request);
        STANDARD.encode(request.to_string())
    }

    #[test]
    fn a_signed_get_caller_identity_is_an_identity() {
        assert_eq!(caller_identity(&cloud_id(|_| ())), Ok(()));
    }

    #[test]
    fn other_requests_are_not() {
        for (field, value) in [
            ("sts_request_method", "GET".to_owned()),
            ("sts_request_url", STANDARD.encode("https://evil.example/")),
            ("sts_request_url", STANDARD.encode("https://sts.us-east-1.amazonaws.com/")),
            ("sts_request_body", STANDARD.encode("Action=AssumeRole")),
            ("sts_request_headers", STANDARD.encode("{}")),
            ("sts_request_headers", "{}".to_owned()),
        ] {
            let changed = cloud_id(|request| request[field] = Value::from(value));
            assert!(caller_identity(&changed).is_err(), "{field}");
        }
        assert!(caller_identity("e30=").is_err());
    }

    #[test]
    fn tokens_must_be_base64_of_a_jwt_that_holds() {
        let encoded = |claims: Value| STANDARD.encode(jwt::tests::token(&claims));
        assert_eq!(token(&encoded(json!({"oid": "o"}))).unwrap()["oid"], "o");
        assert!(token(&encoded(json!({"exp": 1}))).is_err());
        assert!(token(&jwt::tests::token(&json!({}))).is_err());
    }
}
