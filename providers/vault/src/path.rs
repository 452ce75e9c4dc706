//! Where a key is, in the paths of Vault's API.

use crate::config::KvVersion;

/// Turns keys of manifests into paths, by the rules that users of ESO know:
///
/// - With a mount in the store, a key may repeat it as the store writes it, with or without `data` behind it. With
///   another slash before it, it is a folder of that name.
/// - Without one, the key begins with the mount: its first segment, or what stands before `/data/`.
/// - Slashes that separate nothing make no difference.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    mount: Option<Mount>,
    version: KvVersion,
}

/// `path` of a store.
#[derive(Clone, Debug)]
struct Mount {
    path: String,
    /// What keys that repeat it begin with.
    prefix: String,
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
        let mount = mount.map(|mount| Mount { path: tidy(mount), prefix: format!("{mount}/") });
        Self { mount: mount.filter(|mount| !mount.path.is_empty()), version }
    }

    /// Where the secret `key` is.
    pub(crate) fn secret(&self, key: &str) -> Result<Place, &'static str> {
        Some(self.place(key)).filter(|place| !place.inner.is_empty()).ok_or(NO_SECRET)
    }

    /// Where to begin looking for names.
    pub(crate) fn folder(&self, path: Option<&str>) -> Result<Place, &'static str> {
        let place = self.place(&path.map(|path| format!("{path}/")).unwrap_or_default());
        if place.mount.is_empty() && place.inner.is_empty() {
            return Err("neither the store nor `find` has a `path`, so there is no mount to look into; name one");
        }
        Ok(place)
    }

    /// Where `key` leads to; a folder's has a slash at its end.
    fn place(&self, key: &str) -> Place {
        let own;
        let (mount, inner) = match (&self.mount, self.version) {
            (Some(mount), version) => {
                let below = key.strip_prefix(&mount.prefix).map(|rest| match version {
                    KvVersion::V1 => rest,
                    KvVersion::V2 => rest.strip_prefix("data/").unwrap_or(rest),
                });
                (mount.path.as_str(), below.unwrap_or(key))
            }
            (None, KvVersion::V1) => ("", key),
            (None, KvVersion::V2) => {
                // A secret may be called `data` itself: only what is followed by more divides.
                own = format!("{}{}", tidy(key), if key.ends_with('/') { "/" } else { "" });
                own.split_once("/data/").or(own.split_once('/')).unwrap_or((&own, ""))
            }
        };
        Place { mount: mount.to_owned(), inner: tidy(inner) }
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

    /// What users of other operators know `place` by after a search that began at `root`, which their manifest writes as
    /// `path`: that, and what follows below it.
    pub(crate) fn known_as(place: &Place, root: &Place, path: Option<&str>) -> String {
        let below = place.inner.strip_prefix(&root.inner).unwrap_or(&place.inner).trim_start_matches('/');
        path.map_or_else(|| below.to_owned(), |path| format!("{path}/{below}"))
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

    /// Where the engine is mounted; empty where nobody can tell.
    pub(crate) fn mount(&self) -> &str {
        &self.mount
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

/// `path` without slashes that separate nothing: a server answers them with another path, or not at all.
pub(crate) fn tidy(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
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
            ("", V2, "kv/data", "kv/data/data"),
            ("", V2, "kv/team/data", "kv/data/team/data"),
            ("", V1, "secret/a/foo", "secret/a/foo"),
            ("/secret/", V2, "/foo/", "secret/data/foo"),
            ("secret", V2, "secrets/foo", "secret/data/secrets/foo"),
            ("secret", V2, "data/foo", "secret/data/data/foo"),
            ("secret", V1, "secret/data/foo", "secret/data/foo"),
            ("secret", V2, "a/data/foo", "secret/data/a/data/foo"),
            ("secret", V2, "secret", "secret/data/secret"),
            ("secret", V2, "/secret/foo", "secret/data/secret/foo"),
            ("secret/", V2, "secret/foo", "secret/data/secret/foo"),
            ("/secret", V2, "/secret/foo", "secret/data/foo"),
            ("secret", V2, "a//b/", "secret/data/a/b"),
            ("secret", V2, "secret//a", "secret/data/a"),
            ("a//b", V2, "a//b/data/c", "a/b/data/c"),
            ("", V2, "/kv//data//a", "kv/data/a"),
            ("", V1, "/kv//a/", "kv/a"),
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
            ("secret", V2, Some("//a//b"), "secret/metadata/a/b"),
            ("secret", V2, Some("secret"), "secret/metadata"),
            ("secret", V2, Some("secret/data/a"), "secret/metadata/a"),
            ("", V2, Some("kv"), "kv/metadata"),
            ("", V2, Some("kv/data"), "kv/metadata"),
            ("", V2, Some("kv/data/a/"), "kv/metadata/a"),
            ("", V2, Some("kv/team/data"), "kv/team/metadata"),
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

    #[test]
    fn what_is_found_is_known_by_the_path_as_it_is_written() {
        for (mount, path, known_as) in [
            ("secret", None, "team/a"),
            ("secret", Some("team"), "team/a"),
            ("secret", Some("/team/"), "/team//a"),
            ("secret", Some("secret/team"), "secret/team/a"),
            ("", Some("kv/team"), "kv/team/a"),
            ("", Some("kv/data/team"), "kv/data/team/a"),
        ] {
            let paths = Paths::new(Some(mount), V2);
            let root = paths.folder(path).expect("a folder");
            let place = if path.is_none() { root.entry("team/").entry("a") } else { root.entry("a") };
            assert_eq!(Paths::known_as(&place, &root, path), known_as);
            assert_eq!(paths.secret(known_as), Ok(place), "{mount:?} {known_as}");
        }
    }
}
