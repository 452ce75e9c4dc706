//! The provider: both services behind one trait.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use keyferry_clouds::aws::failure::{Action, is_of_aws};
use keyferry_core::{CallObserver, Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::Instant;

use crate::{
    client::{Client, Clients},
    config::{AwsConfig, Service},
    names::Names,
    parameter_store::{self, ParameterStore},
    secrets_manager::{self, SecretsManager},
};

/// AWS, with one login, in one region.
#[derive(Debug)]
pub struct Aws {
    client: Arc<Client>,
    name: &'static str,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    ParameterStore(ParameterStore),
    SecretsManager(SecretsManager),
}

const WHO_AM_I: Action = Action { service: "sts", name: "GetCallerIdentity" };

impl Aws {
    /// A provider that logs in when it is first used.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when a setting cannot work, and with [`ErrorKind::Unsupported`] for a
    /// service that nothing can be read from by name.
    pub fn new(config: AwsConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let name = config.service.provider();
        if config.service == Service::CertificateManager {
            let text = "service: CertificateManager is not read from; set SecretsManager or ParameterStore";
            return Err(Error::new(ErrorKind::Unsupported, name, "Configure", text));
        }
        let client = Arc::new(Client::new(&config, observer)?);
        let names = Names::new(config.prefix);
        let backend = match config.service {
            Service::ParameterStore => Backend::ParameterStore(ParameterStore::new(Arc::clone(&client), names)),
            Service::CertificateManager | Service::SecretsManager => {
                Backend::SecretsManager(SecretsManager::new(Arc::clone(&client), names))
            }
        };
        Ok(Self { client, name, backend })
    }

    /// Asks the service itself, for clusters that reach it but not STS.
    async fn probe(&self) -> Result<()> {
        match &self.backend {
            Backend::ParameterStore(store) => store.probe().await,
            Backend::SecretsManager(secrets) => secrets.probe().await,
        }
    }
}

/// STS denies nobody to ask who they are; what does is the policy of a VPC's own endpoint. And behind an endpoint that
/// somebody names there may be no STS at all.
fn says_nothing_of_the_login(error: &Error) -> bool {
    match error.kind {
        ErrorKind::AccessDenied
        | ErrorKind::Malformed
        | ErrorKind::TimedOut
        | ErrorKind::Unavailable
        | ErrorKind::Unsupported => true,
        ErrorKind::InvalidConfig => !is_of_aws(error),
        ErrorKind::NotFound | ErrorKind::Throttled | ErrorKind::Unauthenticated => false,
    }
}

#[async_trait]
impl Provider for Aws {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        let batch = match self.backend {
            Backend::ParameterStore(_) => parameter_store::BATCH,
            Backend::SecretsManager(_) => secrets_manager::BATCH,
        };
        Capabilities {
            batch: NonZeroUsize::new(batch).unwrap_or(NonZeroUsize::MIN),
            find_by_path: true,
            find_by_tags: true,
            list: true,
            metadata: true,
            properties: false,
            versions: true,
        }
    }

    async fn check(&self) -> Result<()> {
        let send = |clients: &Clients| clients.sts.get_caller_identity().send();
        match self.client.call(WHO_AM_I, "the login", send).await {
            Ok(_) => Ok(()),
            Err(error) if error.operation == WHO_AM_I.name && says_nothing_of_the_login(&error) => self.probe().await,
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        match &self.backend {
            Backend::ParameterStore(store) => store.fetch(at).await,
            Backend::SecretsManager(secrets) => secrets.fetch(at).await,
        }
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        match &self.backend {
            Backend::ParameterStore(store) => store.list(query).await,
            Backend::SecretsManager(secrets) => secrets.list(query).await,
        }
        .map(Arc::new)
    }

    async fn close(&self) {}
}
