//! What a JSON Web Token says about itself.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// How wrong the clock of whoever made a token may be, in seconds.
pub(crate) const SKEW: i64 = 300;

/// A token in its parts. That it is signed is not checked yet (see [`crate::keys`]).
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub(crate) header: Members,
    pub(crate) claims: Members,
    /// What is signed.
    pub(crate) message: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// The members of one part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Members(Map<String, Value>);

impl<'a> Jwt<'a> {
    /// `token`, if it has the form of a signed JWT.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let jwt = Self {
            header: Members::decode(header)?,
            claims: Members::decode(claims)?,
            message,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        };
        let is_signed = !matches!(jwt.header.text("alg"), "" | "none") && !jwt.signature.is_empty();
        is_signed.then_some(jwt)
    }
}

impl Members {
    fn decode(part: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok().map(Self)
    }

    /// A text; empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A time, in seconds since 1970.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// Whether they end in the past.
    pub(crate) fn has_expired(&self) -> bool {
        self.time("exp").is_some_and(|end| end <= Timestamp::now().as_second())
    }

    /// Whether they begin in the future.
    pub(crate) fn is_early(&self) -> bool {
        self.time("nbf").is_some_and(|start| start > Timestamp::now().as_second() + SKEW)
    }

    /// Whether they are meant for `audience`.
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one == audience),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::Jwt;

    fn token(header: &Value, claims: &Value, signature: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{signature}", part(header), part(claims))
    }

    #[test]
    fn parts_are_told_apart() {
        let claims = json!({"sub": "me", "aud": ["a", "b"], "exp": 1, "nbf": 4_000_000_000_u64});
        let token = token(&json!({"alg": "RS256"}), &claims, "c2ln");
        let jwt = Jwt::parse(&token).expect("a JWT");
        assert_eq!((jwt.header.text("alg"), jwt.claims.text("sub"), jwt.claims.text("iss")), ("RS256", "me", ""));
        assert!(jwt.claims.is_for("b") && !jwt.claims.is_for("c"));
        assert!(jwt.claims.has_expired() && jwt.claims.is_early());
        assert_eq!((jwt.signature, format!("{}.c2ln", jwt.message)), (b"sig".to_vec(), token.clone()));
    }

    #[test]
    fn what_is_not_signed_is_no_token() {
        assert!(Jwt::parse("a.b").is_none() && Jwt::parse("a.b.c").is_none());
        for (header, signature) in
            [(json!({"alg": "none"}), "c2ln"), (json!({}), "c2ln"), (json!({"alg": "RS256"}), "")]
        {
            assert!(Jwt::parse(&token(&header, &json!({}), signature)).is_none(), "{header} {signature}");
        }
    }
}
