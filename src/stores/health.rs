//! Which stores work at the moment, as far as this process knows.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::cluster::StoreKey;

/// The last word of the store's own check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It works.
    Ready,
    /// It does not, and why. Nobody need try meanwhile: the check tells when it does again.
    NotReady(String),
}

/// Health of every store that was checked.
#[derive(Debug, Default)]
pub(crate) struct HealthTable(Mutex<HashMap<StoreKey, Health>>);

impl HealthTable {
    /// Whether objects may use the store. A store that was not checked yet may be used: the first sync is not made
    /// to wait for a check that would say the same.
    pub(crate) fn obstacle(&self, store: &StoreKey) -> Option<String> {
        match self.table().get(store) {
            Some(Health::NotReady(why)) => Some(why.clone()),
            Some(Health::Ready) | None => None,
        }
    }

    /// Takes note. Returns whether the store works now and did not, or was not known to, before.
    pub(crate) fn set(&self, store: &StoreKey, health: Health) -> bool {
        let ready = health == Health::Ready;
        let before = self.table().insert(store.clone(), health);
        ready && before != Some(Health::Ready)
    }

    pub(crate) fn forget(&self, store: &StoreKey) {
        self.table().remove(store);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<StoreKey, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, HealthTable};
    use crate::cluster::StoreKey;

    #[test]
    fn recovery_is_told_once() {
        let (table, store) = (HealthTable::default(), StoreKey::cluster("s"));
        assert_eq!(table.obstacle(&store), None);
        assert!(!table.set(&store, Health::NotReady("down".into())));
        assert_eq!(table.obstacle(&store).as_deref(), Some("down"));
        assert!(table.set(&store, Health::Ready));
        assert!(!table.set(&store, Health::Ready));
        table.forget(&store);
        assert!(table.set(&store, Health::Ready));
    }
}
