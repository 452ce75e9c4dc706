//! The provider: locators in, values out.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use keyferry_core::{
    CallObserver, Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, Result, Want,
};
use tokio::time::Instant;

use crate::{
    PROVIDER,
    client::{REQUEST, WebhookClient},
    config::WebhookConfig,
};

/// Read access to what one HTTP server answers.
#[derive(Debug)]
pub struct Webhook {
    client: WebhookClient,
}

/// How many requests one call of ours has under way at the same time.
const CONCURRENT: usize = 16;

impl Webhook {
    /// A provider that sends its first request when it is first used.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when a template, the address, the method, the JSONPath, a certificate
    /// or the login cannot be used.
    pub fn new(config: WebhookConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        Ok(Self { client: WebhookClient::new(config, observer)? })
    }
}

#[async_trait]
impl Provider for Webhook {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    /// What a request does with the version and the property is in the hands of its templates.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: false,
            find_by_tags: false,
            list: false,
            metadata: false,
            properties: true,
            versions: true,
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.dial().await
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let calls: Vec<_> = at.iter().map(|locator| self.fetch_one(locator)).collect();
        stream::iter(calls).buffered(CONCURRENT).collect().await
    }

    async fn list(&self, _query: &Query, _since: Instant) -> Result<Arc<Page>> {
        Err(unsupported("a webhook cannot list names; name each key, without `dataFrom.find`"))
    }

    async fn close(&self) {}
}

impl Webhook {
    async fn fetch_one(&self, locator: &Locator) -> Result<Arc<Fetched>> {
        if locator.want == Want::Metadata {
            return Err(unsupported("a webhook has no metadata; remove `metadataPolicy: Fetch`"));
        }
        Ok(Arc::new(Fetched::new(self.client.read(locator).await?, None)))
    }
}

fn unsupported(text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, PROVIDER, REQUEST, text)
}
