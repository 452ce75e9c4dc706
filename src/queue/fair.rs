//! The queue as pure data: no clock, no task.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
};

use tokio::time::Instant;

/// How urgent a reconcile is; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Somebody waits: the object, or something that it depends on, is new or was changed.
    Changed,
    /// An earlier attempt failed.
    Retry,
    /// Its time has come.
    Refresh,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Changed, Self::Retry, Self::Refresh];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Retry => "retry",
            Self::Refresh => "refresh",
        }
    }
}

/// Lanes of one class take turns. `group` is what a stuck backend would block: the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane<G> {
    pub(crate) group: G,
    pub(crate) tenant: std::sync::Arc<str>,
}

/// One object to reconcile now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job<K> {
    pub(crate) key: K,
    pub(crate) class: Class,
    /// When it became ready to run.
    pub(crate) since: Instant,
}

#[derive(Debug)]
struct Entry<G> {
    lane: Lane<G>,
    ready: Option<(Class, Instant)>,
    at: Option<(Instant, Class)>,
    /// The group that it counts against while it runs.
    running: Option<G>,
}

/// Every so often the least urgent class goes first, so that a tenant who changes objects all the time delays the
/// refreshes of others but never stops them.
const LEAST_URGENT_FIRST_EVERY: u32 = 8;

/// A queue over keys `K` in lanes of groups `G`.
#[derive(Debug)]
pub(super) struct FairQueue<K, G> {
    entries: HashMap<K, Entry<G>>,
    /// For each class the lanes that have something ready, in turn, and what is ready in each.
    turns: [VecDeque<Lane<G>>; 3],
    ready: HashMap<(Class, Lane<G>), VecDeque<K>>,
    timers: BTreeSet<(Instant, K)>,
    running: HashMap<G, usize>,
    most_per_group: usize,
    popped: u32,
    depth: usize,
}

impl<K: Clone + Eq + Hash + Ord, G: Clone + Eq + Hash> FairQueue<K, G> {
    pub(super) fn new(most_per_group: usize) -> Self {
        Self {
            entries: HashMap::new(),
            turns: Default::default(),
            ready: HashMap::new(),
            timers: BTreeSet::new(),
            running: HashMap::new(),
            most_per_group,
            popped: 0,
            depth: 0,
        }
    }

