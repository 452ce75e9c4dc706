//! A relay in front of a backend, which fails on demand in the ways of networks and servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How a relay fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Every request gets this answer, and the backend sees none.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Header lines without line ends, for example `Retry-After: 2`.
        headers: &'static [&'static str],
        /// The body.
        body: &'static str,
    },
    /// Requests are taken and never answered.
    BlackHole,
    /// The backend's answer ends in the middle, with the connection.
    CutShort,
    /// Connections are closed at once.
    Down,
}

/// A running relay to one server. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    url: String,
    fault: watch::Sender<Option<Fault>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay to a server at a URL such as `http://127.0.0.1:8200`. It fails nothing yet.
    pub async fn to(url: &str) -> Result<Self> {
        let target: SocketAddr = url
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("a relay leads to http://<address>:<port>, not to {url}"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen")?;
        let url = format!("http://{}", listener.local_addr().context("failed to learn the port")?);
        let (fault, faults) = watch::channel(None);
        Ok(Self { url, fault, task: tokio::spawn(serve(listener, target, faults)) })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fails all requests from now on. Connections that are open end.
    pub fn fail(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
    }

    /// Passes on all requests again.
    pub fn recover(&self) {
        self.fault.send_replace(None);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, faults: watch::Receiver<Option<Fault>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut faults = faults.clone();
        tokio::spawn(async move {
            let fault = faults.borrow_and_update().clone();
            tokio::select! {
                // Whatever ends a connection is for its two ends to notice.
                _ = relay(client, target, fault) => {}
                _ = faults.changed() => {}
            }
        });
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, fault: Option<Fault>) -> Result<()> {
    match fault {
        None => {
            let mut backend = TcpStream::connect(target).await?;
            copy_bidirectional(&mut client, &mut backend).await?;
        }
        Some(Fault::Answer { status, headers, body }) => answer(client, status, headers, body).await?,
        Some(Fault::BlackHole) => {
            copy(&mut client, &mut sink()).await?;
        }
        Some(Fault::CutShort) => cut_short(client, target).await?,
        Some(Fault::Down) => {}
    }
    Ok(())
}

async fn answer(mut client: TcpStream, status: u16, headers: &[&str], body: &str) -> Result<()> {
    let mut request = vec![0; 16 * 1024];
    if client.read(&mut request).await? == 0 {
        return Ok(());
    }
    let length = format!("Content-Length: {}", body.len());
    let status = format!("HTTP/1.1 {status} Fault");
    let head = [&[status.as_str(), &length, "Connection: close"], headers].concat().join("\r\n");
    let text = format!("{head}\r\n\r\n{body}");
    client.write_all(text.as_bytes()).await?;
    client.shutdown().await?;
    // Closing while bytes of the request are unread would take the answer away from the client.
    let _ = timeout(Duration::from_secs(1), copy(&mut client, &mut sink())).await;
    Ok(())
}

async fn cut_short(client: TcpStream, target: SocketAddr) -> Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_backend, mut to_backend) = TcpStream::connect(target).await?.into_split();
    let passing_on = tokio::spawn(async move { copy(&mut from_client, &mut to_backend).await });
    let mut whole = vec![0; 64 * 1024];
    let length = from_backend.read(&mut whole).await?;
    to_client.write_all(&whole[..length - length.min(20)]).await?;
    passing_on.abort();
    Ok(())
}
