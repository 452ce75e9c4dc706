//! Leaves a backend alone that is in trouble, and answers in its place.
//!
//! There are two circuits. That of *reach* belongs to the store: its backend is away for all. That of the *login*
//! belongs to one stacked provider: other credentials, of another tenant or after a rotation, have their own.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    slice::from_ref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_core::{Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    CircuitKind, CircuitState, LayerObserver, Operation, Settings,
    circuit::{Admission, Circuit, Ticket, Verdict},
    stack::Layer,
};

/// The layer, with the state of its circuit.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct Watch {
    circuit: Mutex<Circuit>,
    /// Somebody has found out something.
    news: Notify,
    /// How long to wait for those who are finding out.
    patience: Duration,
    observer: Arc<dyn LayerObserver>,
}

impl Breaker {
    pub(crate) fn new(kind: CircuitKind, settings: &Settings, observer: Arc<dyn LayerObserver>) -> Self {
        let circuit = Mutex::new(Circuit::new(kind));
        Self { watch: Arc::new(Watch { circuit, news: Notify::new(), patience: settings.deadline, observer }) }
    }
}

impl Layer for Breaker {
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Guarded { inner, watch: Arc::clone(&self.watch) })
    }
}

#[derive(Debug)]
struct Guarded {
    inner: Arc<dyn Provider>,
    watch: Arc<Watch>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Guarded {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// Goes through an open circuit: it is how recovery is seen, and is made seldom.
    async fn check(&self) -> Result<()> {
        let pass = Pass { of: self, ticket: Some(self.watch.circuit().admit_check()) };
        let answer = self.inner.check().await;
        pass.settle(from_ref(&answer));
        answer
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        match self.pass(Operation::Fetch, at).await {
            Ok(pass) => {
                let answers = self.inner.fetch(at, since).await;
                pass.settle(&answers);
                answers
            }
            Err(error) => vec![Err(error); at.len()],
        }
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        let pass = self.pass(Operation::List, query).await?;
        let answer = self.inner.list(query, since).await;
        pass.settle(from_ref(&answer));
        answer
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Guarded {
    async fn pass(&self, operation: Operation, question: impl Hash) -> Result<Pass<'_>> {
        let mut hasher = DefaultHasher::new();
        question.hash(&mut hasher);
        let question = hasher.finish();
        let end = Instant::now() + self.watch.patience;
        loop {
            let mut news = pin!(self.watch.news.notified());
            // Before looking, so that nothing is missed between looking and waiting.
            news.as_mut().enable();
            let admission = self.watch.circuit().admit(question, Instant::now());
            match admission {
                Admission::Go(ticket) => return Ok(Pass { of: self, ticket: Some(ticket) }),
                Admission::Refused(error) => return Err(error),
                Admission::Wait => {
                    timeout_at(end, news).await.map_err(|_| self.nothing_known(operation))?;
                }
            }
        }
    }

    fn nothing_known(&self, operation: Operation) -> Error {
        let text = "not asked, because other calls are still finding out whether the backend works";
        Error::new(ErrorKind::TimedOut, self.name(), operation.title(), text)
    }
}

impl Watch {
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through. When it is dropped unsettled, it was given up.
struct Pass<'a> {
    of: &'a Guarded,
    ticket: Option<Ticket>,
}

impl Pass<'_> {
    fn settle<'a, T: 'a>(mut self, items: impl IntoIterator<Item = &'a Result<T>>) {
        let Some(ticket) = self.ticket.take() else { return };
        let watch = &self.of.watch;
        let (kind, change) = {
            let mut circuit = watch.circuit();
            let verdict: Verdict = circuit.kind().verdict(items);
            (circuit.kind(), circuit.settle(&ticket, verdict, Instant::now()))
        };
        watch.news.notify_waiters();
        if let Some(now) = change {
            let provider = self.of.name();
            match now {
                CircuitState::Closed => tracing::info!(provider, circuit = kind.as_str(), "the backend works again"),
                CircuitState::Open => {
                    tracing::warn!(provider, circuit = kind.as_str(), "the backend is left alone for a while");
                }
            }
            watch.observer.circuit_changed(provider, kind, now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.of.watch.circuit().abandon(&ticket);
            self.of.watch.news.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures::future::join_all;
    use keyferry_core::{ErrorKind, Provider, Query, Retry};
    use keyferry_testkit::{Memory, Step};
    use tokio::time::{Instant, timeout};

    use super::Breaker;
    use crate::{
        CircuitKind, CircuitState, Settings,
        fixtures::{Told, fail, locators, numbered},
        stack::Layer,
    };

    fn guarded(kind: CircuitKind, memory: &Memory) -> (Arc<dyn Provider>, Arc<Told>) {
        let told = Arc::new(Told::default());
        (Breaker::new(kind, &Settings::default(), told.clone()).wrap(memory.provider()), told)
    }

    async fn kinds(provider: &Arc<dyn Provider>, count: usize) -> Vec<ErrorKind> {
        let (locators, now) = (numbered(count), Instant::now());
        let answers = join_all(locators.chunks(1).map(|at| provider.fetch(at, now))).await;
        answers.into_iter().flatten().map(|answer| answer.unwrap_err().kind).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_readers_with_a_wrong_login_cost_a_few_calls() {
        let memory = Memory::new().latency(Duration::from_millis(50)).always(fail(ErrorKind::Unauthenticated));
        let (provider, told) = guarded(CircuitKind::Login, &memory);
        assert_eq!(kinds(&provider, 1000).await, [ErrorKind::Unauthenticated; 1000]);
        assert_eq!(memory.calls().len(), 4);
        assert_eq!(told.circuits(), [(CircuitKind::Login, CircuitState::Open)]);
    }

    #[tokio::test(start_paused = true)]
    async fn once_one_call_was_answered_all_go() {
        let memory = Memory::new().latency(Duration::from_millis(50));
        let (provider, _) = guarded(CircuitKind::Reach, &memory);
        let began = Instant::now();
        assert_eq!(kinds(&provider, 200).await, [ErrorKind::NotFound; 200]);
        assert_eq!(began.elapsed(), Duration::from_millis(100));
        assert_eq!(memory.calls().len(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_first_ones_does_not_wait_for_ever() {
        let memory = Memory::new().always(Step::Hang);
        let (provider, _) = guarded(CircuitKind::Reach, &memory);
        let began = Instant::now();
        let all = numbered(5);
        let scouts = join_all(all[..4].chunks(1).map(|at| provider.fetch(at, began)));
        let late = async {
            tokio::task::yield_now().await;
            provider.fetch(&all[4..], began).await
        };
        tokio::select! {
            _ = scouts => panic!("they hang"),
            answers = late => assert_eq!(answers[0].as_ref().unwrap_err().kind, ErrorKind::TimedOut),
        }
        assert_eq!(began.elapsed(), Settings::default().deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_answers_at_once_and_a_check_closes_it() {
        let memory = Memory::new().with("a", "1").always(fail(ErrorKind::Unavailable));
        let (provider, told) = guarded(CircuitKind::Reach, &memory);
        kinds(&provider, 10).await;
        let calls = memory.calls().len();
        let error = provider.list(&Query::default(), Instant::now()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(matches!(error.retry, Retry::After(_)), "{error:?}");
        assert_eq!(memory.calls().len(), calls);
        memory.mend();
        assert!(provider.check().await.is_ok());
        assert!(provider.fetch(&locators(["a"]), Instant::now()).await[0].is_ok());
        assert_eq!(told.circuits().last(), Some(&(CircuitKind::Reach, CircuitState::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_makes_room() {
        let memory = Memory::new().with("a", "1").script([Step::Hang, Step::Hang, Step::Hang, Step::Hang]);
        let (provider, _) = guarded(CircuitKind::Login, &memory);
        assert!(timeout(Duration::from_secs(1), kinds(&provider, 4)).await.is_err());
        assert!(provider.fetch(&locators(["a"]), Instant::now()).await[0].is_ok());
    }
}
