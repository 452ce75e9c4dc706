//! The operator's own identity, from the SDK's chain of sources.

use std::{env, error::Error as StdError, fmt, sync::Arc};

use aws_config::{
    BehaviorVersion, default_provider::credentials::DefaultCredentialsChain, imds, provider_config::ProviderConfig,
};
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
use aws_types::region::Region;
use keyferry_core::{CallObserver, CallReport, Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use super::{
    caller::Caller,
    failure::{Action, Purpose},
    http,
};

/// Environment variables, a shared profile, web identity, Pod Identity or ECS, the instance's role: the first that has
/// anything to say.
pub struct Ambient {
    caller: Caller,
    region: Region,
    settings: ProviderConfig,
    chain: OnceCell<DefaultCredentialsChain>,
}

/// The way to AWS, as the environment of the process says.
#[derive(Clone, Debug)]
pub struct Network {
    /// Proxies.
    pub proxies: ProxyConfig,
    /// Whether AWS's endpoints with FIPS-validated cryptography are asked, where no others are named.
    pub fips: bool,
    /// Whether AWS's endpoints that answer on IPv6 too are asked, where no others are named.
    pub dual_stack: bool,
}

impl Network {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        let is_on = |name| env::var(name).is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let proxies = ProxyConfig::from_env();
        Self { proxies, fips: is_on("AWS_USE_FIPS_ENDPOINT"), dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT") }
    }
}

impl Ambient {
    /// Who this process is in AWS. STS is asked in `region`, where that is needed.
    pub fn new(caller: Caller, region: Region, network: &Network) -> Self {
        let settings = ProviderConfig::empty()
            .with_region(Some(region.clone()))
            .with_use_fips(Some(network.fips))
            .with_use_dual_stack(Some(network.dual_stack))
            .with_http_client(observed(&caller, &network.proxies))
            .with_retry_config(RetryConfig::disabled());
        let settings = match aws_smithy_async::rt::sleep::default_async_sleep() {
            Some(sleep) => settings.with_sleep_impl(sleep),
            None => settings,
        };
        Self { caller, region, settings, chain: OnceCell::new() }
    }

    /// Its present credentials.
    pub async fn credentials(&self) -> Result<Credentials> {
        let build = || async {
            // Where there is no such service, every try costs a second.
            let imds = imds::Client::builder().configure(&self.settings).max_attempts(1).build();
            DefaultCredentialsChain::builder()
                .region(self.region.clone())
                .configure(self.settings.clone())
                .imds_client(imds)
                .build()
                .await
        };
        let chain = self.chain.get_or_init(build).await;
        chain.provide_credentials().await.map_err(|error| missing(&self.caller, &error))
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").field("region", &self.region).finish_non_exhaustive()
    }
}

const LOAD: Action = Action { service: "sts", name: "FindAwsCredentials" };
const ASSUME: Action = Action { service: "sts", name: "AssumeRoleWithWebIdentity" };
const ABOUT: &str = "the operator's own identity";

/// Where this process runs, as its environment, its profile or its machine says.
pub(super) async fn region(caller: &Caller, network: &Network) -> Option<Region> {
    let loader = aws_config::defaults(BehaviorVersion::latest()).no_credentials();
    let loader = loader.http_client(observed(caller, &network.proxies)).retry_config(RetryConfig::disabled());
    loader.load().await.region().cloned()
}

fn missing(caller: &Caller, error: &CredentialsError) -> Error {
    let purpose = caller.purpose(LOAD, ABOUT);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => nowhere(caller, "credentials"),
        CredentialsError::ProviderTimedOut(_) => {
            purpose.error(ErrorKind::TimedOut, format!("{ABOUT} was not told in time"))
        }
        CredentialsError::InvalidConfiguration(_) => purpose.error(
            ErrorKind::InvalidConfig,
            format!("{ABOUT} is badly configured; check its AWS_* variables and profile"),
        ),
        _ => refused(caller.purpose(ASSUME, "the role of the operator's own identity"), error).unwrap_or_else(|| {
            purpose.error(ErrorKind::Unavailable, format!("{ABOUT} cannot be loaded; check that its pod reaches what gives it one (Pod Identity's agent, the node)"))
        }),
    }
}

/// That nothing around this process tells `what`.
pub(super) fn nowhere(caller: &Caller, what: &str) -> Error {
    let whom = caller.proof.unwrap_or("a store without `auth`");
    let text = format!(
        "no AWS {what} found in the operator's pod for {whom}; give it an IAM role (IRSA, Pod Identity or the node's), or \
         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION"
    );
    caller.purpose(LOAD, ABOUT).error(ErrorKind::Unauthenticated, text)
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
fn observed(caller: &Caller, proxies: &ProxyConfig) -> SharedHttpClient {
    let (provider, observer, proxies) = (caller.provider, Arc::clone(&caller.observer), proxies.clone());
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
