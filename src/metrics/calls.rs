//! Requests to backends.

use keyferry_core::{Call, CallObserver};
use prometheus::{HistogramVec, IntCounterVec, Registry};

use super::{Metrics, counter, histogram};

#[derive(Debug)]
pub(super) struct Calls {
    count: IntCounterVec,
    seconds: HistogramVec,
}

impl Calls {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            count: counter(
                registry,
                "externalsecret_provider_api_calls_count",
                "Requests to backends, logins and repetitions included.",
                &["provider", "call", "status"],
            )?,
            seconds: histogram(
                registry,
                "keyferry_provider_call_seconds",
                "Duration of requests to backends, by outcome.",
                &["provider", "call", "outcome"],
            )?,
        })
    }
}

impl CallObserver for Metrics {
    fn called(&self, call: Call) {
        let (status, outcome) = match call.outcome {
            Ok(()) => ("success", "success"),
            Err(kind) => ("error", kind.as_str()),
        };
        self.calls.count.with_label_values(&[call.provider, call.operation, status]).inc();
        self.calls
            .seconds
            .with_label_values(&[call.provider, call.operation, outcome])
            .observe(call.took.as_secs_f64());
    }
}
