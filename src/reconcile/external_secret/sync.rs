//! An ExternalSecret that has been checked: what the rest of the pipeline works on. It cannot be wrong.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keyferry_core::Locator;

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
    pub(crate) locator: Locator,
    pub(crate) property: Option<String>,
    pub(crate) decoding: Decoding,
    pub(crate) null_bytes: NullBytes,
    pub(crate) into: Into,
}

/// Where what was read goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Into {
    /// One key of the target.
    Key(String),
    /// As many keys as the JSON object has.
    Keys(Conversion),
}

impl ValidSync {
    /// Each store that is read, once.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &StoreKey> {
        let seen = |index: usize, store: &StoreKey| self.sources[..index].iter().any(|before| before.store == *store);
        self.sources.iter().enumerate().filter(move |(index, source)| !seen(*index, &source.store)).map(|(_, s)| &s.store)
    }

    /// The key of the target Secret.
    pub(crate) fn target_key(&self) -> ObjectKey {
        ObjectKey::new(Arc::clone(&self.key.namespace), Arc::clone(&self.target.name))
    }
}
