//! The provider.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{CallObserver, Capabilities, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::Instant;

use crate::{
    PROVIDER,
    client::{Client, Extent, Values},
    config::InfisicalConfig,
    fetch::{self, Ask},
    find,
};

/// A folder's listing is one answer, however many of its secrets are wanted; this bounds how many callers wait for it.
const BATCH: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// Read access to one environment of an Infisical project.
#[derive(Debug)]
pub struct Infisical {
    client: Client,
}

impl Infisical {
    /// Takes over a store's settings. Nothing is sent.
    ///
    /// Fails with [`keyferry_core::ErrorKind::InvalidConfig`] when a setting cannot work; the message names its field.
    pub fn new(config: InfisicalConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        Client::new(config, observer).map(|client| Self { client })
    }
}

#[async_trait]
impl Provider for Infisical {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: BATCH,
            find_by_path: true,
            find_by_tags: true,
            list: true,
            metadata: true,
            properties: false,
            versions: true,
        }
    }

    async fn check(&self) -> Result<()> {
        let folder = &self.client.scope().secrets_path;
        let extent = Extent { imports: false, subfolders: false, values: Values::Hidden };
        if self.client.listing(folder, extent).await?.is_empty() {
            self.client.must_exist(folder).await?;
        }
        Ok(())
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let scope = &self.client.scope().secrets_path;
        let (mut answers, mut asks) = (BTreeMap::new(), Vec::new());
        for (index, locator) in at.iter().enumerate() {
            match Ask::parse(index, locator, scope) {
                Ok(ask) => asks.push(ask),
                Err(error) => {
                    answers.insert(index, Err(error));
                }
            }
        }
        answers.extend(fetch::all(&self.client, asks).await);
        answers.into_values().collect()
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        Ok(Arc::new(Page { items: find::matching(&self.client, query).await?, next: None }))
    }

    async fn close(&self) {
        self.client.leave().await;
    }
}
