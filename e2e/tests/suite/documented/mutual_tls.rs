//! A proxy in front of a backend that lets only those connect who show a certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;

/// A running proxy. It ends when dropped.
pub(super) struct MutualTls {
    url: String,
    task: JoinHandle<()>,
}

impl MutualTls {
    /// Starts a proxy to a server at a URL such as `http://127.0.0.1:8200`, for clients that `authority` vouches for.
    /// It vouches for the proxy as well.
    pub(super) async fn to(url: &str, authority: &Authority) -> Result<Self> {
        let target: SocketAddr = url
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("the proxy leads to http://<address>:<port>, not to {url}"))?;
        let acceptor = TlsAcceptor::from(Arc::new(config(authority)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen")?;
        let url = format!("https://{}", listener.local_addr().context("failed to learn the port")?);
        Ok(Self { url, task: tokio::spawn(serve(listener, acceptor, target)) })
    }

    /// The base URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for MutualTls {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(authority: &Authority) -> Result<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let identity = authority.server()?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let config = ServerConfig::builder().with_client_cert_verifier(clients);
    config.with_single_cert(vec![certificate], key).context("the proxy cannot use its certificate")
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, target: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Who is refused notices it by itself.
            if let Ok(mut client) = acceptor.accept(client).await
                && let Ok(mut backend) = TcpStream::connect(target).await
            {
                let _ = copy_bidirectional(&mut client, &mut backend).await;
            }
        });
    }
}
