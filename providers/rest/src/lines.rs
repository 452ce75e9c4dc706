//! Connections that are logged in themselves: with NTLM it is the connection that gets in, and not the request.

mod dialer;
mod line;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use reqwest::{
    StatusCode,
    header::{HeaderMap, WWW_AUTHENTICATE},
};
use tokio::time::{Instant, sleep};
use url::{Origin, Url};

use self::{dialer::Dialer, line::Line};
use crate::{
    client::{CONNECT, IDLE_CONNECTIONS, IDLE_TIMEOUT},
    tls::Tls,
    transport::{Failure, Received},
};

/// Connections for one login of one store.
///
/// A request has its line for itself, from the first question of the server to the answer that counts, so no other
/// request is taken for the one that logged in. Lines that got in are kept for later requests of the same store. One
/// on which a login was begun but not ended is closed, also when the caller gives up. All speak HTTP/1.1: with HTTP/2
/// a connection is everybody's.
pub struct Lines {
    dialer: Dialer,
    idle: Arc<Idle>,
}

/// One login on one line.
pub trait LineLogin: Send {
    /// What the next try on the same line shows in `Authorization`, after a 401 with these values of
    /// `WWW-Authenticate`. Nothing, where there is nothing left to say and the refusal stands.
    fn answer(&mut self, challenges: &[&str]) -> Option<SecretBytes>;
}

impl Lines {
    /// Lines for the backend that calls itself `provider`; they are opened when they are needed. The process's proxy
    /// settings are honoured.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when the certificates or the key cannot be used.
    pub fn new(provider: &'static str, tls: &Tls) -> Result<Self> {
        let tls = tls.config().map_err(|text| Error::new(ErrorKind::InvalidConfig, provider, CONNECT, text))?;
        Ok(Self { dialer: Dialer::new(tls), idle: Arc::default() })
    }

    /// Sends `request` as often as `login` has something to say, all of it on one line.
    pub(crate) async fn exchange(
        &self,
        request: &reqwest::Request,
        login: &mut dyn LineLogin,
    ) -> Result<Received, Failure> {
        let mut line = self.take(request.url()).await?;
        let (mut shown, mut stale) = (None, true);
        loop {
            let received = match line.exchange(request, shown.as_ref()).await {
                // The server had closed the line while nobody looked.
                Err(Failure::NotSent) if shown.is_none() && std::mem::take(&mut stale) => {
                    line = self.dialer.dial(request.url()).await?;
                    continue;
                }
                outcome => outcome?,
            };
            if received.status != StatusCode::UNAUTHORIZED {
                self.keep(request.url().origin(), line).await;
                return Ok(received);
            }
            let challenges = received.headers.get_all(WWW_AUTHENTICATE).iter();
            let challenges: Vec<_> = challenges.filter_map(|value| value.to_str().ok()).collect();
            let Some(next) = login.answer(&challenges) else { return Ok(received) };
            if line.is_forwarded() && !keeps_clients_apart(&received.headers) {
                return Err(Failure::SharedByProxy);
            }
            if !line.is_open().await {
                // A server may hang up when it has said how to log in, but not in the middle of it.
                if shown.is_some() {
                    return Err(Failure::HungUp);
                }
                line = self.dialer.dial(request.url()).await?;
            }
            shown = Some(next);
        }
    }

    async fn take(&self, url: &Url) -> Result<Line, Failure> {
        let origin = url.origin();
        while let Some(mut line) = self.idle.take(&origin, Instant::now()) {
            if line.is_open().await {
                return Ok(line);
            }
        }
        self.dialer.dial(url).await
    }

    async fn keep(&self, origin: Origin, mut line: Line) {
        if line.is_open().await && self.idle.keep(origin, line, Instant::now()) {
            tokio::spawn(close_forgotten(Arc::downgrade(&self.idle)));
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// RFC 4559 forbids such logins through a proxy that does not say this: it may send other people's requests over the
/// connection that we logged in.
fn keeps_clients_apart(headers: &HeaderMap) -> bool {
    headers.get_all("proxy-support").iter().any(|value| {
        let said = value.as_bytes().trim_ascii();
        said.eq_ignore_ascii_case(b"Session-Based-Authentication")
    })
}

/// Lines that wait for the next request.
#[derive(Default)]
struct Idle(Mutex<State>);

#[derive(Default)]
struct State {
    lines: Vec<(Origin, Line, Instant)>,
    /// Somebody looks after lines that nobody takes any more.
    watched: bool,
}

impl Idle {
    fn take(&self, origin: &Origin, now: Instant) -> Option<Line> {
        let mut state = self.state();
        state.drop_old(now);
        let newest = state.lines.iter().rposition(|(of, ..)| of == origin)?;
        Some(state.lines.swap_remove(newest).1)
    }

    /// Whether from now on somebody must watch.
    fn keep(&self, origin: Origin, line: Line, now: Instant) -> bool {
        let mut state = self.state();
        if state.lines.len() < IDLE_CONNECTIONS {
            state.lines.push((origin, line, now));
        }
        !std::mem::replace(&mut state.watched, true)
    }

    /// Whether somebody must go on watching.
    fn drop_old(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.drop_old(now);
        state.watched = !state.lines.is_empty();
        state.watched
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_old(&mut self, now: Instant) {
        self.lines.retain(|(_, _, since)| now < *since + IDLE_TIMEOUT);
    }
}

async fn close_forgotten(idle: Weak<Idle>) {
    /// Often enough that no line waits much longer than it should.
    const EVERY: Duration = Duration::from_secs(30);
    loop {
        sleep(EVERY).await;
        if !idle.upgrade().is_some_and(|idle| idle.drop_old(Instant::now())) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
