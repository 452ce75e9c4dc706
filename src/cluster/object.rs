//! How objects are named and told apart.

use std::{fmt, sync::Arc};

use kube::api::ObjectMeta;

/// Namespace and name of an object; the namespace of a cluster-scoped one is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl ObjectKey {
    pub(crate) fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// The two kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum StoreKind {
    ClusterSecretStore,
    SecretStore,
}

impl StoreKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClusterSecretStore => "ClusterSecretStore",
            Self::SecretStore => "SecretStore",
        }
    }
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StoreKey {
    pub(crate) kind: StoreKind,
    pub(crate) object: ObjectKey,
}

impl StoreKey {
    /// The SecretStore `name` in `namespace`.
    pub(crate) fn namespaced(namespace: &str, name: &str) -> Self {
        Self { kind: StoreKind::SecretStore, object: ObjectKey::new(namespace, name) }
    }

    /// The ClusterSecretStore `name`.
    pub(crate) fn cluster(name: &str) -> Self {
        Self { kind: StoreKind::ClusterSecretStore, object: ObjectKey::new("", name) }
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.kind.as_str(), self.object)
    }
}

/// What is kept of an object whose content is not ours to keep: enough to see that it is another one, or was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) uid: Arc<str>,
    pub(crate) resource_version: Arc<str>,
}

impl Meta {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            resource_version: meta.resource_version.as_deref().unwrap_or_default().into(),
        }
    }

    /// Whether this describes an older state of the same object than `other`. Resource versions of one object are
    /// comparable integers; where one is not, nothing is said to be older.
    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        let number = |meta: &Self| meta.resource_version.parse::<u64>().ok();
        self.uid == other.uid && matches!((number(self), number(other)), (Some(a), Some(b)) if a < b)
    }
}

#[cfg(test)]
mod tests {
    use super::{Meta, ObjectKey, StoreKey};

    #[test]
    fn names_read_as_kubectl_shows_them() {
        assert_eq!(ObjectKey::new("ns", "a").to_string(), "ns/a");
        assert_eq!(StoreKey::cluster("vault").to_string(), "ClusterSecretStore \"vault\"");
        assert_eq!(StoreKey::namespaced("ns", "vault").to_string(), "SecretStore \"ns/vault\"");
    }

    #[test]
    fn only_states_of_one_object_have_an_age() {
        let meta = |uid: &str, version: &str| Meta { uid: uid.into(), resource_version: version.into() };
        assert!(meta("a", "9").is_older_than(&meta("a", "10")));
        assert!(!meta("a", "10").is_older_than(&meta("a", "9")));
        assert!(!meta("a", "9").is_older_than(&meta("b", "10")));
        assert!(!meta("a", "x").is_older_than(&meta("a", "10")));
    }
}
