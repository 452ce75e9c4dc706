//! Opens lines: names, proxies, TLS.

use std::{io, sync::Arc};

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::{
    legacy::connect::{HttpConnector, dns::GaiResolver, proxy::Tunnel},
    proxy::matcher::Matcher,
};
use rustls::ClientConfig;
use tokio::time::timeout;
use tower::{ServiceExt, util::MapErr};
use url::Url;

use super::line::{Line, Route};
use crate::{
    client::{CONNECT_TIMEOUT, KEEPALIVE},
    transport::{BoxError, Failure, UnknownHost},
};

pub(super) struct Dialer {
    connector: HttpsConnector<HttpConnector<Names>>,
    proxies: Matcher,
    tls: Arc<ClientConfig>,
}

/// Marks what the connector says of names, since it keeps the type of that error to itself.
type Names = MapErr<GaiResolver, fn(io::Error) -> UnknownHost>;

impl Dialer {
    pub(super) fn new(tls: ClientConfig) -> Self {
        Self::behind(Matcher::from_system(), tls)
    }

    pub(super) fn behind(proxies: Matcher, mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Arc::new(tls);
        let mut tcp = HttpConnector::new_with_resolver(MapErr::new(GaiResolver::new(), UnknownHost as _));
        tcp.enforce_http(false);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_nodelay(true);
        Self { connector: HttpsConnector::from((tcp, Arc::clone(&tls))), proxies, tls }
    }

    pub(super) async fn dial(&self, url: &Url) -> Result<Line, Failure> {
        let to: Uri = url.as_str().parse().map_err(|_| Failure::Unwritable)?;
        timeout(CONNECT_TIMEOUT, self.open(to)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn open(&self, to: Uri) -> Result<Line, Failure> {
        let connector = self.connector.clone();
        let Some(proxy) = self.proxies.intercept(&to) else {
            let stream = connector.oneshot(to).await.map_err(Failure::no_connection)?;
            return Line::over(stream, Route::Direct).await;
        };
        let (address, login) = (proxy.uri().clone(), proxy.basic_auth().cloned());
        if to.scheme_str() != Some("https") {
            let stream = connector.oneshot(address).await.map_err(Failure::no_connection)?;
            return Line::over(stream, Route::Forwarded(login)).await;
        }
        let tunnel = Tunnel::new(address, connector);
        let tunnel = match login {
            Some(login) => tunnel.with_auth(login),
            None => tunnel,
        };
        let within = HttpsConnector::from((tunnel, Arc::clone(&self.tls)));
        let stream = within.oneshot(to).await.map_err(|error: BoxError| Failure::no_connection(error))?;
        Line::over(stream, Route::Direct).await
    }
}
