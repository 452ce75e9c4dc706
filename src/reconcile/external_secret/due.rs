//! Whether it is time to read the backend. Pure: time and world are passed in.

use jiff::Timestamp;

use super::{
    history::History,
    slot::Slot,
    sync::{Creation, Refresh, ValidSync},
};

/// What the decision depends on besides the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) now: Timestamp,
    pub(crate) history: &'a History,
    pub(crate) target: TargetSeen,
}

/// How the target looks from outside, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetSeen {
    /// It is not there.
    Absent,
    /// It is not as we left it, or we do not know how we left it.
    Changed,
    /// It is as we left it.
    Untouched,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Now, and why.
    Fetch(Why),
    /// Not before then; `None`: not until somebody changes something.
    NotYet(Option<Timestamp>),
}

/// Why the backend is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// Spec, labels or annotations were changed since the last sync.
    Changed,
    /// It was never synced.
    New,
    /// The last attempt failed, and its pause is over.
    Retry,
    /// A store, its credential or something else that it depends on was changed.
    StoreChanged,
    /// Somebody edited the target.
    TargetChanged,
    /// Somebody deleted the target.
    TargetMissing,
    /// This tick has come.
    Tick(Timestamp),
}

impl Why {
    /// A stable word for metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Retry => "retry",
            Self::StoreChanged => "store_changed",
            Self::TargetChanged => "target_changed",
            Self::TargetMissing => "target_missing",
            Self::Tick(_) => "tick",
        }
    }
}

/// Decides.
pub(crate) fn due(want: &ValidSync, seen: &Observed<'_>) -> Due {
    let history = seen.history;
    if let Some(failure) = &history.failure {
        return match () {
            () if failure.version != want.version => Due::Fetch(Why::Changed),
            () if history.nudged => Due::Fetch(Why::StoreChanged),
            () if failure.retry_at <= seen.now => Due::Fetch(Why::Retry),
            () => Due::NotYet(Some(failure.retry_at)),
        };
    }
    let Some(synced) = &history.synced else { return Due::Fetch(Why::New) };
    // An orphan is nobody's: what others do with it between two refreshes is their business.
    match (want.target.creation, seen.target) {
        (Creation::Orphan, _) | (Creation::Owner, TargetSeen::Untouched) => {}
        // The policy removed it itself; only the backend can bring it back.
        (Creation::Owner, TargetSeen::Absent) if synced.deleted => {}
        (Creation::Owner, TargetSeen::Absent) => return Due::Fetch(Why::TargetMissing),
        (Creation::Owner, TargetSeen::Changed) => return Due::Fetch(Why::TargetChanged),
    }
    if want.refresh == Refresh::CreatedOnce {
        return Due::NotYet(None);
    }
    if synced.version != want.version {
        return Due::Fetch(Why::Changed);
    }
    if history.nudged {
        return Due::Fetch(Why::StoreChanged);
    }
    let Some(slot) = slot(want) else { return Due::NotYet(None) };
    let next = slot.due_after(synced.at);
    // A time in the future is a clock that was set back: waiting for it could take years.
    if next <= seen.now || synced.at > seen.now {
        Due::Fetch(Why::Tick(slot.latest(seen.now)))
    } else {
        Due::NotYet(Some(next))
    }
}

