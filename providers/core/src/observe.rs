//! Who hears of the requests that backends make.

use std::{fmt::Debug, time::Duration};

use tokio::time::Instant;

use crate::ErrorKind;

/// Told of every request that really went to a backend, logins and repetitions included. Must not block.
pub trait CallObserver: Debug + Send + Sync + 'static {
    /// One request has ended.
    fn called(&self, call: Call);
}

/// One request to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// [`crate::Provider::name`] of the backend.
    pub provider: &'static str,
    /// What was asked, in the vendor's own words: `Login`, `ReadSecretData`, `GetSecretValue`.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: std::result::Result<(), ErrorKind>,
    /// From sending to the last byte of the answer.
    pub took: Duration,
}

/// Hears nothing: for tests and for tools that keep no metrics.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn called(&self, _call: Call) {}
}

/// One request on its way, for backends whose requests the vendor's own client sends. The observer hears of it when
/// this is dropped; a request whose caller gave up waiting has timed out.
#[derive(Debug)]
#[must_use = "what is dropped at once has timed out"]
pub struct CallReport<'a> {
    observer: &'a dyn CallObserver,
    provider: &'static str,
    operation: &'static str,
    began: Instant,
    outcome: std::result::Result<(), ErrorKind>,
}

impl<'a> CallReport<'a> {
    /// A request is about to be sent.
    pub fn begin(observer: &'a dyn CallObserver, provider: &'static str, operation: &'static str) -> Self {
        Self { observer, provider, operation, began: Instant::now(), outcome: Err(ErrorKind::TimedOut) }
    }

    /// The request has ended like this.
    pub fn end(mut self, outcome: std::result::Result<(), ErrorKind>) {
        self.outcome = outcome;
    }
}

impl Drop for CallReport<'_> {
    fn drop(&mut self) {
        let Self { observer, provider, operation, outcome, .. } = *self;
        observer.called(Call { provider, operation, outcome, took: self.began.elapsed() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Call, CallObserver, CallReport};
    use crate::ErrorKind;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Call>>);

    impl CallObserver for Heard {
        fn called(&self, call: Call) {
            self.0.lock().unwrap().push(call);
        }
    }

    #[test]
    fn every_end_of_a_request_is_heard_of() {
        let heard = Heard::default();
        CallReport::begin(&heard, "P", "A").end(Ok(()));
        CallReport::begin(&heard, "P", "B").end(Err(ErrorKind::Throttled));
        drop(CallReport::begin(&heard, "P", "C"));
        let heard: Vec<_> = heard.0.lock().unwrap().iter().map(|call| (call.operation, call.outcome)).collect();
        let expected = [("A", Ok(())), ("B", Err(ErrorKind::Throttled)), ("C", Err(ErrorKind::TimedOut))];
        assert_eq!(heard, expected);
    }
}
