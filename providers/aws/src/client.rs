//! Signed requests: what is the same for all operations of all services.

use std::{fmt, sync::Arc};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::RetryConfig};
use aws_types::{SdkConfig, app_name::AppName, region::Region, sdk_config::SharedCredentialsProvider};
use keyferry_clouds::aws::{
    Ambient, Caller,
    failure::{Action, Purpose},
    http,
};
use keyferry_core::{CallObserver, Error, ErrorKind, Result};
use keyferry_rest::{Grant, Session};

use crate::{
    auth::SignIn,
    config::{self, AwsConfig},
    environment::{Environment, Variable},
};

/// The SDK's clients, with one login.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) secrets_manager: aws_sdk_secretsmanager::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
}

/// Calls to AWS with the login of one store.
pub(crate) struct Client {
    wire: Wire,
    session: Session<SignIn>,
}

impl Client {
    pub(crate) fn new(config: &AwsConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let wire = Wire::new(config, observer)?;
        let session = Session::new(SignIn::new(config, wire.clone())?);
        Ok(Self { wire, session })
    }

    /// Makes a call, and once more with a new login where AWS no longer accepts the present one and another can be had.
    pub(crate) async fn call<T, E, F>(
        &self,
        action: Action,
        about: &str,
        send: impl Fn(&Clients) -> F + Send + Sync,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + Send,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        T: Send,
    {
        let purpose = self.purpose(action, about);
        let attempt = |login: Grant<Clients>| self.wire.caller.exchange(purpose, send(&login));
        if self.session.login().is_renewable() {
            self.session.with(attempt).await
        } else {
            attempt(self.session.grant().await?).await
        }
    }

    pub(crate) fn purpose<'a>(&self, action: Action, about: &'a str) -> Purpose<'a> {
        self.wire.caller.purpose(action, about)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("wire", &self.wire).field("session", &self.session).finish()
    }
}

/// The way to AWS without a login.
#[derive(Clone)]
pub(crate) struct Wire {
    caller: Caller,
    region: Region,
    sdk: SdkConfig,
    endpoints: Endpoints,
}

#[derive(Clone, Debug)]
struct Endpoints {
    secrets_manager: Option<String>,
    ssm: Option<String>,
    sts: Option<String>,
    fips: bool,
    dual_stack: bool,
}

const CONFIGURE: &str = "Configure";

impl Wire {
    fn new(config: &AwsConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let provider = config.service.provider();
        let invalid = |text| Error::new(ErrorKind::InvalidConfig, provider, CONFIGURE, text);
        if let Some(flaw) = config::flaw(config) {
            return Err(invalid(flaw));
        }
        let endpoints = Endpoints::of(&config.environment).map_err(invalid)?;
        let region = Region::new(config.region.clone());
        let mut sdk =
            SdkConfig::builder()
                .behavior_version(aws_config::BehaviorVersion::latest())
                .region(region.clone())
                .http_client(http::shared(config.environment.proxies()))
                .retry_config(RetryConfig::disabled())
                .identity_cache(aws_config::identity::IdentityCache::no_cache())
                .stalled_stream_protection(
                    aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled(),
                );
        sdk.set_app_name(AppName::new("keyferry").ok());
        sdk.set_sleep_impl(aws_smithy_async::rt::sleep::default_async_sleep());
        let caller = Caller { provider, observer, proof: None };
        Ok(Self { caller, region, sdk: sdk.build(), endpoints })
    }

    /// Clients that sign with `credentials`, or not at all.
    pub(crate) fn clients(&self, credentials: Option<Credentials>) -> Clients {
        let mut sdk = self.sdk.clone().into_builder();
        sdk.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
        let sdk = sdk.build();
        let Endpoints { secrets_manager, ssm, sts, .. } = &self.endpoints;
        Clients {
            secrets_manager: aws_sdk_secretsmanager::Client::new(&self.towards(&sdk, secrets_manager.as_ref())),
            ssm: aws_sdk_ssm::Client::new(&self.towards(&sdk, ssm.as_ref())),
            sts: aws_sdk_sts::Client::new(&self.towards(&sdk, sts.as_ref())),
        }
    }

    /// An endpoint that somebody names is used as it is; of AWS's own there are several kinds.
    fn towards(&self, sdk: &SdkConfig, endpoint: Option<&String>) -> SdkConfig {
        let mut sdk = sdk.to_builder();
        match endpoint {
            Some(url) => sdk.set_endpoint_url(Some(url.clone())),
            None => sdk.set_use_fips(Some(self.endpoints.fips)).set_use_dual_stack(Some(self.endpoints.dual_stack)),
        };
        sdk.build()
    }

    /// Who the operator is in AWS.
    pub(crate) fn ambient(&self, environment: &Environment) -> Ambient {
        Ambient::new(self.caller.clone(), self.region.clone(), &environment.network())
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Endpoints {
    fn of(environment: &Environment) -> Result<Self, String> {
        let url = |variable: &Option<Variable>| variable.as_ref().map(Variable::url).transpose();
        let Environment { secrets_manager, ssm, sts, fips, dual_stack, .. } = environment;
        Ok(Self {
            secrets_manager: url(secrets_manager)?,
            ssm: url(ssm)?,
            sts: url(sts)?,
            fips: *fips,
            dual_stack: *dual_stack,
        })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, region, endpoints, .. } = self;
        f.debug_struct("Wire")
            .field("provider", &caller.provider)
            .field("region", region)
            .field("endpoints", endpoints)
            .finish_non_exhaustive()
    }
}
