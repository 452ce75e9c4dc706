//! With which token a call is made, and what it means when Vault denies one.

use std::{fmt, sync::Arc, time::Duration};

use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{Grant, Session};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    auth::Auth,
    client::{VaultClient, ended, operation},
    headers::carried,
    session::{Token, VaultLogin},
};

/// The way of one store to its tokens.
pub(crate) struct Access {
    client: Arc<VaultClient>,
    credential: Credential,
    doubt: Mutex<Doubt>,
}

enum Credential {
    Login(Box<Session<VaultLogin>>),
    None,
    Token(SecretBytes),
}

/// Vault says 403 both to a token that has ended and to a good one that may not do this. Only a lookup tells them
/// apart, and a policy can forbid even that. This is what keeps us from asking again and again.
#[derive(Default)]
struct Doubt {
    verdict: Option<Verdict>,
    /// Until when no denial is doubted, because lookups prove nothing here.
    rest: Option<Instant>,
}

/// What a lookup said.
struct Verdict {
    /// When the token was obtained that it was about; `None` for the one that the store names.
    of: Option<Instant>,
    valid: bool,
    asked: Instant,
}

/// How long such a rest is: what it hides is a token that somebody revoked, until it is replaced anyway.
const REST: Duration = Duration::from_hours(1);

impl Access {
    pub(crate) fn new(client: Arc<VaultClient>, auth: Auth) -> Result<Self> {
        let credential = match auth {
            Auth::Login { path, method } => {
                Credential::Login(Box::new(Session::new(VaultLogin { client: Arc::clone(&client), path, method })))
            }
            Auth::None => Credential::None,
            Auth::Token(token) => {
                let token = token.trimmed();
                usable(&token).map_err(|text| client.invalid(operation::LOOKUP_SELF, text))?;
                Credential::Token(token)
            }
        };
        Ok(Self { client, credential, doubt: Mutex::default() })
    }

    /// Makes `call` with the store's token. If its login turns out to have ended, makes it once more with a new one.
    pub(crate) async fn with<R, C, F>(&self, call: C) -> Result<R>
    where
        C: Fn(Option<SecretBytes>) -> F,
        F: Future<Output = Result<R>>,
    {
        match &self.credential {
            Credential::None => call(None).await,
            Credential::Token(token) => match call(Some(token.clone())).await {
                Err(error) if is_denial(&error) => Err(self.meaning(error, token, None).await),
                settled => settled,
            },
            Credential::Login(session) => {
                let asked = Instant::now();
                let attempt = |grant: Grant<Token>| {
                    let answer = call(Some(grant.secret.clone()));
                    async move {
                        match answer.await {
                            Err(error) if is_denial(&error) && grant.obtained >= asked => {
                                self.examine(&grant).await;
                                Err(error)
                            }
                            Err(error) if is_denial(&error) => {
                                Err(self.meaning(error, &grant.secret, Some(grant.obtained)).await)
                            }
                            settled => settled,
                        }
                    }
                };
                session.with(attempt).await
            }
        }
    }

    /// Whether the store's token is good, or one can be had.
    pub(crate) async fn check(&self) -> Result<()> {
        match &self.credential {
            // Whatever token the agent adds, what it may do is not ours to prove.
            Credential::None => match self.client.lookup(None).await {
                Err(error) if error.kind == ErrorKind::Unauthenticated => Ok(()),
                settled => settled,
            },
            Credential::Token(token) => self.client.lookup(Some(token)).await,
            Credential::Login(session) => {
                let asked = Instant::now();
                let attempt = |grant: Grant<Token>| async move {
                    if grant.obtained >= asked {
                        self.examine(&grant).await;
                        return Ok(());
                    }
                    let mut doubt = self.doubt.lock().await;
                    if doubt.rests() {
                        return Ok(());
                    }
                    self.lookup(&mut doubt, &grant.secret, Some(grant.obtained), asked).await
                };
                session.with(attempt).await
            }
        }
    }

    /// Ends the present login, if there is one that can be ended.
    pub(crate) async fn end(&self) {
        if let Credential::Login(session) = &self.credential
            && let Some(grant) = session.leave().filter(|grant| grant.revocable)
        {
            self.client.revoke(&grant.secret).await;
        }
    }

    /// What `denial` of a call with `token` means: that, or that the token has ended.
    async fn meaning(&self, denial: Error, token: &SecretBytes, obtained: Option<Instant>) -> Error {
        let denied = Instant::now();
        // Held during the lookup, so that those who are denied at the same time share it.
        let mut doubt = self.doubt.lock().await;
        if doubt.rests() {
            return denial;
        }
        self.lookup(&mut doubt, token, obtained, denied).await.err().unwrap_or(denial)
    }

    /// Asks whether `token` is valid, unless somebody has asked at `since` or later. A token that has ended stays so.
    async fn lookup(&self, doubt: &mut Doubt, token: &SecretBytes, of: Option<Instant>, since: Instant) -> Result<()> {
        match &doubt.verdict {
            Some(verdict) if verdict.of == of && verdict.valid && verdict.asked >= since => return Ok(()),
            Some(verdict) if verdict.of == of && !verdict.valid && of.is_some() => return Err(ended()),
            _ => {}
        }
        let asked = Instant::now();
        let outcome = self.client.lookup(Some(token)).await;
        let valid = match &outcome {
            Ok(()) => true,
            Err(error) if error.kind == ErrorKind::Unauthenticated => false,
            Err(_) => return outcome,
        };
        doubt.verdict = Some(Verdict { of, valid, asked });
        outcome
    }

    /// After a lookup made us log in anew: if the same lookup also calls the brand-new token invalid, it is the lookup
    /// that is forbidden, and there was no need.
    async fn examine(&self, brand_new: &Token) {
        let mut doubt = self.doubt.lock().await;
        if doubt.verdict.as_ref().is_some_and(|verdict| !verdict.valid) {
            let outcome = self.lookup(&mut doubt, &brand_new.secret, Some(brand_new.obtained), Instant::now()).await;
            if outcome.is_err_and(|error| error.kind == ErrorKind::Unauthenticated) {
                *doubt = Doubt { verdict: None, rest: Some(Instant::now() + REST) };
            }
        }
    }
}

impl Doubt {
    fn rests(&self) -> bool {
        self.rest.is_some_and(|rest| Instant::now() < rest)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.credential {
            Credential::Login(_) => "Access::Login",
            Credential::None => "Access::None",
            Credential::Token(_) => "Access::Token",
        })
    }
}

fn usable(token: &SecretBytes) -> Result<(), String> {
    let what = "auth.tokenSecretRef: the token in the Secret";
    if token.is_empty() { Err(format!("{what} is empty; put one there")) } else { carried(what, token.expose()) }
}

fn is_denial(error: &Error) -> bool {
    error.kind == ErrorKind::AccessDenied && error.status == Some(403)
}
