//! What the values in answers are, byte for byte as users of other operators have them.

use std::{collections::BTreeMap, fmt};

use keyferry_core::{SecretBytes, canonical_json, canonical_object};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// An answer that is not what the API promises. Says what is wrong, never what the answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unexpected(&'static str);

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An answer without content must not take the place of one that had some.
const EMPTY: Unexpected = Unexpected("is empty; give the item one");

/// A static secret: its text, or the canonical JSON of one that is kept as fields.
pub(crate) fn static_value(value: &RawValue) -> Result<SecretBytes, Unexpected> {
    match value.get().as_bytes().first() {
        Some(b'"' | b'{' | b'[') => content(value),
        _ => Err(Unexpected("is neither a text nor an object")),
    }
}

/// A rotated secret: its payload, or else the credentials of its target, or else all that the gateway says of it.
pub(crate) fn rotated_value(answer: &RawValue) -> Result<SecretBytes, Unexpected> {
    let Some(value) = members(answer)?.remove("value") else { return object(answer) };
    let mut parts = members(value)?;
    // A part that is there and empty is not passed over: what stands in for it would take the place of its content.
    parts.remove("payload").or_else(|| parts.remove("target_value")).map_or_else(|| object(value), content)
}

/// A dynamic secret or a certificate: all that the gateway says of it.
pub(crate) fn object(answer: &RawValue) -> Result<SecretBytes, Unexpected> {
    filled(canonical_object(answer.get().as_bytes()).map_err(|_| Unexpected("is not an object"))?)
}

fn members(value: &RawValue) -> Result<BTreeMap<String, &RawValue>, Unexpected> {
    serde_json::from_str(value.get()).map_err(|_| Unexpected("is not an object"))
}

/// A text as it is, anything else as canonical JSON.
fn content(value: &RawValue) -> Result<SecretBytes, Unexpected> {
    if value.get().starts_with('"') {
        let text = serde_json::from_str(value.get()).map_err(|_| Unexpected("is not well-formed text"))?;
        let text = SecretBytes::from(Zeroizing::<String>::new(text).as_str());
        return if text.is_empty() { Err(EMPTY) } else { Ok(text) };
    }
    filled(canonical_json(value.get().as_bytes()).map_err(|_| Unexpected("is not sane JSON"))?)
}

/// `json`, unless there is nothing in it.
fn filled(json: SecretBytes) -> Result<SecretBytes, Unexpected> {
    match json.expose() {
        b"{}" | b"[]" | b"null" => Err(EMPTY),
        _ => Ok(json),
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;
    use serde_json::value::RawValue;

    use super::{EMPTY, Unexpected, object, rotated_value, static_value};

    type Reading = fn(&RawValue) -> Result<SecretBytes, Unexpected>;

    fn read(reading: Reading, json: &str) -> Result<String, Unexpected> {
        let value = RawValue::from_string(json.to_owned()).expect("JSON");
        reading(&value).map(|value| value.expose_str().expect("text").to_owned())
    }

    #[test]
    fn a_static_secret_is_its_text() {
        assert_eq!(read(static_value, r#""p\u00e4ss\n""#), Ok("päss\n".into()));
        assert_eq!(read(static_value, r#""{}""#), Ok("{}".into()));
        assert_eq!(read(static_value, r#"["b", "a"]"#), Ok(r#"["b","a"]"#.into()));
        assert_eq!(
            read(static_value, r#"{"b": 12345678901234567890.10, "a": "<"}"#),
            Ok(r#"{"a":"\u003c","b":12345678901234567890.10}"#.into())
        );
        for wrong in ["null", "true", "7"] {
            assert_eq!(read(static_value, wrong), Err(Unexpected("is neither a text nor an object")));
        }
        assert_eq!(read(static_value, r#""\ud800""#), Err(Unexpected("is not well-formed text")));
    }

    #[test]
    fn a_rotated_secret_is_the_most_specific_part_of_its_answer() {
        assert_eq!(read(rotated_value, r#"{"value": {"payload": "x", "target_value": {}}}"#), Ok("x".into()));
        assert_eq!(read(rotated_value, r#"{"value": {"payload": {"b": 1, "a": 2}}}"#), Ok(r#"{"a":2,"b":1}"#.into()));
        assert_eq!(
            read(rotated_value, r#"{"value": {"username": "u", "target_value": {"p": 1, "n": 2}}}"#),
            Ok(r#"{"n":2,"p":1}"#.into())
        );
        assert_eq!(
            read(rotated_value, r#"{"value": {"username": "u", "password": "p"}}"#),
            Ok(r#"{"password":"p","username":"u"}"#.into())
        );
        assert_eq!(read(rotated_value, r#"{"username": "u"}"#), Ok(r#"{"username":"u"}"#.into()));
    }

    #[test]
    fn answers_without_content_are_no_values() {
        assert_eq!(read(rotated_value, r#"{"value": "x"}"#), Err(Unexpected("is not an object")));
        for empty in [r#""""#, "null", "{}", "[]"] {
            for part in ["payload", "target_value"] {
                let answer = format!(r#"{{"value": {{"username": "u", "{part}": {empty}}}}}"#);
                assert_eq!(read(rotated_value, &answer), Err(EMPTY), "{answer}");
            }
        }
        for empty in [r#""""#, "{}", "[]"] {
            assert_eq!(read(static_value, empty), Err(EMPTY), "{empty}");
        }
        assert_eq!(read(rotated_value, r#"{"value": {}}"#), Err(EMPTY));
        assert_eq!(read(rotated_value, "{}"), Err(EMPTY));
        assert_eq!(read(object, "{}"), Err(EMPTY));
        assert_eq!(read(object, "[1]"), Err(Unexpected("is not an object")));
    }
}
