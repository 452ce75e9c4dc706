//! Connections to AWS: rustls with aws-lc-rs, the system's certificates, the process's proxies.

use std::time::Duration;

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

/// Long enough for a distant region; the layers bound the whole call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_CONNECTIONS: usize = 8;

/// A client whose connections all services of a store share.
pub fn shared(proxies: ProxyConfig) -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = connector(&settings, proxies);
    http_client_fn(move |_, _| connector.clone())
}

/// Connections with these time limits.
pub(super) fn connector(settings: &HttpConnectorSettings, proxies: ProxyConfig) -> SharedHttpConnector {
    let connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .connector_settings(settings.clone())
        .proxy_config(proxies)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build();
    SharedHttpConnector::new(connector)
}
