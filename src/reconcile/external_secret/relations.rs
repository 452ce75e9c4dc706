//! Which ExternalSecrets depend on what.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::cluster::{ObjectKey, StoreKey};

/// What one ExternalSecret is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ties {
    pub(crate) stores: Vec<StoreKey>,
    /// The Secret that it writes.
    pub(crate) target: ObjectKey,
    /// Older ExternalSecrets come first where two want one target.
    pub(crate) created: Timestamp,
}

/// The ties of all ExternalSecrets, in both directions.
#[derive(Debug, Default)]
pub(crate) struct Relations(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    ties: HashMap<ObjectKey, Ties>,
    by_store: HashMap<StoreKey, BTreeSet<ObjectKey>>,
    /// Claimants of each target, the oldest first.
    by_target: HashMap<ObjectKey, BTreeSet<(Timestamp, ObjectKey)>>,
}

impl Relations {
    /// Sets the ties of `key`. Returns who else must be looked at: rivals for a target that it gave up.
    pub(crate) fn tie(&self, key: &ObjectKey, ties: Ties) -> Vec<ObjectKey> {
        let mut index = self.index();
        if index.ties.get(key) == Some(&ties) {
            return Vec::new();
        }
        let rivals = index.untie(key);
        for store in &ties.stores {
            index.by_store.entry(store.clone()).or_default().insert(key.clone());
        }
        index.by_target.entry(ties.target.clone()).or_default().insert((ties.created, key.clone()));
        index.ties.insert(key.clone(), ties);
        rivals
    }

    /// Forgets `key`. Returns the rivals for the target that it held.
    pub(crate) fn untie(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.index().untie(key)
    }

    /// Who reads this store.
    pub(crate) fn readers(&self, store: &StoreKey) -> Vec<ObjectKey> {
        self.index().by_store.get(store).into_iter().flatten().cloned().collect()
    }

    /// Who writes this Secret.
    pub(crate) fn writers(&self, target: &ObjectKey) -> Vec<ObjectKey> {
        let index = self.index();
        index.by_target.get(target).into_iter().flatten().map(|(_, key)| key.clone()).collect()
    }

    /// The older ExternalSecret that has the target which `key` wants.
    pub(crate) fn rival(&self, key: &ObjectKey, target: &ObjectKey) -> Option<ObjectKey> {
        self.writers(target).into_iter().next().filter(|first| first != key)
    }

    /// The first store of `key`, by whose lane it is queued.
    pub(crate) fn first_store(&self, key: &ObjectKey) -> Option<StoreKey> {
        self.index().ties.get(key).and_then(|ties| ties.stores.first().cloned())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn untie(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        let Some(ties) = self.ties.remove(key) else { return Vec::new() };
        for store in &ties.stores {
            if let Some(readers) = self.by_store.get_mut(store) {
                readers.remove(key);
                if readers.is_empty() {
                    self.by_store.remove(store);
                }
            }
        }
        let Some(writers) = self.by_target.get_mut(&ties.target) else { return Vec::new() };
        writers.remove(&(ties.created, key.clone()));
        let rivals: Vec<_> = writers.iter().map(|(_, key)| key.clone()).collect();
        if rivals.is_empty() {
            self.by_target.remove(&ties.target);
        }
        rivals
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Relations, Ties};
    use crate::cluster::{ObjectKey, StoreKey};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("app", name)
    }

    fn ties(store: &str, target: &str, created: i64) -> Ties {
        Ties {
            stores: vec![StoreKey::cluster(store)],
            target: key(target),
            created: Timestamp::from_second(created).unwrap(),
        }
    }

    #[test]
    fn the_oldest_has_the_target_and_the_next_gets_it() {
        let relations = Relations::default();
        relations.tie(&key("young"), ties("s", "t", 2));
        relations.tie(&key("old"), ties("s", "t", 1));
        assert_eq!(relations.rival(&key("young"), &key("t")), Some(key("old")));
        assert_eq!(relations.rival(&key("old"), &key("t")), None);
        assert_eq!(relations.untie(&key("old")), [key("young")]);
        assert_eq!(relations.rival(&key("young"), &key("t")), None);
    }

    #[test]
    fn readers_follow_the_store_reference() {
        let relations = Relations::default();
        relations.tie(&key("a"), ties("one", "t", 1));
        assert_eq!(relations.readers(&StoreKey::cluster("one")), [key("a")]);
        relations.tie(&key("a"), ties("two", "t", 1));
        assert!(relations.readers(&StoreKey::cluster("one")).is_empty());
        assert_eq!(relations.first_store(&key("a")), Some(StoreKey::cluster("two")));
        relations.untie(&key("a"));
        assert!(relations.readers(&StoreKey::cluster("two")).is_empty());
        let index = relations.index();
        assert!(index.ties.is_empty() && index.by_store.is_empty() && index.by_target.is_empty());
    }
}
