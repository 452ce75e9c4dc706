//! Who hears of what the layers do.

use std::{fmt::Debug, time::Duration};

use keyferry_core::{ErrorKind, Unobserved};

/// Told of what the layers do, for metrics. Every argument is one of a few words or a number: no names of stores,
/// keys or objects. Nothing in here may block.
pub trait LayerObserver: Debug + Send + Sync + 'static {
    /// An operation has ended, as its caller sees it.
    fn finished(&self, what: Finished);

    /// A try has begun, after waiting this long for its turn. [`LayerObserver::try_ended`] follows, also when the
    /// try is given up: the difference of the two counts is what is in flight.
    fn try_began(&self, provider: &'static str, operation: Operation, waited: Duration);

    /// A try has ended.
    fn try_ended(&self, provider: &'static str, operation: Operation);

    /// Another try will be made, because of a failure of this kind.
    fn retried(&self, provider: &'static str, operation: Operation, because: ErrorKind);

    /// So many answers were shared with a caller, and cost no call of their own.
    fn shared(&self, provider: &'static str, answers: usize);

    /// A circuit is in another state now.
    fn circuit_changed(&self, provider: &'static str, circuit: CircuitKind, now: CircuitState);
}

/// An operation that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// [`keyferry_core::Provider::name`].
    pub provider: &'static str,
    /// What was asked.
    pub operation: Operation,
    /// How it ended; a fetch of several locators failed when one of them failed.
    pub outcome: Result<(), ErrorKind>,
    /// With all waits and repetitions.
    pub took: Duration,
}

/// The methods of a provider that ask the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// [`keyferry_core::Provider::check`]
    Check,
    /// [`keyferry_core::Provider::fetch`]
    Fetch,
    /// [`keyferry_core::Provider::list`]
    List,
}

impl Operation {
    /// A stable word for metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Fetch => "fetch",
            Self::List => "list",
        }
    }

    /// The word for errors that come from a layer and not from the backend.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Check => "Check",
            Self::Fetch => "Fetch",
            Self::List => "List",
        }
    }
}

/// What a circuit watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CircuitKind {
    /// Whether the login of one provider is accepted.
    Login,
    /// Whether the store's backend answers at all.
    Reach,
}

impl CircuitKind {
    /// A stable word for metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Reach => "reach",
        }
    }
}

/// Whether calls go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CircuitState {
    /// They do.
    Closed,
    /// They are answered at once, except for one from time to time.
    Open,
}

impl CircuitState {
    /// A stable word for metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

impl LayerObserver for Unobserved {
    fn finished(&self, _: Finished) {}

    fn try_began(&self, _: &'static str, _: Operation, _: Duration) {}

    fn try_ended(&self, _: &'static str, _: Operation) {}

    fn retried(&self, _: &'static str, _: Operation, _: ErrorKind) {}

    fn shared(&self, _: &'static str, _: usize) {}

    fn circuit_changed(&self, _: &'static str, _: CircuitKind, _: CircuitState) {}
}
