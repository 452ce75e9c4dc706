//! One store as a provider.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{CallObserver, Capabilities, Fetched, Locator, Page, Provider, Query, Result};
use tokio::time::Instant;

use crate::{
    PROVIDER,
    client::Client,
    config::AkeylessConfig,
    find,
    read::{BATCH, Reader},
};

/// One store's items.
#[derive(Debug)]
pub struct Akeyless {
    reader: Reader,
}

impl Akeyless {
    /// A provider that sends nothing before it is used.
    ///
    /// Fails with [`keyferry_core::ErrorKind::InvalidConfig`] for an address, a credential or a certificate that
    /// cannot be one.
    pub fn new(config: AkeylessConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        Ok(Self { reader: Reader::new(Client::new(config, observer)?) })
    }
}

#[async_trait]
impl Provider for Akeyless {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: const { NonZeroUsize::new(BATCH).expect("a batch holds something") },
            find_by_path: true,
            find_by_tags: true,
            list: true,
            metadata: false,
            properties: false,
            versions: true,
        }
    }

    /// Logs in, unless a login still holds.
    async fn check(&self) -> Result<()> {
        self.reader.client().login().await
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        self.reader.fetch(at).await
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        find::list(self.reader.client(), query).await.map(Arc::new)
    }

    /// The token is only forgotten, and ends by itself: `revoke-creds` would end the credentials that it was given out
    /// for, which others use as well.
    async fn close(&self) {
        self.reader.client().leave();
    }
}
