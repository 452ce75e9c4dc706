//! Where a key is, in the paths of Vault's API.

use crate::config::KvVersion;

/// Turns keys of manifests into paths, by the rules that users of ESO know:
///
/// - With a mount in the store, a key may repeat it, with or without `data` behind it.
/// - Without one, the key begins with the mount: its first segment, or what stands before `/data/`.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    mount: Option<String>,
    version: KvVersion,
}

/// A secret or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Empty where the whole path stands in `inner`, because nobody can tell where the mount ends.
    mount: String,
    /// Path below the mount, without slashes around it; empty for the mount itself.
    inner: String,
}

/// A key that names no secret.
pub(crate) const NO_SECRET: &str =
    "names a mount and no secret; without `path` in the store, a key is mount/path/of/the/secret";

impl Paths {
    pub(crate) fn new(mount: Option<&str>, version: KvVersion) -> Self {
        let mount = mount.map(|mount| mount.trim_matches('/').to_owned()).filter(|mount| !mount.is_empty());
        Self { mount, version }
    }

    /// Where the secret `key` is.
    pub(crate) fn secret(&self, key: &str) -> Result<Place, &'static str> {
        let key = key.trim_matches('/');
        let below = self.mount.as_ref().and_then(|mount| key.strip_prefix(mount)?.strip_prefix('/'));
        Some(self.place(key, below)).filter(|place| !place.inner.is_empty()).ok_or(NO_SECRET)
    }

    /// Where to begin looking for names.
    pub(crate) fn folder(&self, path: Option<&str>) -> Result<Place, &'static str> {
        let path = path.unwrap_or_default().trim_matches('/');
        let below = self.mount.as_ref().and_then(|mount| path.strip_prefix(mount));
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let place = self.place(path, below.map(|rest| rest.trim_start_matches('/')));
        if place.mount.is_empty() && place.inner.is_empty() {
            return Err("neither the store nor `find` has a `path`, so there is no mount to look into; name one");
        }
        Ok(place)
    }

    /// `below` is what follows the mount in `key`, where `key` repeats it.
    fn place(&self, key: &str, below: Option<&str>) -> Place {
        let (mount, inner) = match (&self.mount, self.version) {
            (Some(mount), KvVersion::V1) => (mount.as_str(), below.unwrap_or(key)),
            (Some(mount), KvVersion::V2) => {
                (mount.as_str(), below.map_or(key, |rest| rest.strip_prefix("data/").unwrap_or(rest)))
            }
            (None, KvVersion::V1) => ("", key),
            (None, KvVersion::V2) => key.split_once("/data/").or(key.split_once('/')).unwrap_or((key, "")),
        };
        Place { mount: mount.to_owned(), inner: inner.to_owned() }
    }

    /// Where to read the value.
    pub(crate) fn data(&self, place: &Place) -> String {
        place.path(match self.version {
            KvVersion::V1 => "",
            KvVersion::V2 => "data",
        })
    }

    /// Where to read the metadata of a secret, and to list a folder.
    pub(crate) fn metadata(&self, place: &Place) -> String {
        place.path(match self.version {
            KvVersion::V1 => "",
            KvVersion::V2 => "metadata",
        })
    }

    /// The key by which `place` is found again.
    pub(crate) fn key(&self, place: &Place) -> String {
        let Place { mount, inner } = place;
        let short = match self.mount {
            Some(_) => inner.clone(),
            None => place.path(""),
        };
        match self.version {
            _ if self.secret(&short).as_ref() == Ok(place) => short,
            KvVersion::V1 => place.path(""),
            KvVersion::V2 => format!("{mount}/data/{inner}"),
        }
    }
}

impl Place {
    /// What `entry` of a listing of this folder is.
    pub(crate) fn entry(&self, entry: &str) -> Self {
        let name = entry.trim_end_matches('/');
        let inner = if self.inner.is_empty() { name.to_owned() } else { format!("{}/{name}", self.inner) };
        Self { mount: self.mount.clone(), inner }
    }

    /// Path below the mount.
    pub(crate) fn inner(&self) -> &str {
        &self.inner
    }

    /// The same mount, another path below it.
    pub(crate) fn with_inner(&self, inner: String) -> Self {
        Self { mount: self.mount.clone(), inner }
    }

