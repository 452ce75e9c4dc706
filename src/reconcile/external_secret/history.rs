//! What happened to an ExternalSecret so far.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What [`super::due::due`] needs to know of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// The last success, in this process or, after a restart, as the status tells it.
    pub(crate) synced: Option<Synced>,
    /// The failure that came after it.
    pub(crate) failure: Option<Failure>,
    /// Something that it depends on was changed since the last attempt.
    pub(crate) nudged: bool,
}

/// A success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    /// [`super::sync::ValidSync::version`] at that time.
    pub(crate) version: String,
    /// When it began, so that the value is at least this new.
    pub(crate) at: Timestamp,
    /// The deletion policy removed the target.
    pub(crate) deleted: bool,
}

/// One or more failures in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How many in a row.
    pub(crate) attempts: u32,
    /// The version that failed; a new one is tried at once.
    pub(crate) version: String,
    /// When it is tried again.
    pub(crate) retry_at: Timestamp,
}

/// `time` and `pause`, or the end of time.
pub(crate) fn after(time: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}
