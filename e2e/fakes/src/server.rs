//! What every fake has: an address, TLS, call counts, faults, and an off switch.
//!
//! A fake in another process is driven over HTTP:
//!
//! | request | does |
//! |---|---|
//! | `GET /_fake/counts` | calls by operation, as a JSON object |
//! | `DELETE /_fake/counts` | begins to count anew |
//! | `GET /_fake/faults` | the faults that are on |
//! | `PUT /_fake/faults/{operation}` | switches a fault on, for example `{"kind": "status", "status": 429, "retryAfter": 1, "times": 3}`; operation `*` is every one |
//! | `DELETE /_fake/faults`, `DELETE /_fake/faults/{operation}` | switches faults off |
//!
//! The fakes add their own paths. Requests below `/_fake/` are not counted and suffer no faults.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::{get, put},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    faults::{Faults, Switch},
    http1,
    lock::lock,
};

/// Where a fake listens, and as whom.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Serve HTTPS with this.
    pub tls: Option<Certificate>,
}

impl Default for Listen {
    fn default() -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, 0).into(), tls: None }
    }
}

/// A server certificate with its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, and its issuers if there are any.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// How a vendor's protocol names operations and words errors.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The operation that a request asks for, by method and path, as counts and faults name it.
    pub operation: fn(&Method, &str) -> String,
    /// An answer that says that something is wrong with an operation, without details.
    pub failure: fn(&str, StatusCode) -> Response,
}

/// How often each operation was asked for.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    /// How often `operation` was asked for.
    pub fn of(&self, operation: &str) -> u64 {
        lock(&self.0).get(operation).copied().unwrap_or_default()
    }

    /// All counts.
    pub fn all(&self) -> BTreeMap<String, u64> {
        lock(&self.0).clone()
    }

    /// Begins anew.
    pub fn reset(&self) {
        lock(&self.0).clear();
    }

    fn add(&self, operation: String) {
        *lock(&self.0).entry(operation).or_default() += 1;
    }
}

/// A fake that listens. It goes down when it is dropped.
pub struct Server {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    url: String,
    app: Router,
    controls: Arc<Controls>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Controls {
    counts: Counts,
    faults: Faults,
    dialect: Dialect,
}

impl Server {
    /// Listens, and answers with `vendor`, whose requests are counted and may suffer faults, and below `/_fake/` with
    /// `admin`.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(listen: Listen, dialect: Dialect, vendor: Router, admin: Router) -> io::Result<Self> {
        let controls = Arc::new(Controls { counts: Counts::default(), faults: Faults::default(), dialect });
        let listener = bind(listen.address)?;
        let address = listener.local_addr()?;
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        let app = vendor
            .layer(middleware::from_fn_with_state(Arc::clone(&controls), observe))
            .nest("/_fake", admin.merge(switches(Arc::clone(&controls))));
        let server = Self {
            address,
            tls: listen.tls.map(|certificate| acceptor(&certificate)).transpose()?,
            url: format!("{scheme}://{address}"),
            app,
            controls,
            task: Mutex::default(),
        };
        server.serve(listener);
        Ok(server)
    }

    /// `http://address:port`, or `https://…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often each operation was asked for.
    pub fn counts(&self) -> &Counts {
        &self.controls.counts
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.controls.faults
    }

    /// Stops to listen and cuts all connections. What the fake knows it keeps.
    pub async fn down(&self) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.abort();
            // The port is free only when the task has really ended.
            let _ = task.await;
        }
    }

    /// Listens again at the same address.
    pub async fn up(&self) -> io::Result<()> {
        self.down().await;
        self.serve(bind(self.address)?);
        Ok(())
    }

    fn serve(&self, listener: TcpListener) {
        *lock(&self.task) = Some(tokio::spawn(http1::serve(listener, self.tls.clone(), self.app.clone())));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).field("controls", &self.controls).finish_non_exhaustive()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a fake which comes up again gets its port back although old connections still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn acceptor(certificate: &Certificate) -> io::Result<TlsAcceptor> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect();
    let chain = chain.map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn observe(State(controls): State<Arc<Controls>>, request: Request, next: Next) -> Response {
    let operation = (controls.dialect.operation)(request.method(), request.uri().path());
    controls.counts.add(operation.clone());
    match controls.faults.take(&operation) {
        None => next.run(request).await,
        Some(fault) => fault.inflict(controls.dialect.failure, &operation, request, next).await,
    }
}

fn switches(controls: Arc<Controls>) -> Router {
    let counts = get(async |State(controls): State<Arc<Controls>>| Json(controls.counts.all()))
        .delete(async |State(controls): State<Arc<Controls>>| controls.counts.reset());
    let faults = get(async |State(controls): State<Arc<Controls>>| Json(controls.faults.list()))
        .delete(async |State(controls): State<Arc<Controls>>| controls.faults.clear_all());
    let fault = put(switch_on).delete(async |State(controls): State<Arc<Controls>>, Path(operation): Path<String>| {
        controls.faults.clear(&operation);
    });
    Router::new()
        .route("/counts", counts)
        .route("/faults", faults)
        .route("/faults/{operation}", fault)
        .with_state(controls)
}

async fn switch_on(State(controls): State<Arc<Controls>>, Path(operation): Path<String>, Json(switch): Json<Switch>) {
    controls.faults.switch(&operation, switch);
}
