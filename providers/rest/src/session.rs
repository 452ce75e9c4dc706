//! A login that all callers share.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Result, Retry};
use tokio::time::Instant;

/// How one backend logs in.
#[async_trait]
pub trait Login: fmt::Debug + Send + Sync + 'static {
    /// What a login yields: a token, mostly.
    type Token: Send + Sync + 'static;

    /// Logs in. `current` is the token that is about to end, where there is one, for backends that can renew; one
    /// that was refused is never offered.
    ///
    /// An [`ErrorKind::NotFound`] is passed on as [`ErrorKind::InvalidConfig`]: it is not about a secret.
    async fn login(&self, current: Option<&Self::Token>) -> Result<Lease<Self::Token>>;
}

/// A token and how long it holds.
#[derive(Debug)]
pub struct Lease<T> {
    /// The token.
    pub token: T,
    /// How long it holds, counted from the moment that the login was asked for; `None` where it does not end by
    /// itself.
    pub ttl: Option<Duration>,
}

/// A token in use.
#[derive(Debug)]
pub struct Grant<T> {
    token: Arc<T>,
    serial: u64,
}

impl<T> Clone for Grant<T> {
    fn clone(&self) -> Self {
        Self { token: Arc::clone(&self.token), serial: self.serial }
    }
}

impl<T> Deref for Grant<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.token
    }
}

/// A login that all callers share.
///
/// At any time at most one login is under way; whoever comes meanwhile waits for it, or goes on with the token that
/// still holds. A token is renewed by the first caller after two thirds of its life, and at the latest 30 seconds
/// before its end; nothing runs in the background. When the caller who logs in is cancelled, the next one in the
/// queue takes over. A login that failed is the answer for all who waited for it, and one that was refused also for
/// those who come within the next seconds, so that a thousand callers do not lock the account.
pub struct Session<L: Login> {
    login: L,
    flight: tokio::sync::Mutex<()>,
    state: Mutex<State<L::Token>>,
}

struct State<T> {
    held: Option<Held<T>>,
    failed: Option<Failed>,
    failures: u64,
    /// When the last login began.
    tried: Option<Instant>,
    serial: u64,
}

struct Held<T> {
    grant: Grant<T>,
    renew: Option<Instant>,
    end: Option<Instant>,
}

struct Failed {
    at: Instant,
    error: Error,
}

/// Something that a login needs is not there. To those who read secrets with it this must not look as if their secret
/// were gone, because then they might delete it.
fn never_not_found(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => Error { kind: ErrorKind::InvalidConfig, ..error },
        _ => error,
    }
}

/// How long before its end a token is renewed at the latest, unless it lives hardly longer than that.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a refused login, and a failed renewal of a token that still holds, is not tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// Keeps what servers promise within what a clock can hold.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// How old a token that lives for `ttl` is when it is renewed.
fn renew_after(ttl: Duration) -> Duration {
    (ttl * 2 / 3).min(ttl.saturating_sub(MARGIN)).max(ttl / 3)
}

