//! What the tests of this folder start from.

use std::{collections::BTreeMap, time::Duration};

use keyferry_core::{Locator, RemoteName};

use super::sync::{Creation, Deletion, Read, Reference, Refresh, Source, Target, ValidSync};
use crate::{
    cluster::{ObjectKey, StoreKey},
    render::{Decoding, NullBytes},
};

/// One key of one SecretStore, owned, hourly.
pub(crate) fn sync() -> ValidSync {
    ValidSync {
        key: ObjectKey::new("app", "db"),
        uid: "es-uid".into(),
        version: "1-abc".into(),
        refresh: Refresh::Periodic(Duration::from_secs(3600)),
        target: Target {
            name: "db".into(),
            creation: Creation::Owner,
            deletion: Deletion::Retain,
            immutable: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        sources: vec![source("spec.data[0]", "password")],
    }
}

/// One entry of `data`.
pub(crate) fn source(field: &str, key: &str) -> Source {
    Source {
        field: field.to_owned(),
        store: StoreKey::namespaced("app", "store"),
        read: Read::Key(reference(), key.to_owned()),
        decoding: Decoding::None,
        null_bytes: NullBytes::Ignore,
    }
}

/// The whole of one secret.
pub(crate) fn reference() -> Reference {
    Reference { locator: Locator::latest(RemoteName::new("prod/db").expect("not empty")), property: None }
}
