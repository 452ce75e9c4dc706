//! Key Vault as a [`Provider`].

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use keyferry_core::{
    CallObserver, Capabilities, Fetched, Listed, Locator, Page, Provider, Query, Result, SecretBytes, Want,
    canonical_json,
};
use keyferry_rest::{Client, Session};
use tokio::time::Instant;

use crate::{
    AzureConfig, PROVIDER,
    auth::{AzureLogin, Surroundings},
    client::{Answered, KeyVault, Listing, Secrets},
    cloud::Places,
    object::Object,
    transport::Way,
    vault_url,
};

/// A store of Azure Key Vault.
#[derive(Debug)]
pub struct Azure {
    use_azure_sdk: bool,
    vault: KeyVault,
}

/// Calls that one `fetch` makes at a time.
const CONCURRENCY: usize = 32;

impl Azure {
    /// Checks `config` as far as it can be checked without asking anybody; nothing is sent.
    ///
    /// Fails with [`keyferry_core::ErrorKind::InvalidConfig`], naming the field that is wrong.
    pub fn new(config: AzureConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let AzureConfig { auth, cloud, custom_cloud, environment, tenant_id, tls, use_azure_sdk, vault_url } = config;
        let places = Places::new(cloud, custom_cloud.as_ref(), environment.authority.as_ref())?;
        let vault = vault_url::parse(&vault_url, &places)?;
        let http = Client::new(PROVIDER, &tls, observer)?;
        let surroundings = Surroundings {
            audience: vault_url::audience(&vault, &places),
            environment: &environment,
            http: http.clone(),
            places: &places,
            tenant_id,
            use_azure_sdk,
        };
        let session = Arc::new(Session::new(AzureLogin::new(auth, surroundings)?));
        Ok(Self { use_azure_sdk, vault: KeyVault::new(Way { http, session, vault })? })
    }

    async fn fetch_one(&self, at: &Locator) -> Result<Arc<Fetched>> {
        let object = Object::parse(at)?;
        let answered = self.vault.read(&object).await?;
        let parts = object.parts(at.want);
        let value = match at.want {
            Want::Metadata => self.metadata(&answered),
            Want::Value => answered.value,
        };
        Ok(Arc::new(Fetched { parts, ..Fetched::new(value, answered.version) }))
    }

    /// The tags and the times. A tag that is called like one of the times does not count.
    fn metadata(&self, answered: &Answered) -> SecretBytes {
        let mut found: BTreeMap<&str, &str> =
            answered.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !self.use_azure_sdk {
            let attributes = &answered.attributes;
            for (name, time) in [
                ("attribute.created", &attributes.created),
                ("attribute.expires", &attributes.expires),
                ("attribute.notBefore", &attributes.not_before),
                ("attribute.updated", &attributes.updated),
            ] {
                if let Some(time) = time {
                    found.insert(name, time);
                }
            }
        }
        let json = serde_json::json!(found).to_string();
        canonical_json(json.as_bytes()).unwrap_or_else(|_| SecretBytes::from(json))
    }
}

#[async_trait]
impl Provider for Azure {
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
            versions: true,
        }
    }

    async fn check(&self) -> Result<()> {
        self.vault.way().session.grant().await.map(drop)
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let calls: Vec<_> = at.iter().map(|at| self.fetch_one(at)).collect();
        stream::iter(calls).buffered(CONCURRENCY).collect().await
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        let Secrets { items, next } = self.vault.list(query.after.as_deref()).await?;
        let is_wanted = |secret: &Listing| query.tags.iter().all(|(key, value)| secret.tags.get(key) == Some(value));
        let items = items.into_iter().filter(|secret| secret.is_enabled && is_wanted(secret));
        let items = items.map(|Listing { name, tags, .. }| Listed { name, alias: None, tags }).collect();
        Ok(Arc::new(Page { items, next }))
    }

    async fn close(&self) {}
}
