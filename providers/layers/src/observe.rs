//! Tells what callers see: how long it took and how it ended, with waits, repetitions and shared answers included.

use std::{slice::from_ref, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::Instant;

use crate::{Finished, LayerObserver, Operation, stack::Layer};

/// The layer.
#[derive(Clone, Debug)]
pub(crate) struct Observe {
    observer: Arc<dyn LayerObserver>,
}

impl Observe {
    pub(crate) fn new(observer: Arc<dyn LayerObserver>) -> Self {
        Self { observer }
    }
}

impl Layer for Observe {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Observed { inner, observer: Arc::clone(&self.observer) })
    }
}

#[derive(Debug)]
struct Observed {
    inner: Arc<dyn Provider>,
    observer: Arc<dyn LayerObserver>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Observed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        let began = Instant::now();
        let answer = self.inner.check().await;
        self.tell(Operation::Check, began, from_ref(&answer));
        answer
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let began = Instant::now();
        let answers = self.inner.fetch(at, since).await;
        self.tell(Operation::Fetch, began, &answers);
        answers
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        let began = Instant::now();
        let answer = self.inner.list(query, since).await;
        self.tell(Operation::List, began, from_ref(&answer));
        answer
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Observed {
    fn tell<T>(&self, operation: Operation, began: Instant, items: &[Result<T>]) {
        let failure = items.iter().find_map(|item| item.as_ref().err());
        let took = began.elapsed();
        tracing::debug!(
            provider = self.name(),
            operation = operation.as_str(),
            items = items.len(),
            outcome = failure.map_or("success", |error| error.kind.as_str()),
            took_ms = took.as_millis(),
            "asked a backend"
        );
        let outcome = failure.map_or(Ok(()), |error| Err(error.kind));
        self.observer.finished(Finished { provider: self.name(), operation, outcome, took });
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use keyferry_core::{ErrorKind, Query};
    use keyferry_testkit::Memory;
    use tokio::time::Instant;

    use super::Observe;
    use crate::{
        Finished, Operation,
        fixtures::{Told, fail, locators},
        stack::Layer,
    };

    #[tokio::test(start_paused = true)]
    async fn every_operation_is_told_with_outcome_and_duration() {
        let took = Duration::from_millis(30);
        let told = Arc::new(Told::default());
        let memory = Memory::new().batch(2).with("a", "1").latency(took);
        let provider = Observe::new(told.clone()).wrap(memory.provider());
        provider.fetch(&locators(["a"]), Instant::now()).await;
        provider.fetch(&locators(["a", "missing"]), Instant::now()).await;
        provider.check().await.unwrap();
        memory.break_with(fail(ErrorKind::Throttled));
        provider.list(&Query::default(), Instant::now()).await.unwrap_err();
        let finished = |operation, outcome| Finished { provider: "Memory", operation, outcome, took };
        assert_eq!(
            told.finished(),
            [
                finished(Operation::Fetch, Ok(())),
                finished(Operation::Fetch, Err(ErrorKind::NotFound)),
                finished(Operation::Check, Ok(())),
                finished(Operation::List, Err(ErrorKind::Throttled)),
            ]
        );
    }
}
