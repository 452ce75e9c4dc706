//! How the requests of Azure's clients go out.
//!
//! Azure's clients write each request and read each answer; between the two, this sends the request with the store's
//! login, so that their own ways to log in, to try again and to tell of errors are never used.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind as AzureErrorKind,
    http::{
        AsyncRawResponse, ClientOptions, Context, Method, Request, RetryOptions, StatusCode, Transport, Url,
        headers::Headers,
        policies::{Policy, PolicyResult},
    },
};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, Session};

use crate::{PROVIDER, auth::AzureLogin, config::invalid, failure};

/// What a request is about. Goes with the request through Azure's client.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// For people, behind a "the": `secret a`.
    pub(crate) about: String,
    /// What a whole answer holds.
    pub(crate) member: &'static str,
    pub(crate) operation: &'static str,
    /// The role that may ask.
    pub(crate) role: &'static str,
}

impl Asked {
    /// The answer has another form than that of Key Vault.
    pub(crate) fn malformed(&self) -> Error {
        let text = format!("the answer about the {} is not what Key Vault promises", self.about);
        Error::new(ErrorKind::Malformed, PROVIDER, self.operation, text)
    }
}

/// The way to one vault.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) http: Client,
    pub(crate) session: Arc<Session<AzureLogin>>,
    pub(crate) vault: BaseUrl,
}

impl Way {
    /// What makes one of Azure's clients go this way.
    pub(crate) fn options(self: &Arc<Self>) -> ClientOptions {
        let way: Arc<dyn Policy> = Arc::<Self>::clone(self);
        ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::with_policy(way)),
            ..ClientOptions::default()
        }
    }

    /// The vault as Azure's clients are told: they refuse plain HTTP, which [`Way`] allows on this machine.
    pub(crate) fn endpoint(&self) -> Result<Url> {
        let mut url = self.vault.as_url().clone();
        let told = url.set_scheme("https");
        told.map(|()| url).map_err(|()| invalid("Configure", "vaultUrl: cannot be used with HTTPS"))
    }

    async fn ask(&self, asked: &Asked, request: &Request) -> Result<SecretBytes> {
        if request.method() != Method::Get {
            let text = "stores of Azure Key Vault are only read";
            return Err(Error::new(ErrorKind::Unsupported, PROVIDER, asked.operation, text));
        }
        // Whatever address a client has made up, it is this vault that is asked.
        let mut url = self.vault.as_url().clone();
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        let about = format!("the {}", asked.about);
        self.session
            .with(async |token| {
                let answer = self.http.get(asked.operation, url.clone()).about(&about).bearer(&token).send().await?;
                match failure::of(&answer, asked, self.session.login()) {
                    Some(error) => Err(error),
                    None => answer.bytes(),
                }
            })
            .await
    }
}

#[async_trait]
impl Policy for Way {
    async fn send(&self, context: &Context, request: &mut Request, _next: &[Arc<dyn Policy>]) -> PolicyResult {
        let unknown =
            || azure_core::Error::with_message(AzureErrorKind::Other, "nobody says what the request is about");
        let asked = context.value::<Asked>().ok_or_else(unknown)?;
        match self.ask(asked, request).await {
            // The answer's bytes leave the type for secrets here, because Azure's clients take no other.
            Ok(body) => Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), body.expose().to_vec())),
            Err(error) => Err(azure_core::Error::new(AzureErrorKind::Other, error)),
        }
    }
}

/// What Azure's clients must be given to log in with. They would ask it after an answer 401, which they never see.
#[derive(Debug)]
pub(crate) struct NoCredential;

#[async_trait]
impl TokenCredential for NoCredential {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        Err(azure_core::Error::with_message(AzureErrorKind::Credential, "requests get their token on the way"))
    }
}

/// The error that [`Way`] has put into one of Azure's; what they find wrong themselves is the answer's form. Their texts
/// may quote it.
pub(crate) fn ours(error: &azure_core::Error, asked: &Asked) -> Error {
    error.downcast_ref::<Error>().cloned().unwrap_or_else(|| asked.malformed())
}
