//! What the parts of a request say, whoever reads them.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{
        HeaderMap,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
};
use percent_encoding::percent_decode_str;

/// More than any request of these services needs.
const LONGEST_BODY: usize = 1 << 20;

/// The body, if it is not too long.
pub(crate) async fn whole(body: Body) -> Option<Bytes> {
    to_bytes(body, LONGEST_BODY).await.ok()
}

/// Whether the body is said to be of the media type `wanted`.
pub(crate) fn is_of(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The pairs of a query or form; `None` if it is none, or names something twice.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return None;
        }
        pairs.push((name, decode(value)?));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::{bearer, is_of, pairs};

    #[test]
    fn pairs_are_decoded_and_come_once() {
        assert_eq!(pairs("a=b+c%2F&d="), Some(vec![("a".into(), "b c/".into()), ("d".into(), String::new())]));
        assert_eq!(pairs("a=1&a=2"), None);
        assert_eq!(pairs(""), Some(vec![]));
    }

    #[test]
    fn headers_are_read_without_what_does_not_matter() {
        let mut headers = HeaderMap::new();
        assert!(!is_of(&headers, "application/json") && bearer(&headers).is_none());
        headers.insert("content-type", "application/JSON; charset=utf-8".parse().unwrap());
        headers.insert("authorization", "Bearer a b".parse().unwrap());
        assert!(is_of(&headers, "application/json") && !is_of(&headers, "application"));
        assert_eq!(bearer(&headers), Some("a b"));
        headers.insert("authorization", "Basic a".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
