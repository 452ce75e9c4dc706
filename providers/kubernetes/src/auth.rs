//! Ways to log in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Result, SecretBytes, TokenSource};
use keyferry_rest::{Identity, Lease, Login, Session};

/// How a store shows the API server who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By a client certificate.
    Cert(Identity),
    /// As a kubeconfig says, which also names the server and its CA.
    Kubeconfig(SecretBytes),
    /// By tokens of a ServiceAccount of our own cluster.
    ServiceAccount {
        /// Mints the tokens.
        tokens: Arc<dyn TokenSource>,
        /// Whom the tokens are for; none means our own API server.
        audiences: Vec<String>,
    },
    /// By a token that somebody else made.
    Token(SecretBytes),
}

/// What every request carries.
#[derive(Debug)]
pub(crate) enum Access {
    /// Nothing: the connection's certificate says it all.
    Certificate,
    /// A token that cannot be renewed from here.
    Fixed(SecretBytes),
    /// A token that all callers share, and that is renewed before it ends.
    Minted(Box<Session<ServiceAccountLogin>>),
}

impl Access {
    pub(crate) fn minted(tokens: Arc<dyn TokenSource>, audiences: Vec<String>) -> Self {
        Self::Minted(Box::new(Session::new(ServiceAccountLogin { tokens, audiences })))
    }

    /// Makes `call` with the present token, if there is one.
    pub(crate) async fn with<R, C, F>(&self, call: C) -> Result<R>
    where
        C: Fn(Option<SecretBytes>) -> F,
        F: Future<Output = Result<R>>,
    {
        match self {
            Self::Certificate => call(None).await,
            Self::Fixed(token) => call(Some(token.clone())).await,
            Self::Minted(session) => session.with(|token| call(Some(SecretBytes::clone(&token)))).await,
        }
    }
}

/// As long as users of other operators know it; a token is renewed after two thirds of it.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// Logs in as a ServiceAccount.
#[derive(Debug)]
pub(crate) struct ServiceAccountLogin {
    tokens: Arc<dyn TokenSource>,
    audiences: Vec<String>,
}

#[async_trait]
impl Login for ServiceAccountLogin {
    type Token = SecretBytes;

    async fn login(&self, _current: Option<&SecretBytes>) -> Result<Lease<SecretBytes>> {
        let minted = self.tokens.token(&self.audiences, TOKEN_TTL).await?;
        Ok(Lease { token: minted.token, ttl: Some(minted.valid_for) })
    }
}