    /// Makes `key` ready now. Where it is ready already, the more urgent class counts; where it is running, it will
    /// run once more.
    pub(super) fn wake(&mut self, key: &K, lane: Lane<G>, class: Class, now: Instant) {
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            lane: lane.clone(),
            ready: None,
            at: None,
            running: None,
        });
        if let Some((at, _)) = entry.at.take() {
            self.timers.remove(&(at, key.clone()));
        }
        match entry.ready {
            Some((have, _)) if have <= class => {}
            Some((have, since)) => {
                let old = (have, entry.lane.clone());
                entry.ready = Some((class, since));
                entry.lane = lane.clone();
                if entry.running.is_none() {
                    self.unlist(&old, key);
                    self.list(class, lane, key.clone());
                }
            }
            None => {
                entry.ready = Some((class, now));
                entry.lane = lane.clone();
                if entry.running.is_none() {
                    self.list(class, lane, key.clone());
                }
            }
        }
    }

    /// The next object to run, which is running from now on until [`FairQueue::finish`].
    pub(super) fn pop(&mut self, now: Instant) -> Option<Job<K>> {
        self.ripen(now);
        self.popped = self.popped.wrapping_add(1);
        let mut order = [0, 1, 2];
        if self.popped.is_multiple_of(LEAST_URGENT_FIRST_EVERY) {
            order.reverse();
        }
        order.into_iter().find_map(|class| self.pop_class(Class::ALL[class]))
    }

    fn pop_class(&mut self, class: Class) -> Option<Job<K>> {
        let turns = self.turns[class as usize].len();
        for _ in 0..turns {
            let lane = self.turns[class as usize].pop_front()?;
            if self.running.get(&lane.group).is_some_and(|running| *running >= self.most_per_group) {
                self.turns[class as usize].push_back(lane);
                continue;
            }
            let slot = (class, lane.clone());
            let key = self.ready.get_mut(&slot).and_then(VecDeque::pop_front);
            if self.ready.get(&slot).is_some_and(|keys| !keys.is_empty()) {
                self.turns[class as usize].push_back(lane.clone());
            } else {
                self.ready.remove(&slot);
            }
            let Some(key) = key else { continue };
            self.depth -= 1;
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Some((class, since)) = entry.ready.take() else { continue };
            entry.running = Some(lane.group.clone());
            *self.running.entry(lane.group).or_default() += 1;
            return Some(Job { key, class, since });
        }
        None
    }

    /// The object has run and wants to run again at `next`, unless it was woken meanwhile: then it is ready at once.
    pub(super) fn finish(&mut self, key: &K, next: Option<(Instant, Class)>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(group) = entry.running.take()
            && let Some(running) = self.running.get_mut(&group)
        {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&group);
            }
        }
        if let Some((class, _)) = entry.ready {
            let lane = entry.lane.clone();
            self.list(class, lane, key.clone());
        } else if let Some((at, class)) = next {
            entry.at = Some((at, class));
            self.timers.insert((at, key.clone()));
        } else {
            self.entries.remove(key);
        }
    }

    /// When [`FairQueue::pop`] may find something that is not ready yet.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many are ready and wait.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    fn ripen(&mut self, now: Instant) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((at, key)) = self.timers.pop_first() else { return };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Some((_, class)) = entry.at.take() else { continue };
            entry.ready = Some((class, at));
            let lane = entry.lane.clone();
            self.list(class, lane, key);
        }
    }

    fn list(&mut self, class: Class, lane: Lane<G>, key: K) {
        let keys = self.ready.entry((class, lane.clone())).or_default();
        if keys.is_empty() {
            self.turns[class as usize].push_back(lane);
        }
        keys.push_back(key);
        self.depth += 1;
    }

    fn unlist(&mut self, slot: &(Class, Lane<G>), key: &K) {
        let Some(keys) = self.ready.get_mut(slot) else { return };
        if let Some(place) = keys.iter().position(|have| have == key) {
            keys.remove(place);
            self.depth -= 1;
        }
        if keys.is_empty() {
            self.ready.remove(slot);
            self.turns[slot.0 as usize].retain(|lane| *lane != slot.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{Class, FairQueue, Lane};

    type Queue = FairQueue<&'static str, &'static str>;

    fn lane(group: &'static str) -> Lane<&'static str> {
        Lane { group, tenant: "ns".into() }
    }

    fn pops(queue: &mut Queue, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop(now).map(|job| job.key)).collect()
    }

    #[test]
    fn changes_go_before_retries_and_refreshes() {
        let (mut queue, now) = (Queue::new(9), Instant::now());
        queue.wake(&"refresh", lane("a"), Class::Refresh, now);
        queue.wake(&"retry", lane("a"), Class::Retry, now);
        queue.wake(&"new", lane("a"), Class::Changed, now);
        assert_eq!(pops(&mut queue, now), ["new", "retry", "refresh"]);
        assert_eq!(queue.depth(), 0);
    }

    #[test]
    fn lanes_take_turns() {
        let (mut queue, now) = (Queue::new(9), Instant::now());
        for key in ["a1", "a2", "a3"] {
            queue.wake(&key, lane("a"), Class::Changed, now);
        }
        queue.wake(&"b1", lane("b"), Class::Changed, now);
        assert_eq!(pops(&mut queue, now), ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn a_group_keeps_to_its_share_and_the_others_go_on() {
        let (mut queue, now) = (Queue::new(1), Instant::now());
        for key in ["a1", "a2"] {
            queue.wake(&key, lane("a"), Class::Changed, now);
        }
        queue.wake(&"b1", lane("b"), Class::Refresh, now);
        assert_eq!(pops(&mut queue, now), ["a1", "b1"]);
        queue.finish(&"a1", None);
        assert_eq!(pops(&mut queue, now), ["a2"]);
    }

    #[test]
    fn a_flood_of_changes_does_not_stop_refreshes() {
        let (mut queue, now) = (FairQueue::<usize, &str>::new(1000), Instant::now());
        queue.wake(&1000, lane("b"), Class::Refresh, now);
        for key in 0..100 {
            queue.wake(&key, lane("a"), Class::Changed, now);
        }
        let first: Vec<_> = (0..8).filter_map(|_| queue.pop(now)).map(|job| job.key).collect();
        assert!(first.contains(&1000), "{first:?}");
    }

    #[test]
    fn woken_while_running_it_runs_once_more_and_never_twice_at_a_time() {
        let (mut queue, now) = (Queue::new(9), Instant::now());
        queue.wake(&"a", lane("a"), Class::Changed, now);
        assert_eq!(pops(&mut queue, now), ["a"]);
        queue.wake(&"a", lane("a"), Class::Refresh, now);
        queue.wake(&"a", lane("a"), Class::Changed, now);
        assert_eq!(pops(&mut queue, now), [""; 0]);
        queue.finish(&"a", Some((now + Duration::from_secs(60), Class::Refresh)));
        assert_eq!(queue.pop(now).map(|job| job.class), Some(Class::Changed));
        queue.finish(&"a", None);
        assert_eq!(pops(&mut queue, now), [""; 0]);
    }

    #[test]
    fn a_timer_makes_ready_and_a_wake_replaces_the_timer() {
        let (mut queue, now) = (Queue::new(9), Instant::now());
        let later = now + Duration::from_secs(5);
        queue.wake(&"a", lane("a"), Class::Changed, now);
        queue.pop(now);
        queue.finish(&"a", Some((later, Class::Refresh)));
        assert_eq!(queue.next_timer(), Some(later));
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.pop(later).map(|job| (job.class, job.since)), Some((Class::Refresh, later)));
        queue.finish(&"a", Some((later, Class::Refresh)));
        queue.wake(&"a", lane("a"), Class::Changed, now);
        assert_eq!(queue.next_timer(), None);
        assert_eq!(pops(&mut queue, later), ["a"]);
    }

    proptest! {
        /// Whatever happens in whatever order: nothing that was woken is forgotten, nothing runs twice at a time.
        #[test]
        fn nothing_is_forgotten_or_doubled(steps in proptest::collection::vec((0_u8..4, 0_usize..6, 0_usize..3), 1..200)) {
            let now = Instant::now();
            let mut queue = FairQueue::<usize, usize>::new(2);
            let (mut running, mut owed) = (HashSet::new(), HashSet::new());
            for (step, key, class) in steps {
                match step {
                    0 | 1 => {
                        queue.wake(&key, Lane { group: key % 2, tenant: "t".into() }, Class::ALL[class], now);
                        owed.insert(key);
                    }
                    2 => {
                        if let Some(job) = queue.pop(now) {
                            prop_assert!(running.insert(job.key));
                            prop_assert!(owed.remove(&job.key));
                        }
                    }
                    _ => {
                        if running.remove(&key) {
                            queue.finish(&key, None);
                        }
                    }
                }
            }
            for key in running.drain() {
                queue.finish(&key, None);
            }
            while let Some(job) = queue.pop(now) {
                prop_assert!(owed.remove(&job.key));
                queue.finish(&job.key, None);
            }
            prop_assert!(owed.is_empty());
            prop_assert_eq!(queue.depth(), 0);
            prop_assert!(queue.entries.is_empty() && queue.running.is_empty() && queue.timers.is_empty());
        }
    }
}
