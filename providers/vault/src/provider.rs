//! The provider: locators and queries in, values and names out.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use keyferry_core::{
    CallObserver, Capabilities, Error, ErrorKind, Fetched, Listed, Locator, Page, Provider, Query, RemoteName, Result,
    SecretBytes, Version, Want,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    PROVIDER,
    access::Access,
    auth::{Auth, LoginMethod},
    client::{VaultClient, operation},
    config::{KvVersion, VaultConfig},
    folders::Folders,
    kv::Metadata,
    path::{Paths, Place},
};

/// Read access to the secrets of one Vault or OpenBao server with one login.
#[derive(Debug)]
pub struct Vault {
    client: Arc<VaultClient>,
    access: Access,
    engine: KvVersion,
    paths: Paths,
    /// Mounts whose engine is believed when it says that a secret is not there.
    believed: Mutex<BTreeSet<String>>,
}

/// How many requests one call of ours has under way at the same time.
const CONCURRENT: usize = 16;

impl Vault {
    /// A provider that logs in when it is first used.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when the address, a certificate or a key cannot be used.
    pub fn new(config: VaultConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let mut tls = config.tls.clone();
        if let Auth::Login { method: LoginMethod::Cert { identity, .. }, .. } = &config.auth {
            tls.identity = Some(identity.clone());
        }
        let client = Arc::new(VaultClient::new(&config, &tls, observer)?);
        Ok(Self {
            access: Access::new(Arc::clone(&client), config.auth)?,
            believed: Mutex::default(),
            client,
            engine: config.version,
            paths: Paths::new(config.path.as_deref(), config.version),
        })
    }
}

#[async_trait]
impl Provider for Vault {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn capabilities(&self) -> Capabilities {
        let versioned = self.engine == KvVersion::V2;
        Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: true,
            find_by_tags: versioned,
            list: true,
            metadata: versioned,
            properties: false,
            versions: versioned,
        }
    }

    async fn check(&self) -> Result<()> {
        self.access.check().await
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let calls: Vec<_> = at.iter().map(|locator| self.fetch_one(locator)).collect();
        stream::iter(calls).buffered(CONCURRENT).collect().await
    }

    /// The engine lists one folder at a time, so a page is a handful of folders.
    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        if !query.tags.is_empty() && self.engine == KvVersion::V1 {
            return Err(unsupported(
                operation::LIST,
                "KV version 1 has no custom metadata, so `find.tags` cannot work",
            ));
        }
        let invalid = |text| self.client.invalid(operation::LIST, text);
        let root = self.paths.folder(query.path.as_deref()).map_err(invalid)?;
        let mut pending = Folders::pending(root.clone(), query.after.as_deref()).map_err(invalid)?;
        let (mut secrets, mut listings) = (Vec::new(), Vec::new());
        for folder in pending.take(CONCURRENT) {
            listings.push(self.list_one(folder, query.after.is_none()));
        }
        let listings: Vec<(Place, Vec<String>)> = stream::iter(listings).buffered(CONCURRENT).try_collect().await?;
        for (folder, entries) in &listings {
            for entry in entries {
                let place = folder.entry(entry);
                if entry.ends_with('/') { pending.add(&place) } else { secrets.push(place) }
            }
        }
        let secrets: Vec<_> =
            secrets.into_iter().map(|place| (Paths::known_as(&place, &root, query.path.as_deref()), place)).collect();
        Ok(Arc::new(Page { items: self.matching(secrets, &query.tags).await?, next: pending.next_page() }))
    }

    /// A token that is not ended lives on until its time, and counts against the server's quota of leases.
    async fn close(&self) {
        self.access.end().await;
    }
}

