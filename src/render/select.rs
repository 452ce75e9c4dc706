//! `property`, and whole maps.
//!
//! Properties are paths in gjson's syntax. What they select is written as users of other operators have it in their
//! Secrets: strings unquoted, objects and arrays as they stand in the backend, whole numbers digit by digit.

use std::collections::BTreeMap;

use keyferry_core::SecretBytes;
use serde_json::value::RawValue;

use super::RenderError;

/// What `property` selects of a JSON document. A key of exactly that name goes before a path, since keys may have dots.
pub(crate) fn property(value: &SecretBytes, property: &str) -> Result<SecretBytes, RenderError> {
    let json = document(value)?;
    if let Some(raw) = members(json).and_then(|members| members.get(property).copied()) {
        return Ok(text_of(raw.get()));
    }
    let selected = gjson::get(json, property);
    if selected.exists() {
        return Ok(text_of(selected.json()));
    }
    below(json, property).ok_or_else(|| RenderError::PropertyNotFound(property.to_owned()))
}

/// What no path reaches: a key with dots below other keys, as labels and annotations have them
/// (`labels.app.kubernetes.io/name`), and what stands in a document that another one holds as text (`config.user`).
fn below(json: &str, path: &str) -> Option<SecretBytes> {
    let members = members(json)?;
    let mut splits = path.match_indices('.');
    splits.find_map(|(dot, _)| {
        let (member, rest) = (members.get(&path[..dot])?.get(), &path[dot + 1..]);
        let text = if member.starts_with('"') { text_of(member) } else { SecretBytes::from(member) };
        property(&text, rest).ok()
    })
}

/// The members of a JSON object, each as [`property`] would select it.
pub(crate) fn object(value: &SecretBytes) -> Result<BTreeMap<String, SecretBytes>, RenderError> {
    let members = members(document(value)?).ok_or(RenderError::NotAnObject)?;
    Ok(members.into_iter().map(|(key, raw)| (key, member_text(raw.get()))).collect())
}

fn document(value: &SecretBytes) -> Result<&str, RenderError> {
    let text = value.expose_str().ok_or(RenderError::NotJson)?;
    // gjson does not check what it walks through; half a document must not select anything.
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Ok(text),
        Err(_) => Err(RenderError::NotJson),
    }
}

fn members(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

/// A member of a whole map keeps numbers as they stand.
fn member_text(raw: &str) -> SecretBytes {
    match raw.as_bytes().first() {
        Some(b'"' | b'n') => text_of(raw),
        _ => SecretBytes::from(raw),
    }
}

/// A JSON value as text.
fn text_of(raw: &str) -> SecretBytes {
    match raw.as_bytes().first() {
        // A selected `null` is there, and empty.
        None | Some(b'n') => SecretBytes::default(),
        Some(b'"') => serde_json::from_str::<String>(raw).map(SecretBytes::from).unwrap_or_default(),
        Some(b'-' | b'0'..=b'9') => number(raw),
        Some(_) => SecretBytes::from(raw),
    }
}

/// Whole numbers digit by digit, however many there are; others without exponent.
fn number(raw: &str) -> SecretBytes {
    if raw.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
        return SecretBytes::from(raw);
    }
    raw.parse::<f64>().map_or_else(|_| SecretBytes::from(raw), |number| SecretBytes::from(number.to_string()))
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;
    use proptest::prelude::*;

    use super::{RenderError, object, property};

    const DOCUMENT: &str = r#"{
        "user": "ann", "a.b": "dotted", "a": {"b": "nested", "n": 9007199254740993123},
        "list": [{"name": "x", "port": 1}, {"name": "y", "port": 2}], "pi": 3.10, "big": 1e21, "small": 1.0,
        "labels": {"app.kubernetes.io/name": "api"}, "text": "{\"user\": {\"id\": 7}}", "yes": true, "none": null, "quoted": "\"\u00e9\n"
    }"#;

    fn select(path: &str) -> String {
        let value = property(&SecretBytes::from(DOCUMENT), path).unwrap_or_else(|error| panic!("{path}: {error}"));
        value.expose_str().unwrap().to_owned()
    }

    #[test]
    fn paths_select_as_gjson_does() {
        let cases = [
            ("user", "ann"),
            ("a.b", "dotted"),
            (r"a\.b", "dotted"),
            ("a", r#"{"b": "nested", "n": 9007199254740993123}"#),
            ("a.n", "9007199254740993123"),
            ("list.1.name", "y"),
            ("list.#", "2"),
            ("list.#.name", r#"["x","y"]"#),
            (r#"list.#(name=="y").port"#, "2"),
            ("li*.0.name", "x"),
            ("pi", "3.1"),
            ("big", "1000000000000000000000"),
            ("small", "1"),
            ("labels.app.kubernetes.io/name", "api"),
            ("text.user.id", "7"),
            ("yes", "true"),
            ("none", ""),
            ("quoted", "\"é\n"),
        ];
        for (path, expected) in cases {
            assert_eq!(select(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in ["missing", "a.missing", "list.9", "user.x", "list.#(name==\"z\")", "", "...", "#("] {
            let found = property(&SecretBytes::from(DOCUMENT), path);
            assert_eq!(found, Err(RenderError::PropertyNotFound(path.to_owned())), "{path}");
        }
    }

    #[test]
    fn only_whole_documents_have_properties() {
        for text in ["hunter2", "{\"a\":1", "{\"a\":1} trailing", ""] {
            assert_eq!(property(&SecretBytes::from(text), "a"), Err(RenderError::NotJson), "{text}");
        }
        assert_eq!(property(&SecretBytes::new(vec![0xff, 0xfe]), "a"), Err(RenderError::NotJson));
    }

    #[test]
    fn a_map_keeps_what_is_not_text_as_it_stands() {
        let map = object(&SecretBytes::from(r#"{"s":"t","n":1.50,"o":{"k": [1, 2]},"b":false,"z":null}"#)).unwrap();
        let text = |key: &str| map[key].expose_str().unwrap().to_owned();
        assert_eq!(["s", "n", "o", "b", "z"].map(text), ["t", "1.50", r#"{"k": [1, 2]}"#, "false", ""]);
    }

    #[test]
    fn only_an_object_is_a_map() {
        assert_eq!(object(&SecretBytes::from("[1]")), Err(RenderError::NotAnObject));
        assert_eq!(object(&SecretBytes::from("\"text\"")), Err(RenderError::NotAnObject));
        assert_eq!(object(&SecretBytes::from("text")), Err(RenderError::NotJson));
    }

    proptest! {
        #[test]
        fn no_path_and_no_document_makes_it_panic(text in "\\PC{0,40}", path in "[a-z.#@|(){}\\[\\]=\"*?!~:0-9\\\\]{0,20}") {
            let _ = property(&SecretBytes::from(text), &path);
            let _ = property(&SecretBytes::from(DOCUMENT), &path);
        }
    }
}
