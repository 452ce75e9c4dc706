//! Tags and metadata of a secret, as one map.
//!
//! Infisical knows both metadata (keys with values) and tags (bare words). Here a tag is a key with an empty value, so
//! that one map tells all, and one map can ask for both.

use std::collections::BTreeMap;

use keyferry_core::{SecretBytes, canonical_object};

use crate::wire::Entry;

/// What may be shown: metadata that the server does not encrypt, and tags.
pub(crate) fn labels(entry: &Entry) -> BTreeMap<String, String> {
    pairs(entry, |encrypted| !encrypted)
}

/// Everything, as a JSON object.
pub(crate) fn object(entry: &Entry) -> Option<SecretBytes> {
    let json = serde_json::to_vec(&pairs(entry, |_| true)).ok()?;
    canonical_object(&json).ok()
}

fn pairs(entry: &Entry, wanted: impl Fn(bool) -> bool) -> BTreeMap<String, String> {
    let tags = entry.tags.iter().flatten().map(|tag| (tag.slug.clone(), String::new()));
    let metadata = entry.secret_metadata.iter().flatten().filter(|pair| wanted(pair.is_encrypted)).map(|pair| {
        let value = pair.value.as_ref().and_then(SecretBytes::expose_str).unwrap_or_default();
        (pair.key.clone(), value.to_owned())
    });
    tags.chain(metadata).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{labels, object};
    use crate::wire::Entry;

    #[test]
    fn tags_have_empty_values_and_encrypted_metadata_is_not_for_listings() {
        let entry: Entry = serde_json::from_value(json!({
            "secretKey": "A",
            "tags": [{"slug": "team-a", "name": "Team A"}, {"slug": "owner"}],
            "secretMetadata": [
                {"key": "owner", "value": "me <&>"},
                {"key": "pin", "value": "1234", "isEncrypted": true},
            ],
        }))
        .expect("an entry");
        let expected = BTreeMap::from([("owner".into(), "me <&>".into()), ("team-a".into(), String::new())]);
        assert_eq!(labels(&entry), expected);
        let whole = r#"{"owner":"me \u003c\u0026\u003e","pin":"1234","team-a":""}"#;
        assert_eq!(object(&entry), Some(whole.into()));
    }

    #[test]
    fn a_secret_without_any_has_an_empty_object() {
        let entry: Entry = serde_json::from_value(json!({"secretKey": "A", "tags": null})).expect("an entry");
        assert_eq!(object(&entry), Some("{}".into()));
    }
}
