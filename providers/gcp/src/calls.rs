//! Reports requests that are not made with [`keyferry_rest`], which reports its own.

use std::{fmt, sync::Arc};

use keyferry_core::{Call, CallObserver, ErrorKind, Result};
use tokio::time::Instant;

use crate::PROVIDER;

/// Who hears of requests.
#[derive(Clone)]
pub(crate) struct Calls(Arc<dyn CallObserver>);

impl Calls {
    pub(crate) fn new(observer: Arc<dyn CallObserver>) -> Self {
        Self(observer)
    }

    /// A request is about to be sent. If the returned report is dropped before it has an end, the caller gave up
    /// waiting: the request has timed out.
    pub(crate) fn begin(&self, operation: &'static str) -> Report<'_> {
        Report { calls: self, operation, began: Instant::now(), outcome: Err(ErrorKind::TimedOut) }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}

/// Is sent when it is dropped.
pub(crate) struct Report<'a> {
    calls: &'a Calls,
    operation: &'static str,
    began: Instant,
    outcome: Result<(), ErrorKind>,
}

impl Report<'_> {
    /// The request has ended like this.
    pub(crate) fn end(mut self, outcome: Result<(), ErrorKind>) {
        self.outcome = outcome;
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let Self { operation, outcome, .. } = *self;
        self.calls.0.called(Call { provider: PROVIDER, operation, outcome, took: self.began.elapsed() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use keyferry_core::{Call, CallObserver, ErrorKind};

    use super::Calls;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Call>>);

    impl CallObserver for Heard {
        fn called(&self, call: Call) {
            self.0.lock().unwrap().push(call);
        }
    }

    #[test]
    fn every_end_of_a_request_is_heard_of() {
        let heard = Arc::new(Heard::default());
        let calls = Calls::new(Arc::clone(&heard) as _);
        calls.begin("A").end(Ok(()));
        calls.begin("B").end(Err(ErrorKind::Throttled));
        drop(calls.begin("C"));
        let heard: Vec<_> = heard.0.lock().unwrap().iter().map(|call| (call.operation, call.outcome)).collect();
        let expected = [("A", Ok(())), ("B", Err(ErrorKind::Throttled)), ("C", Err(ErrorKind::TimedOut))];
        assert_eq!(heard, expected);
    }
}
