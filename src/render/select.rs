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

/// The keys that `tags` of the secret `name` become in a map: `NAME_TAG`, and for a tag that holds a JSON object
/// `NAME_TAG_MEMBER` for each member. An object with members other than texts is there as `NAME_TAG` too, because users
/// of other operators find it whole.
pub(crate) fn tags(
    name: &str,
    tags: &BTreeMap<String, SecretBytes>,
) -> Result<BTreeMap<String, SecretBytes>, RenderError> {
    let mut keys = BTreeMap::new();
    let mut add = |key: String, value: SecretBytes| match keys.insert(key.clone(), value) {
        None => Ok(()),
        Some(_) => Err(RenderError::KeyCollision(key)),
    };
    for (tag, value) in tags {
        let key = format!("{name}_{tag}");
        let members = value.expose_str().and_then(members);
        if members.as_ref().is_none_or(|members| !members.values().all(|raw| is_text(raw.get()))) {
            add(key.clone(), value.clone())?;
        }
        for (member, raw) in members.into_iter().flatten() {
            add(format!("{key}_{member}"), member_text(raw.get()))?;
        }
    }
    Ok(keys)
}

/// `null` counts as an empty text.
fn is_text(raw: &str) -> bool {
    matches!(raw.as_bytes().first(), Some(b'"' | b'n'))
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
    if is_text(raw) { text_of(raw) } else { SecretBytes::from(raw) }
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

    use super::{RenderError, object, property, tags};

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

    fn keys(json: &str) -> Result<Vec<(String, String)>, RenderError> {
        let keys = tags("db", &object(&SecretBytes::from(json)).unwrap())?.into_iter();
        Ok(keys.map(|(key, value)| (key, value.expose_str().unwrap().to_owned())).collect())
    }

    #[test]
    fn tags_stand_behind_the_name_and_their_objects_are_taken_apart_once() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let of = |json: &str| keys(json).unwrap();
        assert_eq!(
            of(r#"{"team":"red","empty":"","list":"[1]","no":"null"}"#),
            [pair("db_empty", ""), pair("db_list", "[1]"), pair("db_no", "null"), pair("db_team", "red")]
        );
        assert_eq!(of(r#"{"on":"{\"a\":\"x\",\"b\":null}"}"#), [pair("db_on_a", "x"), pair("db_on_b", "")]);
        let deep = r#"{"a":{"b":"c"},"n":1.50}"#;
        let expected = [pair("db_on", deep), pair("db_on_a", r#"{"b":"c"}"#), pair("db_on_n", "1.50")];
        assert_eq!(of(&serde_json::json!({ "on": deep }).to_string()), expected);
    }

    #[test]
    fn two_tags_never_become_one_key_silently() {
        let collision = Err(RenderError::KeyCollision("db_a_b".into()));
        assert_eq!(keys(r#"{"a":"{\"b\":\"x\"}","a_b":"y"}"#), collision);
    }

    #[test]
    fn a_tag_is_found_by_its_whole_name_first_and_its_json_at_any_depth() {
        let found = SecretBytes::from(
            r#"{"app.team":"red","on":"{\"db\":{\"users\":[{\"name\":\"ann\"}]}}","on.db.x":"{\"y\":[1,2]}","on.db":"own"}"#,
        );
        for (path, expected) in [
            ("app.team", "red"),
            ("on.db", "own"),
            ("on.db.users.0.name", "ann"),
            ("on.db.users.#.name", r#"["ann"]"#),
            ("on.db.x.y.1", "2"),
        ] {
            assert_eq!(property(&found, path), Ok(SecretBytes::from(expected)), "{path}");
        }
        for path in ["app", "app.other", "on.db.users.1", "app.team.x"] {
            assert_eq!(property(&found, path), Err(RenderError::PropertyNotFound(path.to_owned())), "{path}");
        }
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
