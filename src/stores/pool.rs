//! Providers that are ready to use. They live with the process: logins and connections outlive a reconcile, and are
//! dropped when the store or one of its credentials changes. Two stores never share one.

use std::{
    collections::HashMap,
    hash::RandomState,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyferry_core::CallObserver;
use keyferry_crds::{GoDuration, SecretStoreSpec};
use keyferry_layers::{LayerObserver, Layers, Settings};
use kube::Client;

use super::{
    build,
    resolve::{Dependency, Resolver, Unresolved},
    scope::{CheckedRef, Scope},
    session::{Farewells, Session},
};
use crate::{
    cluster::{Meta, StoreKey},
    trouble::{Patience, Trouble},
};

/// The outcome of building one.
#[derive(Clone, Debug)]
pub(crate) enum Built {
    /// The credentials are those of whoever uses the store; there is nobody at the moment.
    NobodyAsks,
    Session(Session),
    Trouble(Trouble),
}

/// One store as it stands in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct StoreObject {
    pub(crate) uid: Arc<str>,
    pub(crate) generation: i64,
    pub(crate) spec: Arc<SecretStoreSpec>,
}

/// The present state of something that a provider was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    Absent,
    Seen(Meta),
    /// It is not watched.
    Unknown,
}

/// Tells the present state.
pub(crate) type Present<'a> = &'a (dyn Fn(&CheckedRef) -> Sighting + Send + Sync);

/// All providers of this process.
pub(crate) struct Pool {
    client: Client,
    fingerprints: RandomState,
    calls: Arc<dyn CallObserver>,
    layering: Arc<dyn LayerObserver>,
    entries: Mutex<HashMap<EntryKey, Arc<tokio::sync::Mutex<Option<Entry>>>>>,
    layers: Mutex<HashMap<StoreKey, StoreLayers>>,
    farewells: Farewells,
}

/// The layers of one store, and what they were made for.
struct StoreLayers {
    uid: Arc<str>,
    settings: Settings,
    layers: Layers,
}

/// A store, and on whose behalf where that makes a difference.
type EntryKey = (StoreKey, Option<Arc<str>>);

#[derive(Debug)]
struct Entry {
    uid: Arc<str>,
    generation: i64,
    dependencies: Vec<Dependency>,
    built: Built,
    identity: u64,
}

impl Entry {
    /// Whether it was built from what is there now. A trouble that nothing in the cluster tells the end of is looked
    /// at again each time.
    fn is_current(&self, store: &StoreObject, present: Present<'_>) -> bool {
        let told = match &self.built {
            Built::NobodyAsks | Built::Session(_) => true,
            Built::Trouble(trouble) => trouble.patience == Patience::Long && !self.dependencies.is_empty(),
        };
        told && self.uid == store.uid
            && self.generation == store.generation
            && self.dependencies.iter().all(|dependency| match (present(&dependency.on), &dependency.state) {
                (Sighting::Unknown, _) | (Sighting::Absent, None) => true,
                // Our read may have been newer than what the watch has delivered so far.
                (Sighting::Seen(now), Some(then)) => now == *then || now.is_older_than(then),
                (Sighting::Seen(_), None) | (Sighting::Absent, Some(_)) => false,
            })
    }
}

impl Pool {
    pub(crate) fn new(client: Client, calls: Arc<dyn CallObserver>, layering: Arc<dyn LayerObserver>) -> Self {
        Self {
            client,
            fingerprints: RandomState::new(),
            calls,
            layering,
            entries: Mutex::default(),
            layers: Mutex::default(),
            farewells: Farewells::default(),
        }
    }

    /// The provider of `store` on behalf of `scope`.
    pub(crate) async fn session(
        &self,
        key: &StoreKey,
        store: &StoreObject,
        scope: Scope<'_>,
        present: Present<'_>,
    ) -> Built {
        let Scope::Cluster { consumer: Some(consumer) } = scope else {
            return self.entry(key, None, store, scope, present).await;
        };
        // Consumers share one provider unless the store cannot be built without knowing which of them asks.
        match self.entry(key, None, store, Scope::Cluster { consumer: None }, present).await {
            Built::NobodyAsks => self.entry(key, Some(consumer.into()), store, scope, present).await,
            shared => shared,
        }
    }

