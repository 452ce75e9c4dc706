//! What is remembered of one request until the observer hears of it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use keyferry_core::{Call, CallObserver, ErrorKind};
use tokio::time::Instant;

/// One request on its way. The observer hears of it when this is dropped, because only then the outcome is certain:
/// a backend may find a failure in an answer that looked good, or nothing wrong with a 404. A request whose caller
/// gave up waiting has timed out.
#[derive(Debug)]
pub(crate) struct Record {
    observer: Arc<dyn CallObserver>,
    provider: &'static str,
    operation: &'static str,
    began: Instant,
    took: Option<Duration>,
    failure: OnceLock<ErrorKind>,
    presumed: Result<(), ErrorKind>,
}

impl Record {
    pub(crate) fn begin(observer: Arc<dyn CallObserver>, provider: &'static str, operation: &'static str) -> Self {
        let presumed = Err(ErrorKind::TimedOut);
        Self { observer, provider, operation, began: Instant::now(), took: None, failure: OnceLock::new(), presumed }
    }

    /// The last byte of the answer is here, or it is certain that none will come. `outcome` stands unless somebody
    /// knows better.
    pub(crate) fn end(&mut self, outcome: Result<(), ErrorKind>) {
        self.took = Some(self.began.elapsed());
        self.presumed = outcome;
    }

    /// The request has failed; the first who says so is right.
    pub(crate) fn fail(&self, kind: ErrorKind) {
        let _ = self.failure.set(kind);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let outcome = self.failure.get().map_or(self.presumed, |kind| Err(*kind));
        let took = self.took.unwrap_or_else(|| self.began.elapsed());
        self.observer.called(Call { provider: self.provider, operation: self.operation, outcome, took });
    }
}
