//! When ticks happen.
//!
//! The phase of a tick comes from store and interval: ExternalSecrets of one store that refresh together share their
//! backend calls, and different stores are spread over the interval. Nothing has to be remembered for that, so a
//! restart changes no tick.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::StoreKey;

/// The ticks of one store and interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    phase_ms: i64,
    interval_ms: i64,
}

impl Slot {
    /// Ticks closer together than this make no sense for anybody.
    const SHORTEST_MS: i64 = 1000;

    pub(crate) fn new(store: &StoreKey, interval: Duration) -> Self {
        let interval_ms =
            i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 4).clamp(Self::SHORTEST_MS, i64::MAX / 4);
        let mut hasher = DefaultHasher::new();
        (store, interval_ms).hash(&mut hasher);
        // Both are positive and the remainder is smaller than the interval.
        let phase_ms = i64::try_from(hasher.finish() % interval_ms.unsigned_abs()).unwrap_or_default();
        Self { phase_ms, interval_ms }
    }

    /// The latest tick at or before `now`: the same to the nanosecond for all who ask between two ticks, so that they
    /// share what was read since.
    pub(crate) fn latest(self, now: Timestamp) -> Timestamp {
        let now_ms = now.as_millisecond();
        let since_tick = (now_ms - self.phase_ms).rem_euclid(self.interval_ms);
        Timestamp::from_millisecond(now_ms - since_tick).unwrap_or(now)
    }

    /// When a value that was read at `read` is due again: at the next tick, or, where that comes so soon that
    /// reading again would be waste, at the one after it. A value is thus never older than its interval + 10 %.
    pub(crate) fn due_after(self, read: Timestamp) -> Timestamp {
        let next = shifted(self.latest(read), self.interval_ms);
        let soon = next.as_millisecond() - read.as_millisecond() < self.interval_ms / 10;
        if soon { shifted(next, self.interval_ms) } else { next }
    }
}

fn shifted(time: Timestamp, by_ms: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_millis(by_ms)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::Slot;
    use crate::cluster::StoreKey;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    proptest! {
        #[test]
        fn a_value_is_due_within_its_interval_and_a_tenth(read in 0_i64..1 << 45, seconds in 1_u64..100_000) {
            let interval = Duration::from_secs(seconds);
            let slot = Slot::new(&StoreKey::namespaced("ns", "store"), interval);
            let age = slot.due_after(at(read)).as_millisecond() - read;
            let interval = i64::try_from(interval.as_millis()).unwrap();
            prop_assert!(age >= interval / 10 && age <= interval + interval / 10, "{age} of {interval}");
        }

        #[test]
        fn ticks_are_one_interval_apart(read in 1_i64 << 40..1_i64 << 45) {
            let slot = Slot::new(&StoreKey::cluster("store"), Duration::from_secs(15));
            let tick = slot.due_after(at(read));
            prop_assert_eq!(slot.latest(tick), tick);
            prop_assert_eq!(slot.due_after(tick).as_millisecond() - tick.as_millisecond(), 15_000);
        }
    }

    #[test]
    fn stores_are_spread_and_one_store_keeps_together() {
        let phases: std::collections::BTreeSet<_> = (0..100)
            .map(|n| Slot::new(&StoreKey::cluster(&n.to_string()), Duration::from_secs(3600)).phase_ms / 60_000)
            .collect();
        assert!(phases.len() > 30, "{phases:?}");
        let slot = || Slot::new(&StoreKey::cluster("a"), Duration::from_secs(60));
        assert_eq!(slot(), slot());
    }

    #[test]
    fn all_who_ask_between_two_ticks_are_told_the_same() {
        let slot = Slot::new(&StoreKey::cluster("a"), Duration::from_secs(10));
        let asked =
            |nanosecond: i128| slot.latest(Timestamp::from_nanosecond(1_800_000_000_123_000_000 + nanosecond).unwrap());
        assert_eq!(asked(1), asked(999_999));
    }

    #[test]
    fn absurd_intervals_do_no_harm() {
        let now = at(1_800_000_000_000);
        let slot = Slot::new(&StoreKey::cluster("a"), Duration::MAX);
        assert!(slot.due_after(now) > now);
        let slot = Slot::new(&StoreKey::cluster("a"), Duration::from_nanos(1));
        assert!(slot.due_after(now).as_millisecond() - now.as_millisecond() >= 100);
    }
}
