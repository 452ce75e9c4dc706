//! Bounds what one store asks of its backend: how much at the same time, how much a second, and nothing while the
//! backend has asked for a pause.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result, Retry};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

use crate::{LayerObserver, Operation, Settings, bucket::Bucket, stack::Layer};

/// The layer: one for each store.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    gate: Arc<Gate>,
    observer: Arc<dyn LayerObserver>,
}

/// What all tries of one store pass.
#[derive(Debug)]
struct Gate {
    permits: Semaphore,
    bucket: Mutex<Bucket>,
}

/// A server that asks for an hour of silence may mean one path only, and may change its mind: somebody tries again
/// after this time. The error that its answer led to carries the whole hint.
const LONGEST_QUIET: Duration = Duration::from_secs(60);

impl Limit {
    pub(crate) fn new(settings: &Settings, observer: Arc<dyn LayerObserver>) -> Self {
        let permits = Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let bucket = Mutex::new(Bucket::new(settings.rate, settings.burst, Instant::now()));
        Self { gate: Arc::new(Gate { permits, bucket }), observer }
    }
}

impl Layer for Limit {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        let (gate, observer) = (Arc::clone(&self.gate), Arc::clone(&self.observer));
        Arc::new(Limited { inner, gate, quiet_until: Mutex::default(), observer })
    }
}

