//! What the gateway holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The types of items that matter to readers of secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemType {
    /// A certificate, perhaps with its key.
    Certificate,
    /// Credentials that are made on demand.
    Dynamic,
    /// An encryption key: has no value that could be read.
    Key,
    /// Credentials that the vendor rotates.
    Rotated,
    /// A text.
    #[default]
    Static,
}

impl ItemType {
    /// As `/describe-item` calls it.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Dynamic => "DYNAMIC_SECRET",
            Self::Key => "AES256GCM",
            Self::Rotated => "ROTATED_SECRET",
            Self::Static => "STATIC_SECRET",
        }
    }

    /// As `/list-items` takes it in `type`.
    pub(super) fn listed(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dynamic => "dynamic-secret",
            Self::Key => "key",
            Self::Rotated => "rotated-secret",
            Self::Static => "static-secret",
        }
    }
}

/// An item that is put into the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its full name; a missing slash at the front makes no difference.
    pub name: String,
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: ItemType,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its value. Static: a text. Rotated: what stands under `value` in the answer. Dynamic: the whole answer, in
    /// which the text `{serial}` stands for a number that no other answer has. Certificate: an object with
    /// `certificate_pem` and `private_key_pem`.
    pub value: Value,
}

impl Item {
    /// A static secret.
    pub fn secret(name: &str, value: &str) -> Self {
        Self::new(name, ItemType::Static, value.into())
    }

    /// A rotated secret.
    pub fn rotated(name: &str, value: Value) -> Self {
        Self::new(name, ItemType::Rotated, value)
    }

    /// A dynamic secret.
    pub fn dynamic(name: &str, answer: Value) -> Self {
        Self::new(name, ItemType::Dynamic, answer)
    }

    /// A certificate with its key.
    pub fn certificate(name: &str, certificate: &str, key: &str) -> Self {
        Self::new(name, ItemType::Certificate, json!({"certificate_pem": certificate, "private_key_pem": key}))
    }

    /// The same item with these tags.
    #[must_use]
    pub fn tagged(self, tags: &[&str]) -> Self {
        Self { tags: tags.iter().map(|&tag| tag.to_owned()).collect(), ..self }
    }

    /// An item of any type.
    pub fn new(name: &str, kind: ItemType, value: Value) -> Self {
        Self { name: name.to_owned(), kind, tags: Vec::new(), value }
    }
}

/// All items by full name.
#[derive(Debug, Default)]
pub(super) struct Items {
    by_name: BTreeMap<String, Held>,
    last_id: u64,
}

/// An item with all its versions.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) kind: ItemType,
    pub(super) tags: Vec<String>,
    versions: Vec<Value>,
}

/// The name as the gateway keeps it.
pub(super) fn full_name(name: &str) -> String {
    format!("/{}", name.trim_matches('/'))
}

impl Items {
    /// Puts an item in. One of the same name and type gets a new version, one of another type is replaced.
    pub(super) fn put(&mut self, item: Item) {
        let Item { name, kind, tags, value } = item;
        let name = full_name(&name);
        if self.by_name.get(&name).is_some_and(|held| held.kind != kind) {
            self.by_name.remove(&name);
        }
        let last_id = &mut self.last_id;
        let held = self.by_name.entry(name).or_insert_with(|| {
            *last_id += 1;
            Held { id: *last_id, kind, tags: Vec::new(), versions: Vec::new() }
        });
        held.tags = tags;
        held.versions.push(value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Held> {
        self.by_name.get(&full_name(name))
    }

    /// Gives an item a new version; whether there is such an item.
    pub(super) fn rotate(&mut self, name: &str, value: Value) -> bool {
        let held = self.by_name.get_mut(&full_name(name));
        held.map(|held| held.versions.push(value)).is_some()
    }

    /// Gives an item these tags and no others; whether there is such an item.
    pub(super) fn tag(&mut self, name: &str, tags: &[&str]) -> bool {
        let held = self.by_name.get_mut(&full_name(name));
        held.map(|held| held.tags = tags.iter().map(|&tag| tag.to_owned()).collect()).is_some()
    }

    /// Takes an item out; whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(&full_name(name)).is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.by_name.iter().map(|(name, held)| (name.as_str(), held))
    }
}

impl Held {
    /// A version's value; `None` asks for the newest.
    pub(super) fn version(&self, number: Option<usize>) -> Option<&Value> {
        match number {
            None => self.versions.last(),
            Some(number) => self.versions.get(number.checked_sub(1)?),
        }
    }

    pub(super) fn last_version(&self) -> usize {
        self.versions.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Item, ItemType, Items};

    #[test]
    fn a_second_value_is_a_new_version_and_another_type_a_new_item() {
        let mut items = Items::default();
        items.put(Item::secret("a/b", "one"));
        items.put(Item::secret("/a/b", "two").tagged(&["x"]));
        assert!(items.rotate("/a/b", json!("three")) && !items.rotate("/a/c", json!("")));
        assert!(items.tag("/a/b", &["y"]) && !items.tag("/a/c", &[]));
        let held = items.get("a/b").unwrap();
        assert_eq!((held.id, held.last_version(), held.tags.as_slice()), (1, 3, ["y".to_owned()].as_slice()));
        let read = |number| held.version(number).cloned();
        assert_eq!(
            (read(None), read(Some(1)), read(Some(4)), read(Some(0))),
            (Some(json!("three")), Some(json!("one")), None, None)
        );
        items.put(Item::rotated("/a/b", json!({})));
        let held = items.get("a/b").unwrap();
        assert_eq!((held.id, held.last_version(), held.kind), (2, 1, ItemType::Rotated));
        assert!(items.remove("a/b") && items.get("/a/b").is_none());
    }
}