    fn path(&self, kind: &str) -> String {
        let parts = [self.mount.as_str(), kind, self.inner.as_str()];
        parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::Paths;
    use crate::config::KvVersion::{self, V1, V2};

    fn data(mount: &str, version: KvVersion, key: &str) -> String {
        let paths = Paths::new(Some(mount), version);
        paths.data(&paths.secret(key).expect("a secret"))
    }

    #[test]
    fn keys_become_paths_as_users_know_them() {
        for (mount, version, key, path) in [
            ("secret", V2, "foo", "secret/data/foo"),
            ("secret/team", V2, "secret/team/foo", "secret/team/data/foo"),
            ("secret/team", V2, "secret/team/data/foo", "secret/team/data/foo"),
            ("secret", V1, "foo", "secret/foo"),
            ("", V2, "secret/a/foo", "secret/data/a/foo"),
            ("", V2, "kv/team/data/foo", "kv/team/data/foo"),
            ("", V1, "secret/a/foo", "secret/a/foo"),
            ("/secret/", V2, "/foo/", "secret/data/foo"),
            ("secret", V2, "secrets/foo", "secret/data/secrets/foo"),
            ("secret", V2, "data/foo", "secret/data/data/foo"),
            ("secret", V1, "secret/data/foo", "secret/data/foo"),
            ("secret", V2, "a/data/foo", "secret/data/a/data/foo"),
            ("secret", V2, "secret", "secret/data/secret"),
        ] {
            assert_eq!(data(mount, version, key), path, "{mount:?} {version:?} {key}");
        }
    }

    #[test]
    fn metadata_stands_beside_the_data() {
        for (mount, key, path) in [
            ("secret", "a/foo", "secret/metadata/a/foo"),
            ("secret", "secret/data/a/foo", "secret/metadata/a/foo"),
            ("", "kv/team/data/foo", "kv/team/metadata/foo"),
            ("", "kv/foo", "kv/metadata/foo"),
        ] {
            let paths = Paths::new(Some(mount), V2);
            assert_eq!(paths.metadata(&paths.secret(key).expect("a secret")), path);
        }
    }

    #[test]
    fn a_mount_alone_is_no_secret() {
        for (mount, version, key) in [("", V2, "secret"), ("secret", V1, "/"), ("", V1, "/")] {
            assert!(Paths::new(Some(mount), version).secret(key).is_err(), "{mount:?} {key}");
        }
    }

    #[test]
    fn a_listing_begins_at_the_path_or_the_mount() {
        for (mount, version, path, listed) in [
            ("secret", V2, None, "secret/metadata"),
            ("secret", V2, Some("a/b/"), "secret/metadata/a/b"),
            ("secret", V2, Some("secret/a"), "secret/metadata/a"),
            ("secret", V2, Some("secret/"), "secret/metadata"),
            ("secret", V1, Some("a"), "secret/a"),
            ("", V2, Some("kv"), "kv/metadata"),
            ("", V2, Some("kv/a"), "kv/metadata/a"),
            ("", V1, Some("kv/a"), "kv/a"),
        ] {
            let paths = Paths::new(Some(mount), version);
            assert_eq!(paths.metadata(&paths.folder(path).expect("a folder")), listed);
        }
        assert!(Paths::new(None, V2).folder(None).is_err());
    }

    #[test]
    fn every_listed_key_leads_back_to_its_secret() {
        for (mount, version, folder) in [
            ("secret", V2, "a"),
            ("secret", V2, "secret"),
            ("secret", V2, "data"),
            ("data", V2, "data/data"),
            ("secret", V1, "secret/x"),
            ("", V2, "kv/a"),
            ("", V2, "kv/data/a"),
            ("", V2, "kv/team/data/a"),
            ("", V1, "kv/data/a"),
        ] {
            let paths = Paths::new(Some(mount), version);
            let place = paths.folder(Some(folder)).expect("a folder").entry("data").entry("x");
            assert_eq!(paths.secret(&paths.key(&place)), Ok(place), "{mount:?} {folder}");
        }
        let paths = Paths::new(Some("secret"), V2);
        assert_eq!(paths.key(&paths.folder(None).expect("a folder").entry("a/").entry("b")), "a/b");
    }
}