impl<L: Login> Session<L> {
    /// A session that logs in when it is first used.
    pub fn new(login: L) -> Self {
        let state = State { held: None, failed: None, failures: 0, tried: None, serial: 0 };
        Self { login, flight: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    /// The token of the present login; logs in or renews where it must.
    pub async fn grant(&self) -> Result<Grant<L::Token>> {
        let (usable, failures) = {
            let state = self.state();
            (state.usable(Instant::now()), state.failures)
        };
        let (ageing, _flight) = match usable {
            Usable::Fresh(grant) => return Ok(grant),
            Usable::Ageing(grant) => match self.flight.try_lock() {
                Ok(flight) => (Some(grant), flight),
                Err(_) => return Ok(grant),
            },
            Usable::No => (None, self.flight.lock().await),
        };
        let settled = self.state().settled(failures);
        if let Some(settled) = settled {
            return settled;
        }
        let began = Instant::now();
        self.state().tried = Some(began);
        let answer = self.login.login(ageing.as_deref()).await.map_err(never_not_found);
        let now = Instant::now();
        let mut state = self.state();
        match (answer, ageing) {
            (Ok(lease), _) => Ok(state.hold(lease, began)),
            (Err(_), Some(grant)) if state.holds(&grant, now) => Ok(grant),
            (Err(error), _) => {
                state.failed = Some(Failed { at: now, error: error.clone() });
                state.failures += 1;
                Err(error)
            }
        }
    }

    /// Drops the login of `grant`, because the backend no longer accepts it. Whoever asks next logs in anew; when it
    /// has been replaced already, nothing happens.
    pub fn drop_grant(&self, grant: &Grant<L::Token>) {
        let mut state = self.state();
        state.held = state.held.take().filter(|held| held.grant.serial != grant.serial);
    }

    /// Makes `call` with the present login. If the backend does not accept it ([`ErrorKind::Unauthenticated`]), the
    /// login is dropped and the call made once more with a new one, unless the refused login was brand-new.
    pub async fn with<R, C, F>(&self, call: C) -> Result<R>
    where
        C: Fn(Grant<L::Token>) -> F,
        F: Future<Output = Result<R>>,
    {
        let before = self.state().serial;
        loop {
            let grant = self.grant().await?;
            let brand_new = grant.serial > before;
            match call(grant.clone()).await {
                Err(error) if error.kind == ErrorKind::Unauthenticated => {
                    self.drop_grant(&grant);
                    if brand_new {
                        return Err(error);
                    }
                }
                settled => return settled,
            }
        }
    }

    /// Gives up the present login, and answers it if there is one, so that it can be revoked. Whoever asks next logs in
    /// anew.
    pub fn leave(&self) -> Option<Grant<L::Token>> {
        self.state().held.take().map(|held| held.grant)
    }

    /// How this session logs in.
    pub fn login(&self) -> &L {
        &self.login
    }

    fn state(&self) -> MutexGuard<'_, State<L::Token>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Login> fmt::Debug for Session<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("login", &self.login).finish_non_exhaustive()
    }
}

enum Usable<T> {
    /// It still holds, but should be renewed now.
    Ageing(Grant<T>),
    Fresh(Grant<T>),
    No,
}

impl<T> State<T> {
    fn usable(&self, now: Instant) -> Usable<T> {
        let Some(held) = self.held.as_ref().filter(|held| held.end.is_none_or(|end| now < end)) else {
            return Usable::No;
        };
        let tried_lately = self.tried.is_some_and(|tried| now < tried + PAUSE);
        match held.renew {
            Some(renew) if now >= renew && !tried_lately => Usable::Ageing(held.grant.clone()),
            _ => Usable::Fresh(held.grant.clone()),
        }
    }

    /// What became of it while a caller waited for its turn, who had come when so many logins had failed.
    fn settled(&self, failures: u64) -> Option<Result<Grant<T>>> {
        let now = Instant::now();
        if let Usable::Fresh(grant) = self.usable(now) {
            return Some(Ok(grant));
        }
        let failed = self.failed.as_ref()?;
        let counts = failures < self.failures || (failed.error.retry == Retry::Never && now < failed.at + PAUSE);
        counts.then(|| Err(failed.error.clone()))
    }

    fn holds(&self, grant: &Grant<T>, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| held.grant.serial == grant.serial && held.end.is_none_or(|end| now < end))
    }

    fn hold(&mut self, lease: Lease<T>, began: Instant) -> Grant<T> {
        self.serial += 1;
        self.failed = None;
        let grant = Grant { token: Arc::new(lease.token), serial: self.serial };
        let ttl = lease.ttl.map(|ttl| ttl.min(LONGEST));
        self.held = Some(Held {
            grant: grant.clone(),
            renew: ttl.map(|ttl| began + renew_after(ttl)),
            end: ttl.map(|ttl| began + ttl),
        });
        grant
    }
}

#[cfg(test)]
mod tests;
