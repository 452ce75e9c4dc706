//! The provider.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{
    Capabilities, Error, ErrorKind, Fetched, Listed, Locator, Page, Provider, Query, RemoteName, Result, SecretBytes,
    Version, Want,
};
use tokio::time::Instant;

use crate::{Config, NAME, Validation, invalid};

/// The in-memory backend.
#[derive(Debug)]
pub struct Fake {
    /// The versions of each name; `None` is the entry without one.
    secrets: BTreeMap<RemoteName, BTreeMap<Option<Version>, SecretBytes>>,
    validation: Validation,
}

impl Fake {
    /// Takes over what the manifest says. Of two entries with the same key and version the later counts.
    pub fn new(config: Config) -> Result<Self> {
        let mut secrets: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (index, entry) in config.entries.into_iter().enumerate() {
            let empty = |field| invalid(format!("data[{index}].{field} is empty; set it or remove the entry"));
            let name = RemoteName::new(entry.key).map_err(|_| empty("key"))?;
            if entry.value.is_empty() {
                return Err(empty("value"));
            }
            let version = entry.version.and_then(|version| Version::new(version).ok());
            secrets.entry(name).or_default().insert(version, entry.value);
        }
        Ok(Self { secrets, validation: config.validation })
    }

    fn read(&self, at: &Locator) -> Result<Arc<Fetched>> {
        let Locator { name, version, want, .. } = at;
        if *want == Want::Metadata {
            return Err(unsupported("ReadSecret", "entries of a fake store have no metadata"));
        }
        let versions = self.secrets.get(name).ok_or_else(|| missing(format!("data has no key \"{name}\"")))?;
        let found = match version {
            Some(_) => versions.get_key_value(version),
            // The entry without a version is what is meant by naming none. Where there is none the newest is, as far
            // as versions can be compared: as text.
            None => versions.get_key_value(&None).or_else(|| versions.last_key_value()),
        };
        let (version, value) = found.ok_or_else(|| {
            let version = version.as_ref().map(Version::as_str).unwrap_or_default();
            missing(format!("data has no version \"{version}\" of key \"{name}\""))
        })?;
        Ok(Arc::new(Fetched::new(value.clone(), version.clone())))
    }
}

#[async_trait]
impl Provider for Fake {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: false,
            find_by_tags: false,
            list: true,
            metadata: false,
            properties: false,
            versions: true,
        }
    }

    async fn check(&self) -> Result<()> {
        match self.validation {
            Validation::Ready | Validation::Unknown => Ok(()),
            Validation::Error => Err(invalid("validationResult is 2, which makes the store fail; remove it".into())),
        }
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        at.iter().map(|at| self.read(at)).collect()
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        if query.path.is_some() {
            return Err(unsupported("ListSecrets", "a fake store has no paths to find by; find by name"));
        }
        if !query.tags.is_empty() {
            return Err(unsupported("ListSecrets", "entries of a fake store have no tags to find by; find by name"));
        }
        let listed = |name: &RemoteName| Listed { name: name.clone(), alias: None, tags: BTreeMap::new() };
        Ok(Arc::new(Page { items: self.secrets.keys().map(listed).collect(), next: None }))
    }

    async fn close(&self) {}
}

fn missing(message: String) -> Error {
    Error::new(ErrorKind::NotFound, NAME, "ReadSecret", message)
}

fn unsupported(operation: &'static str, message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, NAME, operation, message)
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, Locator, Provider, Query, RemoteName, Result, SecretBytes, Version, Want};

    use tokio::time::Instant;

    use super::Fake;
    use crate::{Config, Entry, Validation};

    fn entry((key, version, value): (&str, &str, &str)) -> Entry {
        Entry { key: key.into(), value: value.into(), version: Some(version.into()) }
    }

    fn fake<const N: usize>(entries: [(&str, &str, &str); N]) -> Result<Fake> {
        Fake::new(Config { entries: entries.map(entry).into(), validation: Validation::Ready })
    }

    fn at(key: &str, version: &str) -> Locator {
        Locator { version: Version::new(version).ok(), ..Locator::latest(RemoteName::new(key).unwrap()) }
    }

    #[test]
    fn a_version_is_looked_up_exactly() {
        let fake = fake([("a", "v1", "old"), ("a", "v2", "new"), ("av", "1", "other")]).unwrap();
        assert_eq!(fake.read(&at("a", "v1")).unwrap().value, SecretBytes::from("old"));
        let error = fake.read(&at("a", "v3")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.message, "data has no version \"v3\" of key \"a\"");
    }

    #[test]
    fn naming_no_version_means_the_entry_without_one_else_the_highest() {
        let versioned = fake([("a", "v2", "new"), ("a", "v1", "old")]).unwrap();
        let newest = versioned.read(&at("a", "")).unwrap();
        assert_eq!((&newest.value, &newest.version), (&SecretBytes::from("new"), &Version::new("v2").ok()));
        let mixed = fake([("a", "v2", "new"), ("a", "", "plain")]).unwrap();
        assert_eq!(mixed.read(&at("a", "")).unwrap().value, SecretBytes::from("plain"));
    }

    #[test]
    fn the_later_of_two_equal_entries_counts() {
        let fake = fake([("a", "", "first"), ("a", "", "second")]).unwrap();
        assert_eq!(fake.read(&at("a", "")).unwrap().value, SecretBytes::from("second"));
    }

    #[test]
    fn a_key_that_is_not_there() {
        let error = fake([]).unwrap().read(&at("a", "")).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "data has no key \"a\""));
    }

    #[test]
    fn empty_keys_and_values_are_refused() {
        for (entries, message) in [
            ([("a", "", "1"), ("", "", "2")], "data[1].key is empty; set it or remove the entry"),
            ([("a", "", ""), ("b", "", "2")], "data[0].value is empty; set it or remove the entry"),
        ] {
            let error = fake(entries).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, message));
        }
    }

    #[tokio::test]
    async fn the_check_ends_as_the_manifest_says() {
        let check = |validation| async move {
            Fake::new(Config { validation, ..Config::default() }).unwrap().check().await.map_err(|error| error.kind)
        };
        assert_eq!(check(Validation::Ready).await, Ok(()));
        assert_eq!(check(Validation::Unknown).await, Ok(()));
        assert_eq!(check(Validation::Error).await, Err(ErrorKind::InvalidConfig));
    }

    #[tokio::test]
    async fn what_it_cannot_do_is_said() {
        let fake = fake([("a", "", "1")]).unwrap();
        let metadata = Locator { want: Want::Metadata, ..at("a", "") };
        assert_eq!(fake.read(&metadata).unwrap_err().kind, ErrorKind::Unsupported);
        let by_path = Query { path: Some("a".into()), ..Query::default() };
        let by_tags = Query { tags: [("a".into(), "b".into())].into(), ..Query::default() };
        for query in [by_path, by_tags] {
            assert_eq!(fake.list(&query, Instant::now()).await.unwrap_err().kind, ErrorKind::Unsupported);
        }
    }
}
