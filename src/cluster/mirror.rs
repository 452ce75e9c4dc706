//! A local copy of one kind of object.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::{Arc, PoisonError, RwLock},
};

use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::ObjectKey;

/// What happened to one object.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// It is new, or differs from what we had.
    Applied { before: Option<Arc<T>>, now: Arc<T> },
    /// It is gone.
    Gone,
}

/// A local copy of one kind of object, trimmed to `T`. Cheap to clone; all clones are the same copy.
#[derive(Debug)]
pub(crate) struct Mirror<T> {
    objects: Arc<RwLock<HashMap<ObjectKey, Arc<T>>>>,
    synced: watch::Sender<bool>,
}

impl<T> Clone for Mirror<T> {
    fn clone(&self) -> Self {
        Self { objects: Arc::clone(&self.objects), synced: self.synced.clone() }
    }
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { objects: Arc::default(), synced: watch::Sender::new(false) }
    }
}

impl<T> Mirror<T> {
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Every object, in no order.
    pub(crate) fn all(&self) -> Vec<(ObjectKey, Arc<T>)> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.iter().map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns once the first complete listing is in.
    pub(crate) async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives in `self`, so waiting can only end with `true`.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    pub(crate) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// For a kind that is not watched: there is nothing to wait for.
    pub(crate) fn mark_synced(&self) {
        self.synced.send_replace(true);
    }

    /// Puts `now` in place, unless `stale` says that what we have is newer.
    pub(crate) fn put(&self, key: &ObjectKey, now: T, stale: impl Fn(&T, &T) -> bool) -> Option<Change<T>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        if objects.get(key).is_some_and(|have| stale(&now, have)) {
            return None;
        }
        let now = Arc::new(now);
        let before = objects.insert(key.clone(), Arc::clone(&now));
        Some(Change::Applied { before, now })
    }

    pub(crate) fn remove(&self, key: &ObjectKey) -> Option<Change<T>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.remove(key)?;
        if objects.capacity() > 4 * objects.len() + 64 {
            objects.shrink_to_fit();
        }
        Some(Change::Gone)
    }

    fn keys_missing_in<S: BuildHasher>(&self, listed: &HashSet<ObjectKey, S>) -> Vec<ObjectKey> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.keys().filter(|key| !listed.contains(*key)).cloned().collect()
    }
}

/// Turns watch events into changes of a [`Mirror`]: notices what vanished while the watch was down.
pub(super) struct Intake<T> {
    mirror: Mirror<T>,
    listed: HashSet<ObjectKey>,
    stale: fn(&T, &T) -> bool,
}

impl<T> Intake<T> {
    pub(super) fn new(mirror: Mirror<T>, stale: fn(&T, &T) -> bool) -> Self {
        Self { mirror, listed: HashSet::new(), stale }
    }

    pub(super) fn take(&mut self, event: Event<(ObjectKey, T)>, changed: &impl Fn(&ObjectKey, Change<T>)) {
        let tell = |key: &ObjectKey, change: Option<Change<T>>| {
            if let Some(change) = change {
                changed(key, change);
            }
        };
        match event {
            Event::Init => self.listed.clear(),
            // A listing is the truth even where it is older than what we have: the API server's storage may have
            // been restored from a backup.
            Event::InitApply((key, object)) => {
                self.listed.insert(key.clone());
                tell(&key, self.mirror.put(&key, object, |_, _| false));
            }
            Event::InitDone => {
                for key in self.mirror.keys_missing_in(&self.listed) {
                    tell(&key, self.mirror.remove(&key));
                }
                self.listed = HashSet::new();
                self.mirror.synced.send_replace(true);
            }
            Event::Apply((key, object)) => tell(&key, self.mirror.put(&key, object, self.stale)),
            Event::Delete((key, _)) => tell(&key, self.mirror.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kube::runtime::watcher::Event;

    use super::{Change, Intake, Mirror, ObjectKey};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    /// Feeds events and returns what was told, as words.
    fn told(mirror: &Mirror<u64>, events: Vec<Event<(ObjectKey, u64)>>) -> Vec<String> {
        let told = Mutex::new(Vec::new());
        let mut intake = Intake::new(mirror.clone(), |new, have| new < have);
        for event in events {
            intake.take(event, &|key, change| {
                told.lock().unwrap().push(match change {
                    Change::Applied { before, now } => format!("{} {:?}->{now}", key.name, before.as_deref()),
                    Change::Gone => format!("{} gone", key.name),
                });
            });
        }
        told.into_inner().unwrap()
    }

    #[test]
    fn what_vanished_while_the_watch_was_down_is_told() {
        let mirror = Mirror::default();
        told(
            &mirror,
            vec![Event::Init, Event::InitApply((key("a"), 1)), Event::InitApply((key("b"), 1)), Event::InitDone],
        );
        assert!(mirror.is_synced());
        let told = told(&mirror, vec![Event::Init, Event::InitApply((key("b"), 2)), Event::InitDone]);
        assert_eq!(told, ["b Some(1)->2", "a gone"]);
        assert_eq!(mirror.len(), 1);
    }

    #[test]
    fn a_late_event_does_not_undo_a_newer_state_but_a_listing_may() {
        let mirror = Mirror::default();
        told(&mirror, vec![Event::Apply((key("a"), 5))]);
        assert!(told(&mirror, vec![Event::Apply((key("a"), 4))]).is_empty());
        assert_eq!(told(&mirror, vec![Event::Init, Event::InitApply((key("a"), 3))]), ["a Some(5)->3"]);
    }

    #[test]
    fn an_incomplete_listing_removes_nothing() {
        let mirror = Mirror::default();
        told(&mirror, vec![Event::Apply((key("a"), 1))]);
        assert!(told(&mirror, vec![Event::Init, Event::Init]).is_empty());
        assert!(mirror.get(&key("a")).is_some());
    }
}
