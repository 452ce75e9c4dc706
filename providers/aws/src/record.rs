//! What the observer is told of one request.

use keyferry_core::{Call, CallObserver, ErrorKind};
use tokio::time::Instant;

/// One request on its way. The observer hears of it when this is dropped; a request whose caller gave up waiting has
/// timed out.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    observer: &'a dyn CallObserver,
    provider: &'static str,
    operation: &'static str,
    began: Instant,
    outcome: Result<(), ErrorKind>,
}

impl<'a> Record<'a> {
    pub(crate) fn begin(observer: &'a dyn CallObserver, provider: &'static str, operation: &'static str) -> Self {
        Self { observer, provider, operation, began: Instant::now(), outcome: Err(ErrorKind::TimedOut) }
    }

    pub(crate) fn end(mut self, outcome: Result<(), ErrorKind>) {
        self.outcome = outcome;
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Self { observer, provider, operation, outcome, .. } = *self;
        observer.called(Call { provider, operation, outcome, took: self.began.elapsed() });
    }
}
