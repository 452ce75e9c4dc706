//! What the operator measures. Names that users have in dashboards and alerts are kept; beside them stand histograms
//! in seconds. Only the kept names carry names of objects.

mod calls;
mod layers;
mod objects;
mod work;

use std::time::Duration;

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use self::{calls::Calls, layers::LayerMetrics, objects::Objects, work::Work};

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Calls,
    layers: LayerMetrics,
    objects: Objects,
    work: Work,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        Ok(Self {
            calls: Calls::new(&registry)?,
            layers: LayerMetrics::new(&registry)?,
            objects: Objects::new(&registry)?,
            work: Work::new(&registry)?,
            registry,
        })
    }

    /// The text that `/metrics` serves.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    /// An ExternalSecret was synced, or was tried to.
    pub(crate) fn external_secret_synced(
        &self,
        namespace: &str,
        name: &str,
        why: &'static str,
        took: Duration,
        failed: bool,
    ) {
        self.objects.synced(namespace, name, took, failed);
        self.work.synced(why, took, failed);
    }

    /// The Ready condition of an ExternalSecret.
    pub(crate) fn external_secret_condition(&self, namespace: &str, name: &str, ready: bool) {
        self.objects.external_secret_condition(namespace, name, ready);
    }

    /// An ExternalSecret is gone.
    pub(crate) fn external_secret_forget(&self, namespace: &str, name: &str) {
        self.objects.external_secret_forget(namespace, name);
    }

    /// The Ready condition of a store.
    pub(crate) fn store_condition(&self, kind: &str, namespace: &str, name: &str, ready: bool) {
        self.objects.store_condition(kind, namespace, name, ready);
    }

    /// A store is gone.
    pub(crate) fn store_forget(&self, kind: &str, namespace: &str, name: &str) {
        self.objects.store_forget(kind, namespace, name);
    }

    /// A reconcile has ended.
    pub(crate) fn reconciled(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.work.reconciled(controller, result, took);
    }

    /// A reconcile has begun after waiting for its turn, and `depth` others still wait.
    pub(crate) fn queue_waited(&self, controller: &'static str, class: &'static str, waited: Duration, depth: usize) {
        self.work.waited(controller, class, waited, depth);
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// From a millisecond to half a minute: what a call or a sync may take.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

fn histogram(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
    let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyferry_core::{Call, CallObserver, ErrorKind};

    use super::Metrics;

    #[test]
    fn the_names_that_dashboards_use_are_there() {
        let metrics = Metrics::new().unwrap();
        metrics.external_secret_synced("ns", "db", "tick", Duration::from_millis(20), true);
        metrics.external_secret_condition("ns", "db", false);
        metrics.store_condition("SecretStore", "ns", "vault", true);
        metrics.store_condition("ClusterSecretStore", "", "vault", true);
        metrics.reconciled("externalsecret", "success", Duration::from_millis(20));
        metrics.queue_waited("externalsecret", "changed", Duration::from_millis(1), 3);
        let took = Duration::from_millis(5);
        metrics.called(Call { provider: "HashiCorp/Vault", operation: "Login", outcome: Ok(()), took });
        let text = metrics.text().unwrap();
        for line in [
            r#"externalsecret_sync_calls_total{name="db",namespace="ns"} 1"#,
            r#"externalsecret_sync_calls_error{name="db",namespace="ns"} 1"#,
            r#"externalsecret_reconcile_duration{name="db",namespace="ns"} 20000000"#,
            r#"externalsecret_status_condition{condition="Ready",name="db",namespace="ns",status="False"} 1"#,
            r#"externalsecret_status_condition{condition="Ready",name="db",namespace="ns",status="True"} 0"#,
            r#"secretstore_status_condition{condition="Ready",name="vault",namespace="ns",status="True"} 1"#,
            r#"clustersecretstore_status_condition{condition="Ready",name="vault",namespace="",status="True"} 1"#,
            r#"externalsecret_provider_api_calls_count{call="Login",provider="HashiCorp/Vault",status="success"} 1"#,
            r#"controller_runtime_reconcile_total{controller="externalsecret",result="success"} 1"#,
            r#"workqueue_depth{name="externalsecret"} 3"#,
            r#"keyferry_sync_seconds_count{outcome="error",why="tick"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn an_object_that_is_gone_leaves_no_series() {
        let metrics = Metrics::new().unwrap();
        metrics.external_secret_synced("ns", "db", "new", Duration::ZERO, true);
        metrics.external_secret_condition("ns", "db", true);
        metrics.external_secret_forget("ns", "db");
        metrics.store_condition("SecretStore", "ns", "db", true);
        metrics.store_forget("SecretStore", "ns", "db");
        assert!(!metrics.text().unwrap().contains(r#"name="db""#));
    }

    #[test]
    fn failed_calls_are_counted_by_kind() {
        let metrics = Metrics::new().unwrap();
        let outcome = Err(ErrorKind::Throttled);
        metrics.called(Call { provider: "p", operation: "o", outcome, took: Duration::ZERO });
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"externalsecret_provider_api_calls_count{call="o",provider="p",status="error"} 1"#));
        assert!(text.contains(r#"keyferry_provider_call_seconds_count{call="o",outcome="throttled",provider="p"} 1"#));
    }
}