impl Vault {
    async fn fetch_one(&self, locator: &Locator) -> Result<Arc<Fetched>> {
        let Locator { name, version, want, .. } = locator;
        let invalid = |text| self.client.invalid(operation::READ, format!("the key {name} {text}"));
        let place = self.paths.secret(name.as_str()).map_err(invalid)?;
        let version = version.as_ref().map(Version::as_str);
        match (want, self.engine, version) {
            (Want::Value, KvVersion::V1, Some(_)) => {
                Err(unsupported(operation::READ, "KV version 1 keeps no versions; remove `version`"))
            }
            (Want::Value, _, Some(version)) if version.parse::<u64>().is_err() => Err(invalid(
                "has a `version` that is not a number; name one that the secret has, or none for the newest",
            )),
            (Want::Value, engine, version) => {
                let path = self.paths.data(&place);
                let (client, path) = (&self.client, path.as_str());
                let read = |token: Option<SecretBytes>| async move {
                    client.read(engine, path, version, token.as_ref()).await
                };
                match self.access.with(read).await {
                    Ok(fetched) => Ok(Arc::new(fetched)),
                    Err(error) => Err(self.believable(error, &place).await),
                }
            }
            (Want::Metadata, KvVersion::V1, _) => {
                Err(unsupported(operation::READ, "KV version 1 has no metadata; remove `metadataPolicy: Fetch`"))
            }
            (Want::Metadata, KvVersion::V2, _) => match self.metadata(&place).await {
                Ok(metadata) => Ok(Arc::new(Fetched::new(metadata.to_json(), None))),
                Err(error) => Err(self.believable(error, &place).await),
            },
        }
    }

    async fn metadata(&self, place: &Place) -> Result<Metadata> {
        let path = self.paths.metadata(place);
        let (client, path) = (&self.client, path.as_str());
        self.access.with(|token| async move { client.metadata(path, token.as_ref()).await }).await
    }

    /// What is in `folder`. One that is not there is an error only where the search begins: others may have been
    /// deleted since their names were read.
    async fn list_one(&self, folder: Place, begins: bool) -> Result<(Place, Vec<String>)> {
        let path = self.paths.metadata(&folder);
        let (client, path) = (&self.client, path.as_str());
        match self.access.with(|token| async move { client.list(path, token.as_ref()).await }).await {
            Ok(entries) => Ok((folder, entries)),
            Err(error) if error.kind == ErrorKind::NotFound && !begins => Ok((folder, Vec::new())),
            Err(error) => Err(self.believable(error, &folder).await),
        }
    }

    /// What `error` comes to: that something is not there is a reason to delete what was made from it, and an engine that
    /// knows no paths of version 2 says it of all of them. It is asked for once.
    async fn believable(&self, error: Error, place: &Place) -> Error {
        if error.kind != ErrorKind::NotFound || self.engine == KvVersion::V1 {
            return error;
        }
        let mount = place.mount();
        // Held while the server is asked, so that those who miss something at the same time share the answer.
        let mut believed = self.believed.lock().await;
        if believed.contains(mount) {
            return error;
        }
        let client = &self.client;
        match self.access.with(|token| async move { client.mounted(mount, token.as_ref()).await }).await {
            Ok(mounted) if mounted.takes_paths_for_names() => self.client.invalid(
                operation::MOUNT,
                format!("the engine at {mount} is not KV version 2; set `version: v1` in the store, or correct `path`"),
            ),
            Ok(_) => {
                believed.insert(mount.to_owned());
                error
            }
            Err(unclear) => unclear,
        }
    }

    /// Those of `secrets`, each with what it is known as, that carry all of `tags`.
    async fn matching(&self, secrets: Vec<(String, Place)>, tags: &BTreeMap<String, String>) -> Result<Vec<Listed>> {
        let calls: Vec<_> = secrets.iter().map(|(known_as, place)| self.listed(known_as, place, tags)).collect();
        let listed: Vec<Option<Listed>> = stream::iter(calls).buffered(CONCURRENT).try_collect().await?;
        Ok(listed.into_iter().flatten().collect())
    }

    async fn listed(&self, known_as: &str, place: &Place, tags: &BTreeMap<String, String>) -> Result<Option<Listed>> {
        let Ok(name) = RemoteName::new(self.paths.key(place)) else { return Ok(None) };
        let alias = (known_as != name.as_str()).then(|| known_as.into());
        if tags.is_empty() {
            return Ok(Some(Listed { name, alias, tags: BTreeMap::new() }));
        }
        match self.metadata(place).await {
            Ok(metadata) => {
                let found = metadata.tags();
                let matches = tags.iter().all(|(name, value)| found.get(name) == Some(value));
                Ok(matches.then_some(Listed { name, alias, tags: found }))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn unsupported(operation: &'static str, text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, PROVIDER, operation, text)
}
