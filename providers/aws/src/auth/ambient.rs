//! The operator's own identity, from the SDK's chain of sources.

use std::{error::Error as StdError, fmt, sync::Arc};

use aws_config::{default_provider::credentials::DefaultCredentialsChain, imds, provider_config::ProviderConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError},
};
use aws_sdk_sts::operation::{
    assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::RetryConfig};
use keyferry_core::{CallObserver, CallReport, Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use crate::{
    client::Wire,
    error::{Action, Purpose},
    http,
};

/// Environment variables, a shared profile, web identity, Pod Identity or ECS, the instance's role: the first that has
/// anything to say.
pub(super) struct Ambient {
    settings: ProviderConfig,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl Ambient {
    pub(super) fn new(wire: &Wire) -> Self {
        let settings = ProviderConfig::empty()
            .with_region(Some(wire.region()))
            .with_http_client(observed(wire.provider(), wire.observer(), wire.proxies()))
            .with_retry_config(RetryConfig::disabled());
        let settings = match aws_smithy_async::rt::sleep::default_async_sleep() {
            Some(sleep) => settings.with_sleep_impl(sleep),
            None => settings,
        };
        Self { settings, chain: OnceCell::new() }
    }

    pub(super) async fn credentials(&self, wire: &Wire) -> Result<Credentials> {
        let build = || async {
            // Where there is no such service, every try costs a second.
            let imds = imds::Client::builder().configure(&self.settings).max_attempts(1).build();
            DefaultCredentialsChain::builder()
                .region(wire.region())
                .configure(self.settings.clone())
                .imds_client(imds)
                .build()
                .await
        };
        let chain = self.chain.get_or_init(build).await;
        chain.provide_credentials().await.map_err(|error| missing(wire, &error))
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}

const LOAD: Action = Action { service: "sts", name: "LoadCredentials" };
const ASSUME: Action = Action { service: "sts", name: "AssumeRoleWithWebIdentity" };
const ABOUT: &str = "the operator's own identity";

fn missing(wire: &Wire, error: &CredentialsError) -> Error {
    let purpose = wire.purpose(LOAD, ABOUT);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => purpose.error(
            ErrorKind::Unauthenticated,
            "the operator has no identity of its own in AWS; give its pod one (Pod Identity, IRSA), or name `auth` in the \
             store",
        ),
        CredentialsError::ProviderTimedOut(_) => {
            purpose.error(ErrorKind::TimedOut, format!("{ABOUT} was not told in time"))
        }
        CredentialsError::InvalidConfiguration(_) => purpose.error(
            ErrorKind::InvalidConfig,
            format!("{ABOUT} is badly configured; check its AWS_* variables and profile"),
        ),
        _ => refused(wire.purpose(ASSUME, "the role of the operator's own identity"), error).unwrap_or_else(|| {
            purpose.error(ErrorKind::Unavailable, format!("{ABOUT} cannot be loaded; check what its pod gets it from"))
        }),
    }
}

/// What STS or the connection said, where that is how it failed.
fn refused(purpose: Purpose<'_>, error: &CredentialsError) -> Option<Error> {
    fn said<E: ProvideErrorMetadata + StdError + 'static>(
        purpose: Purpose<'_>,
        cause: &(dyn StdError + 'static),
    ) -> Option<Error> {
        cause.downcast_ref::<SdkError<E, HttpResponse>>().map(|failure| purpose.failed(failure))
    }
    let mut cause = error.source();
    while let Some(current) = cause {
        let with_token = || said::<AssumeRoleWithWebIdentityError>(purpose, current);
        if let Some(error) = with_token().or_else(|| said::<AssumeRoleError>(purpose, current)) {
            return Some(error);
        }
        cause = current.source();
    }
    None
}

/// Sources set time limits of their own, which is why each of their requests gets a new connection.
fn observed(provider: &'static str, observer: &Arc<dyn CallObserver>, proxies: &ProxyConfig) -> SharedHttpClient {
    let (observer, proxies) = (Arc::clone(observer), proxies.clone());
    http_client_fn(move |settings, _| {
        let inner = http::connector(settings, proxies.clone());
        SharedHttpConnector::new(Observed { inner, provider, observer: Arc::clone(&observer) })
    })
}

/// Tells the observer of requests that the SDK makes by itself.
#[derive(Debug)]
struct Observed {
    inner: SharedHttpConnector,
    provider: &'static str,
    observer: Arc<dyn CallObserver>,
}

impl HttpConnector for Observed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let (observer, provider) = (Arc::clone(&self.observer), self.provider);
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let report = CallReport::begin(&*observer, provider, operation);
            let answer = answer.await;
            report.end(outcome(&answer));
            answer
        })
    }
}

fn operation(request: &HttpRequest) -> &'static str {
    let form = request.body().bytes().unwrap_or_default();
    if form.starts_with(b"Action=AssumeRoleWithWebIdentity") {
        "AssumeRoleWithWebIdentity"
    } else if form.starts_with(b"Action=AssumeRole") {
        "AssumeRole"
    } else if request.uri().contains("/latest/") {
        "InstanceMetadata"
    } else {
        "ContainerCredentials"
    }
}

fn outcome(answer: &std::result::Result<HttpResponse, ConnectorError>) -> std::result::Result<(), ErrorKind> {
    match answer.as_ref().map(|answer| answer.status().as_u16()) {
        Ok(200..=299) => Ok(()),
        Ok(429) => Err(ErrorKind::Throttled),
        Ok(400..=499) => Err(ErrorKind::Unauthenticated),
        Err(error) if error.is_timeout() => Err(ErrorKind::TimedOut),
        Ok(_) | Err(_) => Err(ErrorKind::Unavailable),
    }
}
