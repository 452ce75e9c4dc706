//! Lets callers share calls: who asks for the same at the same time gets the same answer, and who asks for different
//! things at the same time shares the backend's batch call.
//!
//! An answer serves every caller whose `since` is not after the start of the call that it came from. Whoever insists
//! on a newer one gets it, and everybody else who reads on the same tick gets what the first of them has read.
//!
//! Answers belong to one stacked provider, which has one store and one login: nothing is shared beyond that.

mod desk;
mod kept;
mod question;

use std::{
    slice::from_ref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::{Instant, sleep, timeout};

use self::{
    desk::{Answer, Ask, Departure, Desk, Promise},
    question::Question,
};
use crate::{LayerObserver, Settings, stack::Layer};

/// A call that takes longer than this is not waited for by those who need a newer answer.
const STALLED: Duration = Duration::from_secs(1);
/// How often answers that nobody needs any more are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// The layer.
#[derive(Clone, Debug)]
pub(crate) struct Coalesce {
    gather: Duration,
    observer: Arc<dyn LayerObserver>,
}

impl Coalesce {
    pub(crate) fn new(settings: &Settings, observer: Arc<dyn LayerObserver>) -> Self {
        Self { gather: settings.gather, observer }
    }
}

impl Layer for Coalesce {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Coalesced {
            fetches: Arc::new(self.counter(Arc::clone(&inner))),
            lists: Arc::new(self.counter(Arc::clone(&inner))),
            inner,
        })
    }
}

impl Coalesce {
    fn counter<Q: Question>(&self, inner: Arc<dyn Provider>) -> Counter<Q> {
        let desk = Mutex::new(Desk::new(Q::batch(inner.capabilities())));
        Counter { inner, desk, gather: self.gather, observer: Arc::clone(&self.observer) }
    }
}

#[derive(Debug)]
struct Coalesced {
    inner: Arc<dyn Provider>,
    fetches: Arc<Counter<Locator>>,
    lists: Arc<Counter<Query>>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Coalesced {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        self.inner.check().await
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        join_all(self.fetches.ask(at, since)).await
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        let answers = join_all(self.lists.ask(from_ref(query), since)).await;
        answers.into_iter().next().unwrap_or_else(|| Err(self.lists.lost()))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// Where callers leave their questions. Calls are made by tasks of their own: a caller that is cancelled takes
/// nothing away from the others.
#[derive(Debug)]
struct Counter<Q: Question> {
    inner: Arc<dyn Provider>,
    desk: Mutex<Desk<Q>>,
    gather: Duration,
    observer: Arc<dyn LayerObserver>,
}

enum Receipt<Q: Question> {
    Answer(Answer<Q>),
    Promise(Promise<Q>),
}

impl<Q: Question> Counter<Q> {
    /// The answers to come, in the order of `questions`. They are asked for at once, whether or not somebody waits.
    fn ask(self: &Arc<Self>, questions: &[Q], since: Instant) -> Vec<impl Future<Output = Answer<Q>> + Send + use<Q>> {
        let now = Instant::now();
        // Nobody can have an answer from the future.
        let since = since.min(now);
        let mut shared = 0;
        let mut desk = self.desk();
        let receipts = questions.iter().map(|question| match desk.ask(question, since, now) {
            Ask::Answered(answer) => {
                shared += 1;
                Receipt::Answer(answer)
            }
            Ask::Joined(promise) => {
                shared += 1;
                Receipt::Promise(promise)
            }
            Ask::Ready(promise) => Receipt::Promise(promise),
            Ask::Behind { promise, older } => {
                tokio::spawn(Arc::clone(self).follow(question.clone(), older));
                Receipt::Promise(promise)
            }
        });
        let receipts: Vec<Receipt<Q>> = receipts.collect();
        self.depart(&mut desk, false);
        drop(desk);
        if shared > 0 {
            self.observer.shared(self.inner.name(), shared);
        }
        let redeem = |receipt: Receipt<Q>| {
            let counter = Arc::clone(self);
            async move {
                match receipt {
                    Receipt::Answer(answer) => answer,
                    Receipt::Promise(promise) => promise.await.unwrap_or_else(|_| Err(counter.lost())),
                }
            }
        };
        receipts.into_iter().map(redeem).collect()
    }

    /// Sends off what is ready: whole batches, and with `rest` what does not fill one.
    fn depart(self: &Arc<Self>, desk: &mut Desk<Q>, rest: bool) {
        for departure in desk.departures(rest, Instant::now()) {
            tokio::spawn(Arc::clone(self).call(departure));
        }
        if desk.begins_to_gather() {
            tokio::spawn(Arc::clone(self).gather());
        }
    }

    async fn call(self: Arc<Self>, departure: Departure<Q>) {
        let answers = Q::put(departure.questions(), &*self.inner, departure.began()).await;
        let missing = || self.bad(ErrorKind::Malformed, "the backend's answer held no entry for this key");
        let mut desk = self.desk();
        desk.arrive(departure, answers, missing, Instant::now());
        if desk.begins_to_sweep() {
            tokio::spawn(sweep(Arc::downgrade(&self)));
        }
    }

    /// Waits for those who will share the next batch call.
    async fn gather(self: Arc<Self>) {
        sleep(self.gather).await;
        let mut desk = self.desk();
        desk.has_gathered();
        self.depart(&mut desk, true);
    }

    /// Lets the next call with `question` go when the one before it has ended: those who come meanwhile share it.
    async fn follow(self: Arc<Self>, question: Q, older: Promise<Q>) {
        // Whether it ended well, badly or not at all: the next one goes.
        let _ = timeout(STALLED, older).await;
        let mut desk = self.desk();
        desk.release(question);
        self.depart(&mut desk, false);
    }

    /// The task of a call has panicked. Others must not wait for it for ever.
    fn lost(&self) -> Error {
        self.bad(ErrorKind::Unavailable, "the call was lost through a bug in this process; its log tells more")
    }

    fn bad(&self, kind: ErrorKind, text: &str) -> Error {
        Error::new(kind, self.inner.name(), Q::OPERATION.title(), text)
    }

    fn desk(&self) -> MutexGuard<'_, Desk<Q>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops answers when nobody needs them any more, also those of a provider that is not asked again.
async fn sweep<Q: Question>(counter: Weak<Counter<Q>>) {
    loop {
        sleep(SWEEP).await;
        let Some(counter) = counter.upgrade() else { return };
        if !counter.desk().sweep(Instant::now()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
