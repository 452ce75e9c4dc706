//! Canonical JSON text: one text for one document, exact numbers, Go's string escapes.
//!
//! Users of other operators have this text in their Secrets: keys sorted bytewise, no white space, `<`, `>` and `&`
//! escaped. Numbers keep the digits that the backend sent, however many there are.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::SecretBytes;

/// Text that is not the JSON that was expected. Says what was wrong, never what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanonicalError {
    /// Not JSON at all, or nested deeper than any sane secret.
    Invalid,
    /// JSON, but not an object.
    NotAnObject,
}

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "is not valid JSON",
            Self::NotAnObject => "is not a JSON object",
        })
    }
}

impl std::error::Error for CanonicalError {}

/// The canonical text of any JSON document.
pub fn canonical_json(json: &[u8]) -> Result<SecretBytes, CanonicalError> {
    let text = std::str::from_utf8(json).map_err(|_| CanonicalError::Invalid)?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| CanonicalError::Invalid)?;
    let mut out = Zeroizing::new(String::with_capacity(json.len()));
    write(raw, &mut out, 0)?;
    Ok(SecretBytes::new(out.as_bytes()))
}

/// As [`canonical_json`], for documents that must be objects.
pub fn canonical_object(json: &[u8]) -> Result<SecretBytes, CanonicalError> {
    match json.trim_ascii_start().first() {
        Some(b'{') => canonical_json(json),
        _ => canonical_json(json).and(Err(CanonicalError::NotAnObject)),
    }
}

/// Deeper nesting than this is refused rather than recursed into.
const MAX_DEPTH: usize = 100;

fn write(raw: &RawValue, out: &mut String, depth: usize) -> Result<(), CanonicalError> {
    if depth > MAX_DEPTH {
        return Err(CanonicalError::Invalid);
    }
    let text = raw.get();
    let invalid = |_| CanonicalError::Invalid;
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(invalid)?;
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(&key, out);
                out.push(':');
                write(value, out, depth + 1)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(invalid)?;
            out.push('[');
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out, depth + 1)?;
            }
            out.push(']');
        }
        Some(b'"') => {
            let string: Zeroizing<String> = Zeroizing::new(serde_json::from_str(text).map_err(invalid)?);
            write_string(&string, out);
        }
        _ => out.push_str(text),
    }
    Ok(())
}

/// A JSON string as Go's `encoding/json` writes it.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{CanonicalError, canonical_json, canonical_object};

    fn canonical(text: &str) -> String {
        let bytes = canonical_json(text.as_bytes()).expect("valid JSON");
        bytes.expose_str().expect("JSON is UTF-8").to_owned()
    }

    #[test]
    fn keys_are_sorted_and_white_space_goes() {
        assert_eq!(
            canonical(r#" { "b" : [ 1 , {"d":2,"c":null} ] , "a" : "x" } "#),
            r#"{"a":"x","b":[1,{"c":null,"d":2}]}"#
        );
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(canonical(r#"{"n":9007199254740993123,"f":1.10}"#), r#"{"f":1.10,"n":9007199254740993123}"#);
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        assert_eq!(
            canonical(r#""<a href=\"\u00e9\">&\u2028\u0001\b""#),
            r#""\u003ca href=\"é\"\u003e\u0026\u2028\u0001\b""#
        );
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(canonical(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
    }

    #[test]
    fn what_is_not_an_object_is_told_apart_from_what_is_not_json() {
        assert_eq!(canonical_object(b"[1]"), Err(CanonicalError::NotAnObject));
        assert_eq!(canonical_object(br#"{"a":"#), Err(CanonicalError::Invalid));
        assert_eq!(canonical_object(b""), Err(CanonicalError::Invalid));
        assert!(canonical_object(b" {} ").is_ok());
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(canonical_json(deep.as_bytes()), Err(CanonicalError::Invalid));
    }
}
