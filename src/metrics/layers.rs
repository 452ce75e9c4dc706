//! What the layers between a sync and its backend do.

use std::time::Duration;

use keyferry_core::ErrorKind;
use keyferry_layers::{CircuitKind, CircuitState, Finished, LayerObserver, Operation};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::{Metrics, counter, gauge, histogram};

#[derive(Debug)]
pub(super) struct LayerMetrics {
    seconds: HistogramVec,
    wait_seconds: HistogramVec,
    in_flight: IntGaugeVec,
    retries: IntCounterVec,
    shared: IntCounterVec,
    circuits: IntCounterVec,
}

impl LayerMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            seconds: histogram(
                registry,
                "keyferry_provider_operation_seconds",
                "Duration of operations on backends with all waits and repetitions.",
                &["provider", "operation", "outcome"],
            )?,
            wait_seconds: histogram(
                registry,
                "keyferry_provider_wait_seconds",
                "How long tries waited for a store's limits.",
                &["provider", "operation"],
            )?,
            in_flight: gauge(
                registry,
                "keyferry_provider_in_flight",
                "Tries that are under way.",
                &["provider", "operation"],
            )?,
            retries: counter(
                registry,
                "keyferry_provider_retries_total",
                "Repetitions, by the failure that made them needed.",
                &["provider", "operation", "because"],
            )?,
            shared: counter(
                registry,
                "keyferry_provider_answers_shared_total",
                "Answers that cost no call of their own, since another object asked for the same.",
                &["provider"],
            )?,
            circuits: counter(
                registry,
                "keyferry_provider_circuit_changes_total",
                "How often a store's circuit opened or closed.",
                &["provider", "circuit", "now"],
            )?,
        })
    }
}

impl LayerObserver for Metrics {
    fn finished(&self, what: Finished) {
        let outcome = what.outcome.map_or_else(ErrorKind::as_str, |()| "success");
        let labels = [what.provider, what.operation.as_str(), outcome];
        self.layers.seconds.with_label_values(&labels).observe(what.took.as_secs_f64());
    }

    fn try_began(&self, provider: &'static str, operation: Operation, waited: Duration) {
        let labels = [provider, operation.as_str()];
        self.layers.wait_seconds.with_label_values(&labels).observe(waited.as_secs_f64());
        self.layers.in_flight.with_label_values(&labels).inc();
    }

    fn try_ended(&self, provider: &'static str, operation: Operation) {
        self.layers.in_flight.with_label_values(&[provider, operation.as_str()]).dec();
    }

    fn retried(&self, provider: &'static str, operation: Operation, because: ErrorKind) {
        self.layers.retries.with_label_values(&[provider, operation.as_str(), because.as_str()]).inc();
    }

    fn shared(&self, provider: &'static str, answers: usize) {
        self.layers.shared.with_label_values(&[provider]).inc_by(u64::try_from(answers).unwrap_or(u64::MAX));
    }

    fn circuit_changed(&self, provider: &'static str, circuit: CircuitKind, now: CircuitState) {
        self.layers.circuits.with_label_values(&[provider, circuit.as_str(), now.as_str()]).inc();
    }
}
