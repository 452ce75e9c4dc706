//! Who asks for what, what is under way, and what was answered. Starts nothing itself.

use std::{
    collections::{HashMap, VecDeque},
    iter,
    sync::{Arc, Weak},
};

use futures::{FutureExt, future::Shared};
use keyferry_core::{Error, Fetched, Locator, Result};
use tokio::{sync::oneshot, time::Instant};

use super::kept::Kept;

pub(super) type Answer = Result<Arc<Fetched>>;

/// What everybody who waits for one answer waits for.
pub(super) type Promise = Shared<oneshot::Receiver<Answer>>;

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Ask {
    /// Here is the answer.
    Answered(Answer),
    /// An older call about the same is under way; [`Desk::release`] it when that has ended.
    Behind { promise: Promise, older: Promise },
    /// Somebody else asked the same.
    Joined(Promise),
    /// It can depart.
    Ready(Promise),
}

#[derive(Debug)]
pub(super) struct Desk {
    batch: usize,
    kept: Kept,
    /// The newest call about each locator.
    under_way: HashMap<Locator, UnderWay>,
    waiting: HashMap<Locator, Waiting>,
    /// Which of those that wait can depart.
    ready: VecDeque<Locator>,
    gathering: bool,
    sweeping: bool,
}

#[derive(Debug)]
struct UnderWay {
    began: Instant,
    promise: Promise,
    /// Gone when the task that makes the call is gone, be it through a panic.
    task: Weak<()>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    promise: Promise,
}

/// One call to the backend.
#[derive(Debug)]
pub(super) struct Departure {
    began: Instant,
    locators: Vec<Locator>,
    answers: Vec<oneshot::Sender<Answer>>,
    task: Arc<()>,
}

impl Departure {
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn locators(&self) -> &[Locator] {
        &self.locators
    }
}

impl Desk {
    pub(super) fn new(batch: usize) -> Self {
        Self {
            batch,
            kept: Kept::default(),
            under_way: HashMap::new(),
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            gathering: false,
            sweeping: false,
        }
    }

    /// Somebody wants an answer about `locator` from a call that began at `since` or later.
    pub(super) fn ask(&mut self, locator: &Locator, since: Instant, now: Instant) -> Ask {
        if let Some(answer) = self.kept.get(locator, since, now) {
            return Ask::Answered(answer);
        }
        let older = self.under_way.get(locator).filter(|call| call.task.strong_count() > 0);
        if let Some(call) = older
            && call.began >= since
        {
            return Ask::Joined(call.promise.clone());
        }
        if let Some(waiting) = self.waiting.get(locator) {
            return Ask::Joined(waiting.promise.clone());
        }
        let (answer, promise) = oneshot::channel();
        let promise = promise.shared();
        self.waiting.insert(locator.clone(), Waiting { answer, promise: promise.clone() });
        if let Some(call) = older {
            return Ask::Behind { promise, older: call.promise.clone() };
        }
        self.ready.push_back(locator.clone());
        Ask::Ready(promise)
    }

    /// What was held back can depart.
    pub(super) fn release(&mut self, locator: Locator) {
        self.ready.push_back(locator);
    }

    /// The calls to make now: as many whole batches as there are, and with `rest` one more for what remains.
    pub(super) fn departures(&mut self, rest: bool, now: Instant) -> Vec<Departure> {
        let mut departures = Vec::new();
        while self.ready.len() >= self.batch || (rest && !self.ready.is_empty()) {
            departures.push(self.departure(now));
        }
        departures
    }

    fn departure(&mut self, now: Instant) -> Departure {
        let task = Arc::new(());
        let mut departure = Departure { began: now, locators: Vec::new(), answers: Vec::new(), task };
        for locator in self.ready.drain(..self.batch.min(self.ready.len())) {
            let Some(Waiting { answer, promise }) = self.waiting.remove(&locator) else { continue };
            let task = Arc::downgrade(&departure.task);
            self.under_way.insert(locator.clone(), UnderWay { began: now, promise, task });
            departure.locators.push(locator);
            departure.answers.push(answer);
        }
        departure
    }

    /// A call has ended. Where it has no answer about a locator, that is `missing`.
    pub(super) fn arrive(
        &mut self,
        departure: Departure,
        answers: Vec<Answer>,
        missing: impl Fn() -> Error,
        now: Instant,
    ) {
        let Departure { began, locators, answers: waiting, task } = departure;
        let answers = answers.into_iter().chain(iter::repeat_with(|| Err(missing())));
        for ((locator, waiting), answer) in locators.into_iter().zip(waiting).zip(answers) {
            if self.under_way.get(&locator).is_some_and(|call| call.task.as_ptr() == Arc::as_ptr(&task)) {
                self.under_way.remove(&locator);
            }
            self.kept.put(locator, began, &answer, now);
            // Nobody may be waiting any more.
            let _ = waiting.send(answer);
        }
    }

    /// Whether somebody has to see to it that the rest departs, some time soon.
    pub(super) fn begins_to_gather(&mut self) -> bool {
        let begins = !self.gathering && !self.ready.is_empty();
        self.gathering |= begins;
        begins
    }

    pub(super) fn has_gathered(&mut self) {
        self.gathering = false;
    }

    /// Whether somebody has to call [`Desk::sweep`] from now on.
    pub(super) fn begins_to_sweep(&mut self) -> bool {
        let begins = !self.sweeping && !self.kept.is_empty();
        self.sweeping |= begins;
        begins
    }

    /// Drops what nobody needs any more. Returns whether there is something left to be swept later.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        self.kept.sweep(now);
        self.under_way.retain(|_, call| call.task.strong_count() > 0);
        self.sweeping = !self.kept.is_empty();
        self.sweeping
    }
}
