//! What is known of each object, under the names of External Secrets Operator.

use std::time::Duration;

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::{counter, gauge};

#[derive(Debug)]
pub(super) struct Objects {
    sync_calls: IntCounterVec,
    sync_errors: IntCounterVec,
    duration: IntGaugeVec,
    external_secrets: IntGaugeVec,
    secret_stores: IntGaugeVec,
    cluster_stores: IntGaugeVec,
}

const OBJECT: [&str; 2] = ["name", "namespace"];
const CONDITION: [&str; 4] = ["name", "namespace", "condition", "status"];
const READY: &str = "Ready";

impl Objects {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let condition = |name, kind| {
            gauge(registry, name, &format!("Condition of each {kind}: 1 is the present state."), &CONDITION)
        };
        Ok(Self {
            sync_calls: counter(registry, "externalsecret_sync_calls_total", "Syncs of each ExternalSecret.", &OBJECT)?,
            sync_errors: counter(
                registry,
                "externalsecret_sync_calls_error",
                "Syncs of each ExternalSecret that failed.",
                &OBJECT,
            )?,
            duration: gauge(
                registry,
                "externalsecret_reconcile_duration",
                "Nanoseconds that the last sync of each ExternalSecret took; prefer keyferry_sync_seconds.",
                &OBJECT,
            )?,
            external_secrets: condition("externalsecret_status_condition", "ExternalSecret")?,
            secret_stores: condition("secretstore_status_condition", "SecretStore")?,
            cluster_stores: condition("clustersecretstore_status_condition", "ClusterSecretStore")?,
        })
    }

    pub(super) fn synced(&self, namespace: &str, name: &str, took: Duration, failed: bool) {
        let object = [name, namespace];
        self.sync_calls.with_label_values(&object).inc();
        self.duration.with_label_values(&object).set(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        if failed {
            self.sync_errors.with_label_values(&object).inc();
        }
    }

    pub(super) fn external_secret_condition(&self, namespace: &str, name: &str, ready: bool) {
        set(&self.external_secrets, namespace, name, ready);
    }

    pub(super) fn external_secret_forget(&self, namespace: &str, name: &str) {
        let object = [name, namespace];
        // What was never there need not be removed.
        let _ = self.sync_calls.remove_label_values(&object);
        let _ = self.sync_errors.remove_label_values(&object);
        let _ = self.duration.remove_label_values(&object);
        forget(&self.external_secrets, namespace, name);
    }

    pub(super) fn store_condition(&self, kind: &str, namespace: &str, name: &str, ready: bool) {
        set(self.stores(kind), namespace, name, ready);
    }

    pub(super) fn store_forget(&self, kind: &str, namespace: &str, name: &str) {
        forget(self.stores(kind), namespace, name);
    }

    fn stores(&self, kind: &str) -> &IntGaugeVec {
        if kind == "ClusterSecretStore" { &self.cluster_stores } else { &self.secret_stores }
    }
}

fn set(conditions: &IntGaugeVec, namespace: &str, name: &str, ready: bool) {
    conditions.with_label_values(&[name, namespace, READY, "True"]).set(ready.into());
    conditions.with_label_values(&[name, namespace, READY, "False"]).set((!ready).into());
}

fn forget(conditions: &IntGaugeVec, namespace: &str, name: &str) {
    for status in ["True", "False"] {
        let _ = conditions.remove_label_values(&[name, namespace, READY, status]);
    }
}
