//! The provider: locators and queries in, values and names out.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use keyferry_core::{
    CallObserver, Capabilities, Error, ErrorKind, Fetched, Listed, Locator, Page, Provider, Query, RemoteName, Result,
    Want,
};
use tokio::time::Instant;

use crate::{
    PROVIDER,
    client::{KubernetesClient, operation},
    config::KubernetesConfig,
};

/// Read access to the Secrets of one namespace of one cluster with one login.
#[derive(Debug)]
pub struct Kubernetes {
    client: KubernetesClient,
}

/// How many requests one call of ours has under way at the same time.
const CONCURRENT: usize = 16;

impl Kubernetes {
    /// A provider that speaks to the API server when it is first used.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when the address, a certificate, a key or the kubeconfig cannot be used.
    pub fn new(config: KubernetesConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        Ok(Self { client: KubernetesClient::new(config, observer)? })
    }
}

#[async_trait]
impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: false,
            find_by_tags: true,
            list: true,
            metadata: true,
            properties: false,
            versions: false,
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.may_get_secrets().await
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let calls: Vec<_> = at.iter().map(|locator| self.fetch_one(locator)).collect();
        stream::iter(calls).buffered(CONCURRENT).collect().await
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        if query.path.is_some() {
            return Err(unsupported(operation::LIST, "Secrets have no paths; remove `find.path`"));
        }
        let names = self.client.names(&query.tags, query.after.as_deref()).await?;
        let listed = |(name, tags): (String, _)| Some(Listed { name: RemoteName::new(name).ok()?, alias: None, tags });
        Ok(Arc::new(Page { items: names.items.into_iter().filter_map(listed).collect(), next: names.next }))
    }

    async fn close(&self) {}
}

impl Kubernetes {
    async fn fetch_one(&self, locator: &Locator) -> Result<Arc<Fetched>> {
        if locator.version.is_some() {
            return Err(unsupported(operation::GET, "a Secret keeps no versions; remove `version`"));
        }
        let name = locator.name.as_str();
        match locator.want {
            Want::Metadata => self.client.metadata(name).await,
            Want::Value => self.client.data(name).await,
        }
        .map(Arc::new)
    }
}

fn unsupported(operation: &'static str, text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, PROVIDER, operation, text)
}
