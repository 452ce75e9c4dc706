//! An ExternalSecret that has been checked: what the rest of the pipeline works on. It cannot be wrong.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keyferry_core::{Locator, Query};

use crate::{
    cluster::{ObjectKey, StoreKey},
    render::{Conversion, Decoding, NullBytes},
};

/// What one ExternalSecret asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValidSync {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Arc<str>,
    /// Changes with the spec and with any label or annotation; see [`super::version`].
    pub(crate) version: String,
    pub(crate) refresh: Refresh,
    pub(crate) target: Target,
    /// In the order in which later ones win.
    pub(crate) sources: Vec<Source>,
}

/// When a synced ExternalSecret is synced again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// Never, unless the target is lost.
    CreatedOnce,
    /// When the ExternalSecret changes.
    OnChange,
    /// On every tick of this length too.
    Periodic(Duration),
}

/// The Secret to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) creation: Creation,
    pub(crate) deletion: Deletion,
    /// The Secret is made immutable, and its content is never changed again.
    pub(crate) immutable: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Whose the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// Nobody's: it outlives the ExternalSecret.
    Orphan,
    /// The ExternalSecret's: it goes with it.
    Owner,
}

/// What happens when the backend says that there is no such secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Keys that are gone are removed, and with the last one the target.
    Delete,
    /// Nothing is ever removed; it is an error.
    Retain,
}

/// One entry of `data` or `dataFrom`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// Where it stands in the manifest, for messages: `spec.data[0]`.
    pub(crate) field: String,
    pub(crate) store: StoreKey,
    pub(crate) read: Read,
    pub(crate) decoding: Decoding,
    pub(crate) null_bytes: NullBytes,
}

/// What is read, and into which keys of the target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Read {
    /// Every secret that is found, each into a key of its name.
    Found(Find, Conversion),
    /// One value into one key.
    Key(Reference, String),
    /// A JSON object into as many keys as it has.
    Keys(Reference, Conversion),
}

/// One secret of a backend, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) locator: Locator,
    pub(crate) property: Option<String>,
}

/// Which secrets of a backend are wanted. All that is given must match.
#[derive(Clone, Debug)]
pub(crate) struct Find {
    /// Path and tags, which the backend narrows by.
    pub(crate) query: Query,
    /// What the name must match somewhere.
    pub(crate) name: Option<regex::Regex>,
}

impl PartialEq for Find {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |find: &Self| find.name.as_ref().map(|name| name.as_str().to_owned());
        self.query == other.query && pattern(self) == pattern(other)
    }
}

impl ValidSync {
    /// Each store that is read, once.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &StoreKey> {
        let seen = |index: usize, store: &StoreKey| self.sources[..index].iter().any(|before| before.store == *store);
        self.sources
            .iter()
            .enumerate()
            .filter(move |(index, source)| !seen(*index, &source.store))
            .map(|(_, s)| &s.store)
    }

    /// The key of the target Secret.
    pub(crate) fn target_key(&self) -> ObjectKey {
        ObjectKey::new(Arc::clone(&self.key.namespace), Arc::clone(&self.target.name))
    }
}
