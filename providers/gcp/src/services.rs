//! Google's services as one store reaches them.

use std::{fmt, sync::Arc};

use keyferry_core::{CallObserver, Error, ErrorKind, Result};
use keyferry_rest::{BaseUrl, Client, Tls, Url};

use crate::{PROVIDER, calls::Calls, environment::Environment};

/// What every login needs.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) calls: Calls,
    pub(crate) environment: Environment,
    pub(crate) http: Client,
}

/// The services that logins talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    IamCredentials,
    Metadata,
    OAuth2,
    SecureToken,
    Sts,
}

impl Services {
    pub(crate) fn new(environment: Environment, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let http = Client::new(PROVIDER, &Tls::default(), Arc::clone(&observer))?;
        Ok(Self { calls: Calls::new(observer), environment, http })
    }

    /// The address of `path`, which is plain text, at `service`.
    pub(crate) fn url(&self, operation: &'static str, service: Service, path: &str) -> Result<Url> {
        let endpoints = &self.environment.endpoints;
        let (other, own) = match service {
            Service::IamCredentials => (&endpoints.iam_credentials, "https://iamcredentials.googleapis.com"),
            Service::Metadata => (&endpoints.metadata, "http://metadata.google.internal"),
            Service::OAuth2 => (&endpoints.oauth2, "https://oauth2.googleapis.com"),
            Service::SecureToken => (&endpoints.secure_token, "https://securetoken.googleapis.com"),
            Service::Sts => (&endpoints.sts, "https://sts.googleapis.com"),
        };
        let base = other.as_ref().map_or_else(|| BaseUrl::parse(own), |base| Ok(base.clone()));
        base.and_then(|base| base.join(path)).map_err(|error| self.http.invalid(operation, error))
    }
}

/// An error of the store's settings that was found before anything was sent.
pub(crate) fn invalid(operation: &'static str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, operation, message.to_string())
}
