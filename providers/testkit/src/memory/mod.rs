//! A backend in memory whose behaviour the test writes: values, latency, failures, black holes.

mod provider;
mod subject;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_core::{Capabilities, Error, Locator, Provider, RemoteName, SecretBytes};
use tokio::time::Instant;

pub use subject::MemorySubject;

/// The backend, seen from the side of the test. Clones are the same backend.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// What becomes of a call instead of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// It fails.
    Fail(Error),
    /// It never ends.
    Hang,
    /// It panics.
    Panic,
}

/// A call that reached the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// `Check`, `Fetch`, `List`.
    pub operation: &'static str,
    /// What a fetch asked for.
    pub at: Vec<Locator>,
    /// When it began.
    pub when: Instant,
}

struct State {
    capabilities: Capabilities,
    secrets: BTreeMap<RemoteName, Secret>,
    latency: Duration,
    forgetful: bool,
    script: VecDeque<Step>,
    always: Option<Step>,
    sick: HashMap<RemoteName, VecDeque<Step>>,
    login: Login,
    calls: Vec<Called>,
    in_flight: usize,
    most_in_flight: usize,
}

#[derive(Default)]
struct Secret {
    versions: Vec<SecretBytes>,
    tags: BTreeMap<String, String>,
    denied: bool,
}

#[derive(Default)]
struct Login {
    holds: bool,
    refused: bool,
    count: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty backend that can do everything, except for batches.
    pub fn new() -> Self {
        let capabilities = Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: true,
            find_by_tags: true,
            list: true,
            metadata: true,
            properties: false,
            versions: true,
        };
        Self(Arc::new(Mutex::new(State {
            capabilities,
            secrets: BTreeMap::new(),
            latency: Duration::ZERO,
            forgetful: false,
            script: VecDeque::new(),
            always: None,
            sick: HashMap::new(),
            login: Login::default(),
            calls: Vec::new(),
            in_flight: 0,
            most_in_flight: 0,
        })))
    }

    /// The same backend, holding `text` at `name`.
    ///
    /// # Panics
    /// When `name` is empty.
    #[must_use]
    pub fn with(self, name: &str, text: &str) -> Self {
        self.put_text(name, text);
        self
    }

    /// The same backend, answering so many locators with one call.
    ///
    /// # Panics
    /// When `size` is zero.
    #[must_use]
    pub fn batch(self, size: usize) -> Self {
        self.state().capabilities.batch = NonZeroUsize::new(size).expect("at least one");
        self
    }

    /// The same backend, taking this long for each call.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        self.state().latency = latency;
        self
    }

    /// The same backend, whose next calls end like this, one after the other, and those after them normally.
    #[must_use]
    pub fn script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.state().script.extend(steps);
        self
    }

    /// The same backend, whose calls all end like this.
    #[must_use]
    pub fn always(self, step: Step) -> Self {
        self.break_with(step);
        self
    }

    /// The same backend, which fails so often on this one name.
    ///
    /// # Panics
    /// When `name` is empty.
    #[must_use]
    pub fn sick(self, name: &str, step: Step, times: usize) -> Self {
        let steps = std::iter::repeat_n(step, times);
        self.state().sick.entry(remote(name)).or_default().extend(steps);
        self
    }

    /// The same backend, with the bug that its batches lack the last answer.
    #[must_use]
    pub fn forgetful(self) -> Self {
        self.state().forgetful = true;
        self
    }

    /// From now on all calls end like this.
    pub fn break_with(&self, step: Step) {
        self.state().always = Some(step);
    }

    /// From now on all calls are answered.
    pub fn mend(&self) {
        let mut state = self.state();
        state.always = None;
        state.script.clear();
        state.sick.clear();
    }

    /// Adds a version to `name`.
    ///
    /// # Panics
    /// When `name` is empty.
    pub fn put_text(&self, name: &str, text: &str) {
        self.state().secrets.entry(remote(name)).or_default().versions.push(SecretBytes::from(text));
    }

    /// The backend, seen from the side of its callers.
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.clone())
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Called> {
        self.state().calls.clone()
    }

    /// How many calls there were at most at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remote(name: &str) -> RemoteName {
    RemoteName::new(name).expect("a name")
}
