//! Which part of an answer is the value, and how it is written.

use std::collections::BTreeMap;

use keyferry_core::{SecretBytes, canonical_json};
use serde_json::value::RawValue;
use serde_json_path::PathElement;

/// A JSONPath of RFC 9535.
#[derive(Debug)]
pub(crate) struct JsonPath(serde_json_path::JsonPath);

/// Why an answer has no value. The texts follow "the answer".
pub(crate) type Nothing = &'static str;

const NOT_THERE: Nothing = "has nothing at result.jsonPath; correct the path";
const EMPTY_LIST: Nothing = "has an empty list at result.jsonPath";
const NOT_JSON: Nothing = "is not JSON, which result.jsonPath needs";
const TOO_LONG: Nothing = "is longer than 1 MiB, too long for result.jsonPath";

const LONGEST_PATH: usize = 512;
const LONGEST_ANSWER: usize = 1 << 20;
/// Alternatives in brackets multiply from segment to segment.
const MOST_ALTERNATIVES: usize = 3;

impl JsonPath {
    /// Checks a path. As templates of Kubernetes have it, it may stand in braces and begin with a dot.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text).trim();
        let root = if bare.starts_with(['.', '[']) { "$" } else { "" };
        let path = format!("{root}{bare}");
        cheap(&path)?;
        let parsed = serde_json_path::JsonPath::parse(&path);
        parsed.map(Self).map_err(|_| {
            format!("result.jsonPath {text:?} is not a JSONPath; write it like $.data.value or $['my-key'][0]")
        })
    }

    /// The value in `json`: the first of all that the path selects.
    pub(crate) fn value(&self, json: &str) -> Result<SecretBytes, Nothing> {
        if json.len() > LONGEST_ANSWER {
            return Err(TOO_LONG);
        }
        let document: serde_json::Value = serde_json::from_str(json).map_err(|_| NOT_JSON)?;
        let selected = self.0.query_located(&document);
        let location = selected.first().ok_or(NOT_THERE)?.location();
        // The document that was searched has rounded its numbers; the text has not.
        let mut raw: &RawValue = serde_json::from_str(json).map_err(|_| NOT_JSON)?;
        for step in location.iter() {
            raw = match step {
                PathElement::Index(index) => items(raw)?.get(*index).copied(),
                PathElement::Name(name) => {
                    let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).map_err(|_| NOT_JSON)?;
                    members.get(*name).copied()
                }
            }
            .ok_or(NOT_THERE)?;
        }
        written(raw)
    }
}

/// Texts as they are, objects as JSON, of a list its first item, numbers digit by digit.
fn written(raw: &RawValue) -> Result<SecretBytes, Nothing> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(text).map(SecretBytes::from).map_err(|_| NOT_JSON),
        Some(b'[') => written(items(raw)?.first().copied().ok_or(EMPTY_LIST)?),
        Some(b'{') => canonical_json(text.as_bytes()).map_err(|_| NOT_JSON),
        Some(b'n') => Ok(SecretBytes::default()),
        _ => Ok(SecretBytes::from(text)),
    }
}

fn items(raw: &RawValue) -> Result<Vec<&RawValue>, Nothing> {
    serde_json::from_str(raw.get()).map_err(|_| NOT_JSON)
}

/// A path of a few letters can select more than the memory holds, or search for hours: a store's author writes it, and
/// all stores share one process. What is refused here has no use where only the first value counts.
fn cheap(path: &str) -> Result<(), String> {
    let filter = path.find('?').map_or("", |start| &path[start..]);
    let wrong = if path.len() > LONGEST_PATH {
        "is longer than 512 bytes"
    } else if path.matches("..").count() > 1 {
        "has more than one `..`"
    } else if filter.contains("..") || filter.contains('$') {
        "has `..` or `$` inside or behind a filter"
    } else if path.matches(',').count() > MOST_ALTERNATIVES {
        "has more than three commas"
    } else {
        return Ok(());
    };
    Err(format!("result.jsonPath {wrong}; write a simpler one"))
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    const ANSWER: &str = r#"{
        "data": {"value": "s\u00e9cret", "n": 9007199254740993123, "f": 1.50, "yes": true, "none": null,
                 "obj": {"b": "<", "a": 12345678901234567890123}, "list": ["first", "second"], "nested": [[1.0]],
                 "empty": [], "my-key": "dashed", "a.b": "dotted"},
        "items": [{"name": "x", "v": 1}, {"name": "y", "v": 2}]
    }"#;

    fn value(path: &str) -> Result<String, String> {
        let value = JsonPath::parse(path)?.value(ANSWER).map_err(str::to_owned)?;
        Ok(value.expose_str().expect("text").to_owned())
    }

    #[test]
    fn values_are_written_as_users_know_them() {
        for (path, expected) in [
            ("$.data.value", "sécret"),
            ("$.data.n", "9007199254740993123"),
            ("$.data.f", "1.50"),
            ("$.data.yes", "true"),
            ("$.data.none", ""),
            ("$.data.obj", r#"{"a":12345678901234567890123,"b":"\u003c"}"#),
            ("$.data.list", "first"),
            ("$.data.list[-1]", "second"),
            ("$.data.nested", "1.0"),
            ("$.data['my-key']", "dashed"),
            (r#"$.data["a.b"]"#, "dotted"),
            ("$.items[?(@.name==\"y\")].v", "2"),
            ("$.items[*].name", "x"),
            ("$..name", "x"),
            ("{.data.value}", "sécret"),
            (".data.value", "sécret"),
            (" $['data','items'].value ", "sécret"),
        ] {
            assert_eq!(value(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (path, words) in [
            ("$.data.missing", "has nothing at result.jsonPath"),
            ("$.items[?(@.name==\"z\")].v", "has nothing at result.jsonPath"),
            ("$.data.empty", "has an empty list"),
        ] {
            assert!(value(path).is_err_and(|text| text.contains(words)), "{path}");
        }
        let path = JsonPath::parse("$").expect("a path");
        assert!(path.value("hunter2").is_err_and(|text| text.contains("is not JSON")));
        assert!(path.value(&" ".repeat(2 << 20)).is_err_and(|text| text.contains("longer than 1 MiB")));
    }

    #[test]
    fn what_is_no_path_or_too_much_work_is_refused() {
        for (path, words) in [
            ("data.value", "is not a JSONPath; write it like $.data.value"),
            ("$.my-key", "is not a JSONPath"),
            ("", "is not a JSONPath"),
            ("$.items[", "is not a JSONPath"),
            ("$..a..b", "has more than one `..`"),
            ("$[?@..a]", "has `..` or `$` inside or behind a filter"),
            ("$[?$.a]", "has `..` or `$` inside or behind a filter"),
            ("$[0,0][0,0][0,0][0,0]", "has more than three commas"),
            (&format!("$.{}", "a".repeat(600)), "is longer than 512 bytes"),
        ] {
            let error = JsonPath::parse(path).expect_err(path);
            assert!(error.starts_with("result.jsonPath ") && error.contains(words), "{error}");
        }
    }
}