/// The ticks of this ExternalSecret: those of the first store that it reads.
pub(crate) fn slot(want: &ValidSync) -> Option<Slot> {
    match (want.refresh, want.sources.first()) {
        (Refresh::Periodic(interval), Some(source)) if !interval.is_zero() => Some(Slot::new(&source.store, interval)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::{super::fixtures, Due, History, Observed, TargetSeen, Why, due};
    use crate::reconcile::external_secret::{
        history::{Failure, Synced},
        sync::{Creation, Refresh, ValidSync},
    };

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn synced(version: &str, ago: i64) -> History {
        let synced = Synced { version: version.to_owned(), at: at(NOW - ago), deleted: false };
        History { synced: Some(synced), ..History::default() }
    }

    fn decide(want: &ValidSync, history: &History, target: TargetSeen) -> Due {
        due(want, &Observed { now: at(NOW), history, target })
    }

    fn hourly() -> ValidSync {
        ValidSync { refresh: Refresh::Periodic(Duration::from_secs(3600)), ..fixtures::sync() }
    }

    #[test]
    fn what_was_never_synced_is_due() {
        assert_eq!(decide(&hourly(), &History::default(), TargetSeen::Absent), Due::Fetch(Why::New));
    }

    #[test]
    fn what_was_just_synced_waits_for_its_tick() {
        let want = hourly();
        let Due::NotYet(Some(next)) = decide(&want, &synced(&want.version, 10), TargetSeen::Untouched) else {
            panic!("must wait")
        };
        assert!(next > at(NOW) && next <= at(NOW) + SignedDuration::from_mins(66));
    }

    #[test]
    fn an_old_value_is_due_and_names_its_tick() {
        let want = hourly();
        let Due::Fetch(Why::Tick(tick)) = decide(&want, &synced(&want.version, 4000), TargetSeen::Untouched) else {
            panic!("must be due")
        };
        assert!(tick <= at(NOW) && tick > at(NOW - 3600));
    }

    #[test]
    fn any_change_of_the_object_is_due() {
        assert_eq!(decide(&hourly(), &synced("old", 1), TargetSeen::Untouched), Due::Fetch(Why::Changed));
        let on_change = ValidSync { refresh: Refresh::OnChange, ..fixtures::sync() };
        assert_eq!(decide(&on_change, &synced("old", 1), TargetSeen::Untouched), Due::Fetch(Why::Changed));
        let once = ValidSync { refresh: Refresh::CreatedOnce, ..fixtures::sync() };
        assert_eq!(decide(&once, &synced("old", 1), TargetSeen::Untouched), Due::NotYet(None));
    }

    #[test]
    fn without_an_interval_only_changes_count() {
        let want = ValidSync { refresh: Refresh::Periodic(Duration::ZERO), ..fixtures::sync() };
        assert_eq!(decide(&want, &synced(&want.version, 1 << 30), TargetSeen::Untouched), Due::NotYet(None));
        assert_eq!(decide(&want, &synced("old", 1), TargetSeen::Untouched), Due::Fetch(Why::Changed));
    }

    #[test]
    fn a_target_that_was_edited_or_deleted_is_repaired_whatever_the_policy() {
        for refresh in [Refresh::CreatedOnce, Refresh::OnChange, Refresh::Periodic(Duration::ZERO)] {
            let want = ValidSync { refresh, ..fixtures::sync() };
            let history = synced(&want.version, 1);
            assert_eq!(decide(&want, &history, TargetSeen::Absent), Due::Fetch(Why::TargetMissing));
            assert_eq!(decide(&want, &history, TargetSeen::Changed), Due::Fetch(Why::TargetChanged));
        }
    }

    #[test]
    fn an_orphan_is_left_to_whoever_edits_it() {
        let mut want = hourly();
        want.target.creation = Creation::Orphan;
        assert!(matches!(decide(&want, &synced(&want.version, 1), TargetSeen::Absent), Due::NotYet(Some(_))));
    }

    #[test]
    fn a_target_that_the_policy_deleted_is_not_missed() {
        let want = hourly();
        let mut history = synced(&want.version, 1);
        history.synced.as_mut().unwrap().deleted = true;
        assert!(matches!(decide(&want, &history, TargetSeen::Absent), Due::NotYet(Some(_))));
    }

    #[test]
    fn a_changed_store_is_due_at_once() {
        let want = hourly();
        let history = History { nudged: true, ..synced(&want.version, 1) };
        assert_eq!(decide(&want, &history, TargetSeen::Untouched), Due::Fetch(Why::StoreChanged));
    }

    #[test]
    fn a_failure_waits_its_pause_unless_something_changed() {
        let want = hourly();
        let failure =
            |version: &str, wait: i64| Failure { attempts: 1, version: version.to_owned(), retry_at: at(NOW + wait) };
        let failed = |failure| History { failure: Some(failure), ..History::default() };
        let absent = TargetSeen::Absent;
        assert_eq!(decide(&want, &failed(failure(&want.version, 5)), absent), Due::NotYet(Some(at(NOW + 5))));
        assert_eq!(decide(&want, &failed(failure(&want.version, 0)), absent), Due::Fetch(Why::Retry));
        assert_eq!(decide(&want, &failed(failure("old", 5)), absent), Due::Fetch(Why::Changed));
        let nudged = History { nudged: true, ..failed(failure(&want.version, 5)) };
        assert_eq!(decide(&want, &nudged, absent), Due::Fetch(Why::StoreChanged));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_refreshes() {
        let want = hourly();
        assert!(matches!(
            decide(&want, &synced(&want.version, -9000), TargetSeen::Untouched),
            Due::Fetch(Why::Tick(_))
        ));
    }
}
