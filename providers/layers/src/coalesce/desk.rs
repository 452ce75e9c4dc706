//! Who asks for what, what is under way, and what was answered. Starts nothing itself.

use std::{
    collections::{HashMap, VecDeque},
    iter,
    sync::{Arc, Weak},
};

use futures::{FutureExt, future::Shared};
use keyferry_core::{Error, Result};
use tokio::{sync::oneshot, time::Instant};

use super::{kept::Kept, question::Question};

pub(super) type Answer<Q> = Result<<Q as Question>::Answer>;

/// What everybody who waits for one answer waits for.
pub(super) type Promise<Q> = Shared<oneshot::Receiver<Answer<Q>>>;

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Ask<Q: Question> {
    /// Here is the answer.
    Answered(Answer<Q>),
    /// An older call about the same is under way; [`Desk::release`] it when that has ended.
    Behind { promise: Promise<Q>, older: Promise<Q> },
    /// Somebody else asked the same.
    Joined(Promise<Q>),
    /// It can depart.
    Ready(Promise<Q>),
}

#[derive(Debug)]
pub(super) struct Desk<Q: Question> {
    batch: usize,
    kept: Kept<Q>,
    /// The newest call about each question.
    under_way: HashMap<Q, UnderWay<Q>>,
    waiting: HashMap<Q, Waiting<Q>>,
    /// Which of those that wait can depart.
    ready: VecDeque<Q>,
    gathering: bool,
    sweeping: bool,
}

#[derive(Debug)]
struct UnderWay<Q: Question> {
    began: Instant,
    promise: Promise<Q>,
    /// Gone when the task that makes the call is gone, be it through a panic.
    task: Weak<()>,
}

#[derive(Debug)]
struct Waiting<Q: Question> {
    answer: oneshot::Sender<Answer<Q>>,
    promise: Promise<Q>,
}

/// One call to the backend.
#[derive(Debug)]
pub(super) struct Departure<Q: Question> {
    began: Instant,
    questions: Vec<Q>,
    answers: Vec<oneshot::Sender<Answer<Q>>>,
    task: Arc<()>,
}

impl<Q: Question> Departure<Q> {
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn questions(&self) -> &[Q] {
        &self.questions
    }
}

impl<Q: Question> Desk<Q> {
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

    /// Somebody wants an answer to `question` from a call that began at `since` or later.
    pub(super) fn ask(&mut self, question: &Q, since: Instant, now: Instant) -> Ask<Q> {
        if let Some(answer) = self.kept.get(question, since, now) {
            return Ask::Answered(answer);
        }
        let older = self.under_way.get(question).filter(|call| call.task.strong_count() > 0);
        if let Some(call) = older
            && call.began >= since
        {
            return Ask::Joined(call.promise.clone());
        }
        if let Some(waiting) = self.waiting.get(question) {
            return Ask::Joined(waiting.promise.clone());
        }
        let (answer, promise) = oneshot::channel();
        let promise = promise.shared();
        self.waiting.insert(question.clone(), Waiting { answer, promise: promise.clone() });
        if let Some(call) = older {
            return Ask::Behind { promise, older: call.promise.clone() };
        }
        self.ready.push_back(question.clone());
        Ask::Ready(promise)
    }

    /// What was held back can depart.
    pub(super) fn release(&mut self, question: Q) {
        self.ready.push_back(question);
    }

    /// The calls to make now: as many whole batches as there are, and with `rest` one more for what remains.
    pub(super) fn departures(&mut self, rest: bool, now: Instant) -> Vec<Departure<Q>> {
        let mut departures = Vec::new();
        while self.ready.len() >= self.batch || (rest && !self.ready.is_empty()) {
            departures.push(self.departure(now));
        }
        departures
    }

    fn departure(&mut self, now: Instant) -> Departure<Q> {
        let task = Arc::new(());
        let mut departure = Departure { began: now, questions: Vec::new(), answers: Vec::new(), task };
        for question in self.ready.drain(..self.batch.min(self.ready.len())) {
            let Some(Waiting { answer, promise }) = self.waiting.remove(&question) else { continue };
            let task = Arc::downgrade(&departure.task);
            self.under_way.insert(question.clone(), UnderWay { began: now, promise, task });
            departure.questions.push(question);
            departure.answers.push(answer);
        }
        departure
    }

    /// A call has ended. Where it has no answer to a question, that is `missing`.
    pub(super) fn arrive(
        &mut self,
        departure: Departure<Q>,
        answers: Vec<Answer<Q>>,
        missing: impl Fn() -> Error,
        now: Instant,
    ) {
        let Departure { began, questions, answers: waiting, task } = departure;
        let answers = answers.into_iter().chain(iter::repeat_with(|| Err(missing())));
        for ((question, waiting), answer) in questions.into_iter().zip(waiting).zip(answers) {
            if self.under_way.get(&question).is_some_and(|call| call.task.as_ptr() == Arc::as_ptr(&task)) {
                self.under_way.remove(&question);
            }
            self.kept.put(question, began, &answer, now);
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
