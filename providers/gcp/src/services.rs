//! Google's services as one store reaches them.

use std::{fmt, sync::Arc};

use keyferry_clouds::google::{self, Google};
use keyferry_core::{CallObserver, Error, ErrorKind, Result};
use keyferry_rest::{Client, Tls};

use crate::{PROVIDER, environment::Environment};

/// What every login needs.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) environment: Environment,
    pub(crate) google: Google,
}

impl Services {
    pub(crate) fn new(environment: Environment, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let http = Client::new(PROVIDER, &Tls::default(), observer)?;
        let endpoints = environment.endpoints.clone();
        let endpoints = google::Endpoints {
            iam_credentials: endpoints.iam_credentials,
            metadata: endpoints.metadata,
            oauth2: endpoints.oauth2,
            secure_token: endpoints.secure_token,
            sts: endpoints.sts,
        };
        Ok(Self { environment, google: Google { http, endpoints } })
    }
}

/// An error of the store's settings that was found before anything was sent.
pub(crate) fn invalid(operation: &'static str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, operation, message.to_string())
}
