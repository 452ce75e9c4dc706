//! The HTTP client of one store.

use std::{fmt, sync::Arc, time::Duration};

use keyferry_core::{CallObserver, Error, ErrorKind, Result};
use reqwest::{Method, redirect};
use url::Url;

use crate::{request::Request, tls::Tls};

/// Connections to one backend for one store. Cheap to clone; clones share their connections.
///
/// The process's proxy settings (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) are honoured. Redirects are not followed:
/// a request carries credentials that were meant for one address only.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    observer: Arc<dyn CallObserver>,
    provider: &'static str,
}

/// What the metrics know the opening of connections as.
pub(crate) const CONNECT: &str = "Connect";
/// How we introduce ourselves.
pub(crate) const AGENT: &str = concat!("keyferry/", env!("CARGO_PKG_VERSION"));
/// Long enough for a slow network; the layers bound the whole call.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than the usual refresh interval of a store that is in use.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// As many as a store has requests under way, so that a burst opens each connection once.
pub(crate) const IDLE_CONNECTIONS: usize = 64;
/// Finds out that a peer has vanished, for a request that waits for its answer without a time limit of its own.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);

impl Client {
    /// A client for the backend that calls itself `provider` (see [`keyferry_core::Provider::name`]).
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when the certificates or the key cannot be used.
    pub fn new(provider: &'static str, tls: &Tls, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidConfig, provider, CONNECT, message);
        let http = reqwest::Client::builder()
            .user_agent(AGENT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tls_backend_preconfigured(tls.config().map_err(invalid)?)
            .build()
            .map_err(|_| invalid("the HTTP client cannot be set up".into()))?;
        Ok(Self { http, observer, provider })
    }

    /// A request that the metrics know as `operation`, in the vendor's own words.
    pub fn request(&self, operation: &'static str, method: Method, url: Url) -> Request<'_> {
        Request::new(self, operation, self.http.request(method, url.clone()), url)
    }

    /// As [`Client::request`], with `GET`.
    pub fn get(&self, operation: &'static str, url: Url) -> Request<'_> {
        self.request(operation, Method::GET, url)
    }

    /// As [`Client::request`], with `POST`.
    pub fn post(&self, operation: &'static str, url: Url) -> Request<'_> {
        self.request(operation, Method::POST, url)
    }

    /// An [`ErrorKind::InvalidConfig`] of this backend that was found before anything was sent.
    pub fn invalid(&self, operation: &'static str, message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidConfig, self.provider, operation, message.to_string())
    }

    /// The name that errors and metrics carry.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Who hears of its requests, for those that a backend has to make in another way.
    pub fn observer(&self) -> Arc<dyn CallObserver> {
        Arc::clone(&self.observer)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("provider", &self.provider).finish_non_exhaustive()
    }
}
