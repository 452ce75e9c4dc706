//! How the queues are worked off.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::{counter, gauge, histogram};

#[derive(Debug)]
pub(super) struct Work {
    reconciles: IntCounterVec,
    reconcile_seconds: HistogramVec,
    sync_seconds: HistogramVec,
    depth: IntGaugeVec,
    wait_seconds: HistogramVec,
}

impl Work {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            reconciles: counter(
                registry,
                "controller_runtime_reconcile_total",
                "Reconciles, also those that found nothing to do.",
                &["controller", "result"],
            )?,
            reconcile_seconds: histogram(
                registry,
                "controller_runtime_reconcile_time_seconds",
                "Duration of reconciles.",
                &["controller"],
            )?,
            sync_seconds: histogram(
                registry,
                "keyferry_sync_seconds",
                "Duration of syncs of ExternalSecrets: reading, deciding, writing.",
                &["why", "outcome"],
            )?,
            depth: gauge(registry, "workqueue_depth", "Objects that wait for their turn.", &["name"])?,
            wait_seconds: histogram(
                registry,
                "keyferry_queue_wait_seconds",
                "How long objects waited for their turn.",
                &["name", "class"],
            )?,
        })
    }

    pub(super) fn reconciled(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.reconciles.with_label_values(&[controller, result]).inc();
        self.reconcile_seconds.with_label_values(&[controller]).observe(took.as_secs_f64());
    }

    pub(super) fn synced(&self, why: &'static str, took: Duration, failed: bool) {
        let outcome = if failed { "error" } else { "success" };
        self.sync_seconds.with_label_values(&[why, outcome]).observe(took.as_secs_f64());
    }

    pub(super) fn waited(&self, controller: &'static str, class: &'static str, waited: Duration, depth: usize) {
        self.wait_seconds.with_label_values(&[controller, class]).observe(waited.as_secs_f64());
        self.depth.with_label_values(&[controller]).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }
}
