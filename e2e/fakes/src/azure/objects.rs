//! What the vault holds.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Key Vault's own words")]
pub enum Kind {
    Certificate,
    Key,
    Secret,
}

/// An object, or a new version of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Whether it cannot be read.
    #[serde(default)]
    pub disabled: bool,
    /// When it should no longer be used, in seconds since 1970.
    #[serde(default)]
    pub expires: Option<i64>,
    /// Before when it should not be used, in seconds since 1970.
    #[serde(default)]
    pub not_before: Option<i64>,
}

/// What an object is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// A certificate: base64 of its DER form.
    Certificate(String),
    /// A key, in the form of a JSON Web Key without `kid`.
    Key(Map<String, Value>),
    /// A secret.
    Secret(String),
}

impl Object {
    /// A secret.
    pub fn secret(name: &str, value: &str) -> Self {
        Self::new(name, Content::Secret(value.to_owned()))
    }

    /// Any object that is enabled and has no tags.
    pub fn new(name: &str, content: Content) -> Self {
        let name = name.to_owned();
        Self { name, content, tags: BTreeMap::new(), disabled: false, expires: None, not_before: None }
    }

    /// The same with these tags.
    #[must_use]
    pub fn tagged(self, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self { tags: tags.collect(), ..self }
    }

    /// The same, not to be read.
    #[must_use]
    pub fn disabled(self) -> Self {
        Self { disabled: true, ..self }
    }
}

impl Content {
    fn kind(&self) -> Kind {
        match self {
            Self::Certificate(_) => Kind::Certificate,
            Self::Key(_) => Kind::Key,
            Self::Secret(_) => Kind::Secret,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Certificate, Self::Key, Self::Secret];

    /// Where its objects are.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Key => "keys",
            Self::Secret => "secrets",
        }
    }
}

/// Names make no difference between upper and lower case.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_name: BTreeMap<(Kind, String), Vec<Held>>,
    serial: u64,
}

/// One version.
#[derive(Debug)]
pub(super) struct Held {
    created: i64,
    pub(super) object: Object,
    pub(super) version: String,
}

impl Objects {
    pub(super) fn put(&mut self, object: Object) -> String {
        self.serial += 1;
        let version = format!("{:016x}{:016x}", rand::random::<u64>(), self.serial);
        let key = (object.content.kind(), object.name.to_ascii_lowercase());
        let held = Held { created: Timestamp::now().as_second(), object, version: version.clone() };
        self.by_name.entry(key).or_default().push(held);
        version
    }

    pub(super) fn delete(&mut self, kind: Kind, name: &str) -> bool {
        self.by_name.remove(&(kind, name.to_ascii_lowercase())).is_some()
    }

    pub(super) fn tag(&mut self, kind: Kind, name: &str, tags: BTreeMap<String, String>) -> bool {
        let versions = self.by_name.get_mut(&(kind, name.to_ascii_lowercase()));
        match versions.and_then(|versions| versions.last_mut()) {
            Some(held) => {
                held.object.tags = tags;
                true
            }
            None => false,
        }
    }

    /// A version; the newest where none is named.
    pub(super) fn find(&self, kind: Kind, name: &str, version: &str) -> Option<&Held> {
        let versions = self.by_name.get(&(kind, name.to_ascii_lowercase()))?;
        if version.is_empty() { versions.last() } else { versions.iter().find(|held| held.version == version) }
    }

    /// The newest versions of up to `count` objects whose names come after `after`.
    pub(super) fn page(&self, kind: Kind, after: &str, count: usize) -> Vec<&Held> {
        let from = Excluded((kind, after.to_ascii_lowercase()));
        let of_kind = self.by_name.range((from, Unbounded)).take_while(|((found, _), _)| *found == kind);
        of_kind.filter_map(|(_, versions)| versions.last()).take(count).collect()
    }
}

impl Held {
    /// What a listing tells, with `id` as it stands in the address of the vault at `base`.
    pub(super) fn properties(&self, base: &str) -> Value {
        let Object { content, name, tags, .. } = &self.object;
        let id = format!("{base}/{}/{name}", content.kind().collection());
        let mut properties = json!({ "attributes": self.attributes() });
        properties[if content.kind() == Kind::Key { "kid" } else { "id" }] = json!(id);
        if !tags.is_empty() {
            properties["tags"] = json!(tags);
        }
        properties
    }

    /// All.
    pub(super) fn whole(&self, base: &str) -> Value {
        let Object { content, name, tags, .. } = &self.object;
        let id = format!("{base}/{}/{name}/{}", content.kind().collection(), self.version);
        let mut whole = json!({ "attributes": self.attributes() });
        match content {
            Content::Certificate(cer) => {
                whole["id"] = json!(id);
                whole["kid"] = json!(id.replace("/certificates/", "/keys/"));
                whole["sid"] = json!(id.replace("/certificates/", "/secrets/"));
                whole["cer"] = json!(cer);
            }
            Content::Key(key) => {
                whole["key"] = json!(key);
                whole["key"]["kid"] = json!(id);
            }
            Content::Secret(value) => {
                whole["id"] = json!(id);
                whole["value"] = json!(value);
            }
        }
        if !tags.is_empty() {
            whole["tags"] = json!(tags);
        }
        whole
    }

    fn attributes(&self) -> Value {
        let Object { disabled, expires, not_before, .. } = &self.object;
        let mut attributes = json!({
            "created": self.created,
            "enabled": !disabled,
            "recoveryLevel": "Recoverable+Purgeable",
            "updated": self.created,
        });
        for (name, time) in [("exp", expires), ("nbf", not_before)] {
            if let Some(time) = time {
                attributes[name] = json!(time);
            }
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Object, Objects};

    #[test]
    fn each_put_makes_a_version_and_names_ignore_case() {
        let mut objects = Objects::default();
        let (old, new) = (objects.put(Object::secret("A", "1")), objects.put(Object::secret("a", "2")));
        let value = |version: &str| objects.find(Kind::Secret, "a", version).unwrap().whole("u")["value"].clone();
        assert_eq!((value(&old), value(&new), value("")), ("1".into(), "2".into(), "2".into()));
        assert!(objects.find(Kind::Key, "a", "").is_none());
    }

    #[test]
    fn pages_follow_each_other_within_a_kind() {
        let mut objects = Objects::default();
        for name in ["a", "b", "c"] {
            objects.put(Object::secret(name, ""));
        }
        let names = |after: &str, count| -> Vec<_> {
            objects.page(Kind::Secret, after, count).iter().map(|held| held.object.name.clone()).collect()
        };
        assert_eq!((names("", 2), names("b", 2)), (vec!["a".into(), "b".into()], vec!["c".to_owned()]));
        assert!(objects.page(Kind::Key, "", 2).is_empty());
    }

    #[test]
    fn an_object_is_written_in_one_level() {
        let object: Object = serde_json::from_str(r#"{"name":"a","secret":"x","tags":{"b":"c"}}"#).unwrap();
        assert_eq!((object.name.as_str(), object.tags["b"].as_str()), ("a", "c"));
        assert!(serde_json::from_str::<Object>(r#"{"name":"a"}"#).is_err());
    }
}
