//! What a JSON Web Token says about itself.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The claims of `token`, if it has the form of a signed JWT. The signature is not checked.
pub(crate) fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let signed = header.get("alg").and_then(Value::as_str).is_some_and(|algorithm| algorithm != "none");
    if !signed || signature.is_empty() || parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// What `token` says about itself before its claims.
pub(crate) fn header(token: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?).ok()
}

/// Whether `claims` end in the past.
pub(crate) fn has_expired(claims: &Map<String, Value>) -> bool {
    let now = jiff::Timestamp::now().as_second();
    claims.get("exp").and_then(Value::as_i64).is_some_and(|end| end <= now)
}

/// Whether `claims` are meant for `audience`.
pub(crate) fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => many.iter().any(|one| one == audience),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{claims, has_expired, is_for};

    pub(crate) fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "RS256"})), part(claims))
    }

    #[test]
    fn claims_are_read_from_the_middle() {
        let claims = claims(&token(&json!({"sub": "me", "aud": ["a", "b"], "exp": 1}))).expect("a JWT");
        assert_eq!(claims["sub"], "me");
        assert!(has_expired(&claims) && is_for(&claims, "b") && !is_for(&claims, "c"));
    }

    #[test]
    fn what_is_not_signed_is_no_token() {
        assert!(claims("a.b").is_none());
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode("{}"));
        assert!(claims(&unsigned).is_none());
    }
}
