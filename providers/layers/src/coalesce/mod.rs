//! Lets callers share calls: who asks for the same at the same time gets the same answer, and who asks for different
//! things at the same time shares the backend's batch call.
//!
//! An answer serves every caller whose `since` is not after the start of the call that it came from. Whoever insists
//! on a newer one gets it, and everybody else who reads on the same tick gets what the first of them has read.
//!
//! Answers belong to one stacked provider, which has one store and one login: nothing is shared beyond that.

mod desk;
mod kept;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::{Instant, sleep, timeout};

use self::desk::{Answer, Ask, Departure, Desk, Promise};
use crate::{LayerObserver, Operation, Settings, stack::Layer};

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
        let desk = Mutex::new(Desk::new(inner.capabilities().batch.get()));
        let (gather, observer) = (self.gather, Arc::clone(&self.observer));
        Arc::new(Coalesced { counter: Arc::new(Counter { inner, desk, gather, observer }) })
    }
}

#[derive(Debug)]
struct Coalesced {
    counter: Arc<Counter>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Coalesced {
    fn name(&self) -> &'static str {
        self.counter.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.counter.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        self.counter.inner.check().await
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let receipts = self.counter.ask(at, since);
        join_all(receipts.into_iter().map(|receipt| async {
            match receipt {
                Receipt::Answer(answer) => answer,
                Receipt::Promise(promise) => promise.await.unwrap_or_else(|_| Err(self.lost())),
            }
        }))
        .await
    }

    async fn list(&self, query: &Query) -> Result<Page> {
        self.counter.inner.list(query).await
    }
}

impl Coalesced {
    /// The task of a call has panicked. Others must not wait for it for ever.
    fn lost(&self) -> Error {
        let text = "the call was lost through a bug in this process; its log tells more";
        Error::new(ErrorKind::Unavailable, self.name(), Operation::Fetch.title(), text)
    }
}

/// Where callers leave their questions. Calls are made by tasks of their own: a caller that is cancelled takes
/// nothing away from the others.
#[derive(Debug)]
struct Counter {
    inner: Arc<dyn Provider>,
    desk: Mutex<Desk>,
    gather: Duration,
    observer: Arc<dyn LayerObserver>,
}

enum Receipt {
    Answer(Answer),
    Promise(Promise),
}

impl Counter {
    fn ask(self: &Arc<Self>, at: &[Locator], since: Instant) -> Vec<Receipt> {
        let now = Instant::now();
        // Nobody can have an answer from the future.
        let since = since.min(now);
        let mut shared = 0;
        let mut desk = self.desk();
        let receipts = at.iter().map(|locator| match desk.ask(locator, since, now) {
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
                tokio::spawn(Arc::clone(self).follow(locator.clone(), older));
                Receipt::Promise(promise)
            }
        });
        let receipts = receipts.collect();
        self.depart(&mut desk, false);
        drop(desk);
        if shared > 0 {
            self.observer.shared(self.inner.name(), shared);
        }
        receipts
    }

    /// Sends off what is ready: whole batches, and with `rest` what does not fill one.
    fn depart(self: &Arc<Self>, desk: &mut Desk, rest: bool) {
        for departure in desk.departures(rest, Instant::now()) {
            tokio::spawn(Arc::clone(self).call(departure));
        }
        if desk.begins_to_gather() {
            tokio::spawn(Arc::clone(self).gather());
        }
    }

    async fn call(self: Arc<Self>, departure: Departure) {
        let answers = self.inner.fetch(departure.locators(), departure.began()).await;
        let missing = || {
            let text = "the backend's answer held no entry for this key";
            Error::new(ErrorKind::Malformed, self.inner.name(), Operation::Fetch.title(), text)
        };
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

    /// Lets the next call about `locator` go when the one before it has ended: those who come meanwhile share it.
    async fn follow(self: Arc<Self>, locator: Locator, older: Promise) {
        // Whether it ended well, badly or not at all: the next one goes.
        let _ = timeout(STALLED, older).await;
        let mut desk = self.desk();
        desk.release(locator);
        self.depart(&mut desk, false);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops answers when nobody needs them any more, also those of a provider that is not asked again.
async fn sweep(counter: Weak<Counter>) {
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