    /// At the same time a provider is built at most once; when what it was built from has changed it is built anew,
    /// and kept when all values turn out to be the same.
    async fn entry(
        &self,
        key: &StoreKey,
        consumer: Option<Arc<str>>,
        store: &StoreObject,
        scope: Scope<'_>,
        present: Present<'_>,
    ) -> Built {
        let slot = Arc::clone(lock(&self.entries).entry((key.clone(), consumer)).or_default());
        let mut slot = slot.lock().await;
        if let Some(entry) = &*slot
            && entry.is_current(store, present)
        {
            return entry.built.clone();
        }
        let entry = self.build(key, store, scope, slot.take()).await;
        let built = entry.built.clone();
        *slot = Some(entry);
        built
    }

    async fn build(&self, key: &StoreKey, store: &StoreObject, scope: Scope<'_>, before: Option<Entry>) -> Entry {
        let mut resolver = Resolver::new(self.client.clone(), key, scope, &self.fingerprints);
        resolver.stamp(&store.uid, store.generation);
        let provider = build::provider(&store.spec, &mut resolver, &self.calls).await;
        let (dependencies, identity) = resolver.finish();
        let same = before.filter(|entry| entry.identity == identity);
        let built = match (provider, same) {
            (Ok(_), Some(Entry { built: built @ Built::Session(_), .. })) => built,
            (Ok(base), _) => {
                let provider = self.layers(key, store).stack(base);
                Built::Session(Session::new(identity, provider, &self.farewells))
            }
            (Err(Unresolved::NobodyAsks), _) => Built::NobodyAsks,
            (Err(Unresolved::Trouble(trouble)), _) => Built::Trouble(trouble),
        };
        Entry { uid: Arc::clone(&store.uid), generation: store.generation, dependencies, built, identity }
    }

    /// Limits belong to the store, so that they survive a change of credentials.
    fn layers(&self, key: &StoreKey, store: &StoreObject) -> Layers {
        let settings = settings(&store.spec);
        let mut layers = lock(&self.layers);
        if let Some(have) = layers.get(key)
            && (&have.uid, &have.settings) == (&store.uid, &settings)
        {
            return have.layers.clone();
        }
        let fresh = Layers::new(settings.clone(), Arc::clone(&self.layering));
        layers.insert(key.clone(), StoreLayers { uid: Arc::clone(&store.uid), settings, layers: fresh.clone() });
        fresh
    }

    /// Drops everything that belongs to a store that is gone.
    pub(crate) fn forget(&self, store: &StoreKey) {
        lock(&self.entries).retain(|(key, _), _| key != store);
        lock(&self.layers).remove(store);
    }

    /// Drops everything, and gives all logins back.
    pub(crate) async fn close(&self) {
        lock(&self.entries).clear();
        self.farewells.done().await;
    }

    /// Stores with a provider that was built from `on`, or waits for it.
    pub(crate) fn built_from(&self, on: &dyn Fn(&CheckedRef) -> bool) -> Vec<StoreKey> {
        let entries: Vec<_> =
            lock(&self.entries).iter().map(|((key, _), slot)| (key.clone(), Arc::clone(slot))).collect();
        let mut stores: Vec<_> = entries
            .into_iter()
            // One that is being built right now reads the newest state anyway, or will be found out of date.
            .filter(|(_, slot)| match slot.try_lock() {
                Ok(entry) => entry.as_ref().is_some_and(|entry| entry.dependencies.iter().any(|d| on(&d.on))),
                Err(_) => true,
            })
            .map(|(key, _)| key)
            .collect();
        stores.sort();
        stores.dedup();
        stores
    }
}

/// How patient the store's manifest wants its calls to be. A number of tries or a pause that cannot be meant is told by
/// the store's own check.
fn settings(spec: &SecretStoreSpec) -> Settings {
    let mut settings = Settings::default();
    if let Some(retry) = &spec.retry_settings {
        if let Some(retries) = retry.max_retries.and_then(|retries| u32::try_from(retries).ok()) {
            settings.max_retries = retries;
        }
        if let Some(Ok(interval)) = retry.retry_interval.as_ref().map(GoDuration::duration) {
            settings.retry_interval = interval;
        }
    }
    settings
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
