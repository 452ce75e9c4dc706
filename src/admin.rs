//! What the process tells those who watch over it: `/healthz`, `/readyz` and `/metrics`.

use std::{
    collections::BTreeSet,
    net::Ipv6Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::metrics::Metrics;

/// The listeners, bound: a port that is taken is told at the start.
pub(crate) struct Admin {
    servers: Vec<(TcpListener, Router)>,
}

impl Admin {
    /// Binds both addresses. ":8080" means all interfaces, "0" none.
    pub(crate) async fn bind(
        metrics_addr: &str,
        live_addr: &str,
        metrics: &Arc<Metrics>,
        readiness: &Readiness,
        heartbeat: &Heartbeat,
    ) -> Result<Self> {
        let servers = [(metrics_addr, metrics_routes(metrics)), (live_addr, live_routes(readiness, heartbeat))];
        let mut bound = Vec::new();
        for (address, routes) in servers {
            if address.is_empty() || address == "0" {
                continue;
            }
            let listener = bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
            bound.push((listener, routes));
        }
        Ok(Self { servers: bound })
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let servers = self.servers.into_iter().map(|(listener, routes)| {
            let stop = stop.clone();
            async move {
                if let Err(failure) = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
                {
                    error!("the admin server ended: {failure}");
                }
            }
        });
        futures::future::join_all(servers).await;
    }
}

async fn bind(address: &str) -> std::io::Result<TcpListener> {
    match address.strip_prefix(':') {
        // A host without IPv6 has no such address.
        Some(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, parse_port(port)?)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        },
        None => TcpListener::bind(address).await,
    }
}

fn parse_port(port: &str) -> std::io::Result<u16> {
    port.parse().map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the port is not a number"))
}

fn metrics_routes(metrics: &Arc<Metrics>) -> Router {
    let metrics = Arc::clone(metrics);
    let text = move || async move {
        match metrics.text() {
            Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, "text/plain; version=0.0.4")], text),
            Err(failure) => {
                let text = format!("failed to write the metrics: {failure}");
                (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], text)
            }
        }
    };
    Router::new().route("/metrics", get(text))
}

fn live_routes(readiness: &Readiness, heartbeat: &Heartbeat) -> Router {
    let (readiness, heartbeat) = (readiness.clone(), heartbeat.clone());
    Router::new()
        .route("/healthz", get(move || async move { answer(heartbeat.complaint(Instant::now())) }))
        .route("/readyz", get(move || async move { answer(readiness.complaint()) }))
}

fn answer(complaint: Option<String>) -> (StatusCode, String) {
    complaint.map_or((StatusCode::OK, "ok\n".to_owned()), |text| (StatusCode::SERVICE_UNAVAILABLE, text + "\n"))
}

/// Whether the process has begun its work. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

/// What the process waits for before it is ready.
const CACHES: &str = "caches";

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(BTreeSet::from([CACHES]))))
    }
}

impl Readiness {
    /// The first listing of every watched kind is in.
    pub(crate) fn caches_are_full(&self) {
        if self.missing().remove(CACHES) {
            info!("ready");
        }
    }

    fn complaint(&self) -> Option<String> {
        let missing = self.missing();
        (!missing.is_empty()).then(|| format!("not ready: {}", missing.iter().copied().collect::<Vec<_>>().join(", ")))
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notices that the work has silently stopped. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat(Arc<Mutex<Option<Instant>>>);

/// The queue's loop turns at least every ten seconds.
const SILENCE: Duration = Duration::from_secs(60);

impl Heartbeat {
    /// The work goes on.
    pub(crate) fn beat(&self) {
        *self.last() = Some(Instant::now());
    }

    /// There is no work to go on: another replica leads.
    pub(crate) fn rest(&self) {
        *self.last() = None;
    }

    fn complaint(&self, now: Instant) -> Option<String> {
        let silent = now.saturating_duration_since((*self.last())?);
        (silent > SILENCE).then(|| format!("the reconcile loop has stood still for {} s", silent.as_secs()))
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Heartbeat, Readiness, bind};

    #[test]
    fn ready_once_everything_is_listed() {
        let readiness = Readiness::default();
        assert_eq!(readiness.complaint().as_deref(), Some("not ready: caches"));
        readiness.clone().caches_are_full();
        assert_eq!(readiness.complaint(), None);
    }

    #[test]
    fn a_loop_that_stands_still_is_unhealthy_and_a_standby_is_not() {
        let (heartbeat, later) = (Heartbeat::default(), Instant::now() + Duration::from_secs(120));
        assert_eq!(heartbeat.complaint(later), None);
        heartbeat.beat();
        assert!(heartbeat.complaint(later).is_some_and(|text| text.contains("stood still")));
        assert_eq!(heartbeat.complaint(Instant::now()), None);
        heartbeat.rest();
        assert_eq!(heartbeat.complaint(later), None);
    }

    #[tokio::test]
    async fn addresses_are_written_as_in_go() {
        assert!(bind(":0").await.is_ok());
        assert!(bind("127.0.0.1:0").await.is_ok());
        assert!(bind(":http-alt").await.is_err());
    }
}