#[derive(Debug)]
struct Limited {
    inner: Arc<dyn Provider>,
    gate: Arc<Gate>,
    /// Until when the backend wants to be left alone. Quotas are those of an account: that of one login is not used up
    /// by another.
    quiet_until: Mutex<Option<Instant>>,
    observer: Arc<dyn LayerObserver>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Limited {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        let _turn = self.turn(Operation::Check).await?;
        self.heed(self.inner.check().await)
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        match self.turn(Operation::Fetch).await {
            Ok(_turn) => {
                let answers = self.inner.fetch(at, since).await;
                answers.into_iter().map(|answer| self.heed(answer)).collect()
            }
            Err(error) => vec![Err(error); at.len()],
        }
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        let _turn = self.turn(Operation::List).await?;
        self.heed(self.inner.list(query, since).await)
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Limited {
    /// Waits for a turn. The place among those in flight comes before the token, because whoever is cancelled in the
    /// queue then leaves no token reserved that nobody uses.
    async fn turn(&self, operation: Operation) -> Result<Turn<'_>> {
        let arrived = Instant::now();
        self.check_quiet(operation)?;
        // It is never closed.
        let permit = self.gate.permits.acquire().await.ok();
        let begin = lock(&self.gate.bucket).take(Instant::now());
        sleep_until(begin).await;
        self.check_quiet(operation)?;
        self.observer.try_began(self.name(), operation, arrived.elapsed());
        Ok(Turn { of: self, operation, _permit: permit })
    }

    /// While the backend wants to be left alone, tries are answered here. Waiting is the retry layer's part, which
    /// knows how much time is left.
    fn check_quiet(&self, operation: Operation) -> Result<()> {
        let Some(until) = *lock(&self.quiet_until) else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let text = "not asked, because the backend wants a pause from this store";
        let error = Error::new(ErrorKind::Throttled, self.name(), operation.title(), text);
        Err(error.with_retry(Retry::After(left)))
    }

    fn heed<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(Error { kind: ErrorKind::Throttled, retry: Retry::After(pause), .. }) = &answer {
            let until = Instant::now() + (*pause).min(LONGEST_QUIET);
            let mut quiet_until = lock(&self.quiet_until);
            *quiet_until = (*quiet_until).max(Some(until));
        }
        answer
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A try that is under way; it ends when this is dropped.
struct Turn<'a> {
    of: &'a Limited,
    operation: Operation,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.of.observer.try_ended(self.of.name(), self.operation);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures::future::join_all;
    use keyferry_core::{Error, ErrorKind, Provider, Retry, Unobserved};
    use keyferry_testkit::{Memory, Step};
    use tokio::time::Instant;

    use super::Limit;
    use crate::{
        Settings,
        fixtures::{Told, locators},
        stack::Layer,
    };

    const LATENCY: Duration = Duration::from_millis(100);

    fn limit(settings: &Settings) -> Limit {
        Limit::new(settings, Arc::new(Unobserved))
    }

    async fn fetch_each(provider: &Arc<dyn Provider>, count: usize) {
        let one = locators(["a"]);
        join_all((0..count).map(|_| provider.fetch(&one, Instant::now()))).await;
    }

    fn throttled(pause: Duration) -> Step {
        let error = Error::new(ErrorKind::Throttled, "Memory", "Fetch", "slow down");
        Step::Fail(error.with_retry(Retry::After(pause)))
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_allowed_are_in_flight() {
        let memory = Memory::new().latency(LATENCY);
        let provider = limit(&Settings { max_in_flight: 3, ..Settings::default() }).wrap(memory.provider());
        let began = Instant::now();
        fetch_each(&provider, 9).await;
        assert_eq!(memory.most_in_flight(), 3);
        assert_eq!(began.elapsed(), 3 * LATENCY);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_burst_tries_are_paced() {
        let memory = Memory::new();
        let provider = limit(&Settings { rate: 10, burst: 5, ..Settings::default() }).wrap(memory.provider());
        let began = Instant::now();
        fetch_each(&provider, 15).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn two_providers_of_one_store_share_the_limits() {
        let memory = Memory::new().latency(LATENCY);
        let limit = limit(&Settings { max_in_flight: 1, ..Settings::default() });
        let (old, new) = (limit.wrap(memory.provider()), limit.wrap(memory.provider()));
        let began = Instant::now();
        tokio::join!(fetch_each(&old, 1), fetch_each(&new, 1));
        assert_eq!(began.elapsed(), 2 * LATENCY);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_in_the_queue_leaves_nothing_behind() {
        let memory = Memory::new().latency(LATENCY);
        let settings = Settings { max_in_flight: 1, rate: 1, burst: 2, ..Settings::default() };
        let provider = limit(&settings).wrap(memory.provider());
        let began = Instant::now();
        let impatient = tokio::time::timeout(LATENCY / 2, fetch_each(&provider, 100));
        assert!(impatient.await.is_err());
        fetch_each(&provider, 1).await;
        assert_eq!(began.elapsed(), LATENCY / 2 + LATENCY, "the hundred must not have used up the tokens");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_wants_a_pause_gets_it_from_everybody_with_that_login() {
        let memory = Memory::new().with("a", "1").script([throttled(Duration::from_secs(7))]);
        let limit = limit(&Settings::default());
        let (provider, of_another_login) = (limit.wrap(memory.provider()), limit.wrap(Memory::new().provider()));
        fetch_each(&provider, 1).await;
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(of_another_login.check().await.is_ok());
        let error = provider.check().await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ErrorKind::Throttled, Retry::After(Duration::from_secs(5))));
        assert_eq!(memory.calls().len(), 1);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(provider.check().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_an_hour_is_asked_about_after_a_minute() {
        let memory = Memory::new().with("a", "1").script([throttled(Duration::from_secs(3600))]);
        let provider = limit(&Settings::default()).wrap(memory.provider());
        let answers = provider.fetch(&locators(["a"]), Instant::now()).await;
        assert_eq!(answers[0].as_ref().unwrap_err().retry, Retry::After(Duration::from_secs(3600)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(provider.check().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn every_try_that_began_is_told_to_have_ended() {
        let told = Arc::new(Told::default());
        let limit = Limit::new(&Settings { max_in_flight: 1, ..Settings::default() }, told.clone());
        let provider = limit.wrap(Memory::new().latency(LATENCY).provider());
        fetch_each(&provider, 2).await;
        let cancelled = tokio::time::timeout(LATENCY / 2, fetch_each(&provider, 2)).await;
        assert!(cancelled.is_err());
        assert_eq!(told.waits(), [Duration::ZERO, LATENCY, Duration::ZERO]);
        assert_eq!(told.ended(), 3);
    }
}
