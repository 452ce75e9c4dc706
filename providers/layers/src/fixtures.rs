//! What the tests of several layers use.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use keyferry_core::{Error, ErrorKind, Locator, RemoteName};
use keyferry_testkit::Step;

use crate::{CircuitKind, CircuitState, Finished, LayerObserver, Operation};

pub(crate) fn locators<const N: usize>(names: [&str; N]) -> Vec<Locator> {
    names.into_iter().map(|name| Locator::latest(RemoteName::new(name).unwrap())).collect()
}

/// The locators `key-0`, `key-1`, …
pub(crate) fn numbered(count: usize) -> Vec<Locator> {
    (0..count).map(|number| Locator::latest(RemoteName::new(format!("key-{number}")).unwrap())).collect()
}

pub(crate) fn fail(kind: ErrorKind) -> Step {
    Step::Fail(Error::new(kind, "Memory", "Fetch", "failed by the test"))
}

/// Remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    circuits: Vec<(CircuitKind, CircuitState)>,
    ended: usize,
    finished: Vec<Finished>,
    retried: Vec<ErrorKind>,
    shared: usize,
    waits: Vec<Duration>,
}

impl Told {
    pub(crate) fn circuits(&self) -> Vec<(CircuitKind, CircuitState)> {
        self.log().circuits.clone()
    }

    pub(crate) fn ended(&self) -> usize {
        self.log().ended
    }

    pub(crate) fn finished(&self) -> Vec<Finished> {
        self.log().finished.clone()
    }

    pub(crate) fn retried(&self) -> Vec<ErrorKind> {
        self.log().retried.clone()
    }

    pub(crate) fn shared(&self) -> usize {
        self.log().shared
    }

    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.log().waits.clone()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }
}

impl LayerObserver for Told {
    fn finished(&self, what: Finished) {
        self.log().finished.push(what);
    }

    fn try_began(&self, _: &'static str, _: Operation, waited: Duration) {
        self.log().waits.push(waited);
    }

    fn try_ended(&self, _: &'static str, _: Operation) {
        self.log().ended += 1;
    }

    fn retried(&self, _: &'static str, _: Operation, because: ErrorKind) {
        self.log().retried.push(because);
    }

    fn shared(&self, _: &'static str, answers: usize) {
        self.log().shared += answers;
    }

    fn circuit_changed(&self, _: &'static str, circuit: CircuitKind, now: CircuitState) {
        self.log().circuits.push((circuit, now));
    }
}
