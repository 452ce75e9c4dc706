//! Bounds how long something may take: one try, or a call with all its tries and waits.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::{Instant, timeout};

use crate::{Operation, stack::Layer};

/// What is bounded.
#[derive(Clone, Copy, Debug)]
enum Bounded {
    /// One try, without the wait for its turn.
    Attempt,
    /// Everything that one call leads to.
    Call,
}

/// The layer. What it bounds depends on where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeout {
    bounded: Bounded,
    after: Duration,
}

impl Timeout {
    pub(crate) fn attempt(after: Duration) -> Self {
        Self { bounded: Bounded::Attempt, after }
    }

    pub(crate) fn deadline(after: Duration) -> Self {
        Self { bounded: Bounded::Call, after }
    }
}

impl Layer for Timeout {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Timed { inner, limit: *self })
    }
}

#[derive(Debug)]
struct Timed {
    inner: Arc<dyn Provider>,
    limit: Timeout,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Timed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        timeout(self.limit.after, self.inner.check()).await.unwrap_or_else(|_| Err(self.late(Operation::Check)))
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        timeout(self.limit.after, self.inner.fetch(at, since))
            .await
            .unwrap_or_else(|_| vec![Err(self.late(Operation::Fetch)); at.len()])
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        timeout(self.limit.after, self.inner.list(query, since))
            .await
            .unwrap_or_else(|_| Err(self.late(Operation::List)))
    }

    /// Nobody needs to hear that it took too long.
    async fn close(&self) {
        let _ = timeout(self.limit.after, self.inner.close()).await;
    }
}

impl Timed {
    fn late(&self, operation: Operation) -> Error {
        let seconds = self.limit.after.as_secs_f64();
        let text = match self.limit.bounded {
            Bounded::Attempt => format!("the backend did not answer within {seconds} s"),
            Bounded::Call => format!("no answer within {seconds} s, with all tries and the waits for a turn"),
        };
        Error::new(ErrorKind::TimedOut, self.name(), operation.title(), text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyferry_core::{ErrorKind, Provider, Query, Retry};
    use keyferry_testkit::{Memory, Step};
    use tokio::time::Instant;

    use super::Timeout;
    use crate::{fixtures::locators, stack::Layer};

    const LIMIT: Duration = Duration::from_secs(10);

    fn hung() -> std::sync::Arc<dyn Provider> {
        Timeout::attempt(LIMIT).wrap(Memory::new().always(Step::Hang).provider())
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_is_left_after_the_limit() {
        let began = Instant::now();
        let answers = hung().fetch(&locators(["a", "b"]), began).await;
        assert_eq!(began.elapsed(), LIMIT);
        assert_eq!(answers.len(), 2);
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!((error.kind, error.retry), (ErrorKind::TimedOut, Retry::Backoff));
            assert_eq!(error.to_string(), "the backend did not answer within 10 s (Memory Fetch)");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checks_and_listings_are_bounded_too() {
        assert_eq!(hung().check().await.unwrap_err().kind, ErrorKind::TimedOut);
        assert_eq!(hung().list(&Query::default(), Instant::now()).await.unwrap_err().kind, ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_in_time_is_passed_on() {
        let memory = Memory::new().with("a", "1").latency(LIMIT / 2);
        let provider = Timeout::deadline(LIMIT).wrap(memory.provider());
        assert!(provider.fetch(&locators(["a"]), Instant::now()).await.iter().all(Result::is_ok));
        assert!(provider.check().await.is_ok());
    }
}
