//! What the server knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Contents, Secret, ntlm::Guard};

/// All that a server knows.
#[derive(Debug, Default)]
pub struct World {
    pub(super) token: String,
    /// Who lets in accounts of a Windows domain, and then nobody else.
    pub(super) guard: Option<Guard>,
    values: BTreeMap<String, Vec<Value>>,
    denied: BTreeSet<String>,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    Denied,
    Key,
    Property,
    Version,
}

impl World {
    pub(super) fn new(contents: Contents) -> Self {
        let mut world = Self { token: contents.token, guard: contents.domain.map(Guard::of), ..Self::default() };
        for secret in contents.values {
            world.put(secret);
        }
        world
    }

    pub(super) fn let_in_token(&mut self, token: String) {
        (self.token, self.guard) = (token, None);
    }

    pub(super) fn put(&mut self, secret: Secret) -> usize {
        let versions = self.values.entry(secret.key).or_default();
        versions.push(secret.value);
        versions.len()
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.denied.remove(key);
        self.values.remove(key).is_some()
    }

    pub(super) fn deny(&mut self, key: &str) {
        self.denied.insert(key.to_owned());
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        self.values.iter().map(|(key, versions)| (key.as_str(), versions.len()))
    }

    /// A value and the number of its version. Empty texts stand for the newest version, and for the whole value.
    pub(super) fn read(&self, key: &str, version: &str, property: &str) -> Result<(usize, &Value), No> {
        if self.denied.contains(key) {
            return Err(No::Denied);
        }
        let versions = self.values.get(key).ok_or(No::Key)?;
        let number = if version.is_empty() { versions.len() } else { version.parse().map_err(|_| No::Version)? };
        let value = number.checked_sub(1).and_then(|index| versions.get(index)).ok_or(No::Version)?;
        let value = if property.is_empty() { value } else { value.get(property).ok_or(No::Property)? };
        Ok((number, value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{No, World};
    use crate::webhook::{Contents, Secret};

    #[test]
    fn values_have_versions_and_properties() {
        let mut world = World::new(Contents::default());
        for value in [json!({"p": 1}), json!({"p": 2})] {
            world.put(Secret { key: "a".into(), value });
        }
        assert_eq!(world.read("a", "", "p"), Ok((2, &json!(2))));
        assert_eq!(world.read("a", "1", ""), Ok((1, &json!({"p": 1}))));
        for (key, version, property, no) in [
            ("b", "", "", No::Key),
            ("a", "3", "", No::Version),
            ("a", "0", "", No::Version),
            ("a", "", "q", No::Property),
        ] {
            assert_eq!(world.read(key, version, property), Err(no));
        }
        world.deny("a");
        assert_eq!(world.read("a", "", ""), Err(No::Denied));
    }
}
