//! Tries again what may succeed by being tried again. There is no other retry in this process: those of the SDKs are
//! switched off.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result, Retry as Hint};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{LayerObserver, Operation, Settings, backoff::decorrelated, stack::Layer};

/// The layer.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    policy: Policy,
    observer: Arc<dyn LayerObserver>,
}

#[derive(Clone, Copy, Debug)]
struct Policy {
    max_retries: u32,
    base: Duration,
    cap: Duration,
    /// A little less than the deadline around us, so that what was answered already is handed up and not lost to it.
    budget: Duration,
}

impl Retry {
    pub(crate) fn new(settings: &Settings, observer: Arc<dyn LayerObserver>) -> Self {
        let policy = Policy {
            max_retries: settings.max_retries,
            base: settings.retry_interval,
            cap: settings.max_retry_interval.max(settings.retry_interval),
            budget: settings.deadline / 20 * 19,
        };
        Self { policy, observer }
    }
}

impl Layer for Retry {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Retried { inner, policy: self.policy, observer: Arc::clone(&self.observer) })
    }
}

#[derive(Debug)]
struct Retried {
    inner: Arc<dyn Provider>,
    policy: Policy,
    observer: Arc<dyn LayerObserver>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Retried {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        self.single(Operation::Check, || self.inner.check()).await
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let mut patience = Patience::new(self.policy);
        let mut answers = self.inner.fetch(at, since).await;
        loop {
            let failed: Vec<_> = answers
                .iter()
                .enumerate()
                .filter_map(|(index, answer)| answer.as_ref().err().map(|error| (index, error)))
                .filter(|(_, error)| patience.suffices_for(error))
                .collect();
            let Some(because) = failed.first().map(|(_, error)| error.kind) else { return answers };
            let Some(pause) = patience.pause(failed.iter().map(|(_, error)| *error)) else { return answers };
            let failed: Vec<_> = failed.into_iter().map(|(index, _)| index).collect();
            self.wait(Operation::Fetch, because, pause).await;
            let again: Vec<_> = failed.iter().map(|index| at[*index].clone()).collect();
            let Ok(later) = timeout_at(patience.end, self.inner.fetch(&again, since)).await else { return answers };
            for (index, answer) in failed.into_iter().zip(later) {
                answers[index] = answer;
            }
        }
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        self.single(Operation::List, || self.inner.list(query, since)).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Retried {
    async fn single<T, F>(&self, operation: Operation, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut patience = Patience::new(self.policy);
        let mut answer = call().await;
        loop {
            let Err(error) = &answer else { return answer };
            let because = error.kind;
            let pause = if patience.suffices_for(error) { patience.pause([error]) } else { None };
            let Some(pause) = pause else { return answer };
            self.wait(operation, because, pause).await;
            let Ok(later) = timeout_at(patience.end, call()).await else { return answer };
            answer = later;
        }
    }

    async fn wait(&self, operation: Operation, because: ErrorKind, pause: Duration) {
        tracing::debug!(
            provider = self.name(),
            operation = operation.as_str(),
            because = because.as_str(),
            pause_ms = pause.as_millis(),
            "trying again after a pause"
        );
        sleep(pause).await;
        self.observer.retried(self.name(), operation, because);
    }
}

/// What is left of a call's tries and time.
#[derive(Debug)]
struct Patience {
    policy: Policy,
    end: Instant,
    retries: u32,
    last_pause: Duration,
}

impl Patience {
    fn new(policy: Policy) -> Self {
        Self { policy, end: Instant::now() + policy.budget, retries: 0, last_pause: policy.base }
    }

    /// Whether it makes sense to try again after `error`.
    fn suffices_for(&self, error: &Error) -> bool {
        if self.retries >= self.policy.max_retries {
            return false;
        }
        let shortest = match error.retry {
            Hint::Never => return false,
            // Fresh credentials that are refused as well will not get better.
            Hint::Backoff if error.kind == ErrorKind::Unauthenticated && self.retries > 0 => {
                return false;
            }
            Hint::Backoff => self.policy.base,
            Hint::After(hint) => hint,
        };
        shortest < self.left()
    }

    /// Uses up one try, and says how long to pause before it, if there is time for that: at least as long as each
    /// server asked for, and a little longer, because many others were asked for the same.
    fn pause<'a>(&mut self, errors: impl IntoIterator<Item = &'a Error>) -> Option<Duration> {
        let Policy { base, cap, .. } = self.policy;
        self.retries += 1;
        self.last_pause = decorrelated(base, self.last_pause, cap, rand::random());
        let hint = errors
            .into_iter()
            .filter_map(|error| match error.retry {
                Hint::After(hint) => Some(hint + base.mul_f64(rand::random())),
                Hint::Backoff | Hint::Never => None,
            })
            .max();
        Some(hint.unwrap_or(self.last_pause)).filter(|pause| *pause < self.left())
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use keyferry_core::{Error, ErrorKind, Provider, Query, Retry as Hint};
    use keyferry_testkit::{Memory, Step};
    use tokio::time::Instant;

    use super::Retry;
    use crate::{
        Settings,
        fixtures::{Told, fail, locators},
        stack::Layer,
    };

    fn retrying(memory: &Memory) -> (Arc<dyn Provider>, Arc<Told>) {
        let told = Arc::new(Told::default());
        (Retry::new(&Settings::default(), told.clone()).wrap(memory.provider()), told)
    }

    fn after(kind: ErrorKind, hint: Hint) -> Step {
        Step::Fail(Error::new(kind, "Memory", "Fetch", "no").with_retry(hint))
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_with_growing_pauses() {
        let memory = Memory::new().with("a", "1").script([fail(ErrorKind::Unavailable), fail(ErrorKind::TimedOut)]);
        let (provider, told) = retrying(&memory);
        let began = Instant::now();
        assert!(provider.fetch(&locators(["a"]), began).await[0].is_ok());
        assert_eq!(memory.calls().len(), 3);
        assert_eq!(told.retried(), [ErrorKind::Unavailable, ErrorKind::TimedOut]);
        let settings = Settings::default();
        let took = began.elapsed();
        assert!(took >= 2 * settings.retry_interval && took <= 12 * settings.retry_interval, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_after_three_retries() {
        let memory = Memory::new().always(fail(ErrorKind::Unavailable));
        let (provider, _) = retrying(&memory);
        assert_eq!(provider.check().await.unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(memory.calls().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_wrong_is_not_tried_again() {
        for kind in ErrorKind::ALL {
            if Error::new(kind, "Memory", "Fetch", "no").retry == Hint::Never {
                let memory = Memory::new().always(fail(kind));
                let (provider, _) = retrying(&memory);
                assert_eq!(provider.list(&Query::default(), Instant::now()).await.unwrap_err().kind, kind);
                assert_eq!(memory.calls().len(), 1, "{kind:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_failed_locators_of_a_batch_are_tried_again() {
        let memory = Memory::new().batch(10).with("a", "1").with("b", "2").sick("b", fail(ErrorKind::Unavailable), 1);
        let (provider, _) = retrying(&memory);
        let answers = provider.fetch(&locators(["a", "b", "missing"]), Instant::now()).await;
        assert!(answers[0].is_ok() && answers[1].is_ok());
        assert_eq!(answers[2].as_ref().unwrap_err().kind, ErrorKind::NotFound);
        let asked: Vec<_> = memory.calls().into_iter().map(|call| call.at).collect();
        assert_eq!(asked, [locators(["a", "b", "missing"]), locators(["b"])]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_hint_is_waited_for() {
        let hint = Duration::from_secs(9);
        let memory = Memory::new().with("a", "1").script([after(ErrorKind::Throttled, Hint::After(hint))]);
        let (provider, _) = retrying(&memory);
        let began = Instant::now();
        assert!(provider.fetch(&locators(["a"]), began).await[0].is_ok());
        let took = began.elapsed();
        assert!(took >= hint && took <= hint + Settings::default().retry_interval, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_beyond_the_deadline_is_handed_up_at_once() {
        let hint = Hint::After(Duration::from_secs(29));
        let memory = Memory::new().with("a", "1").script([after(ErrorKind::Throttled, hint)]);
        let (provider, _) = retrying(&memory);
        let began = Instant::now();
        let answers = provider.fetch(&locators(["a"]), began).await;
        assert_eq!(answers[0].as_ref().unwrap_err().retry, hint);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_try_is_begun_that_has_no_time() {
        let memory = Memory::new().always(after(ErrorKind::Throttled, Hint::After(Duration::from_secs(14))));
        let (provider, _) = retrying(&memory);
        let began = Instant::now();
        assert_eq!(provider.check().await.unwrap_err().kind, ErrorKind::Throttled);
        assert_eq!((memory.calls().len(), began.elapsed().as_secs()), (3, 28));
        let memory = Memory::new().always(after(ErrorKind::Throttled, Hint::After(Duration::MAX)));
        assert_eq!(retrying(&memory).0.check().await.unwrap_err().retry, Hint::After(Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_is_tried_once_more_with_fresh_credentials() {
        let memory = Memory::new().always(after(ErrorKind::Unauthenticated, Hint::Backoff));
        let (provider, _) = retrying(&memory);
        assert_eq!(provider.check().await.unwrap_err().kind, ErrorKind::Unauthenticated);
        assert_eq!(memory.calls().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_try_that_hangs_does_not_cost_the_answers_of_the_first() {
        let memory = Memory::new()
            .batch(10)
            .with("a", "1")
            .with("b", "2")
            .sick("b", fail(ErrorKind::Unavailable), 1)
            .sick("b", Step::Hang, 1);
        let (provider, _) = retrying(&memory);
        let began = Instant::now();
        let answers = provider.fetch(&locators(["a", "b"]), began).await;
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].as_ref().unwrap_err().kind, ErrorKind::Unavailable);
        assert!(began.elapsed() < Settings::default().deadline);
    }
}
