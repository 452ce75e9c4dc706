//! From a store reference to a provider that is ready to use.
//!
//! ```text
//! StoreKey ─► may this namespace use it? ─► does it work? ─► references ─► values ─► provider ─► layers
//!             conditions                    health            scope         resolve   build       pool
//! ```

mod access;
mod build;
mod health;
mod pool;
mod resolve;
mod scope;
mod session;
mod token;

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{CallObserver, Error, ErrorKind};
use keyferry_crds::{ClusterSecretStore, SecretStore, SecretStoreSpec, SecretStoreStatus};
use keyferry_layers::LayerObserver;
use kube::{Api, Client, api::ObjectMeta, core::DeserializeGuard};
use tokio::sync::mpsc;

pub(crate) use health::Health;
pub(crate) use pool::{Built, StoreObject};
pub(crate) use scope::{CheckedRef, Referent, Scope};
pub(crate) use session::Session;

use self::{
    health::HealthTable,
    pool::{Pool, Sighting},
};
use crate::{
    cluster::{Meta, Mirror, ObjectKey, StoreKey, StoreKind, error_text},
    trouble::Trouble,
};

/// Local copies that stores are looked up in.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) secret_stores: Mirror<Stored>,
    pub(crate) cluster_stores: Mirror<Stored>,
    pub(crate) secrets: Mirror<Meta>,
    pub(crate) config_maps: Mirror<Meta>,
    pub(crate) service_accounts: Mirror<Meta>,
    /// Labels of each namespace.
    pub(crate) namespaces: Mirror<BTreeMap<String, String>>,
    /// The one namespace that is watched; `None`: all of them.
    pub(crate) only: Option<Arc<str>>,
}

/// A store as the mirror keeps it.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// Its manifest cannot be read: it was stored by another operator's schema, with a provider that we do not have.
    Unreadable {
        uid: Arc<str>,
        generation: i64,
    },
    Readable(Box<StoreView>),
}

impl Stored {
    /// Keeps what is used of a SecretStore that came from the watch.
    pub(crate) fn trim(DeserializeGuard(object): DeserializeGuard<SecretStore>) -> Self {
        match object {
            Ok(store) => Self::readable(store.metadata, store.spec, store.status),
            Err(invalid) => Self::unreadable(&invalid.metadata),
        }
    }

    /// As [`Stored::trim`], of a ClusterSecretStore.
    pub(crate) fn trim_cluster(DeserializeGuard(object): DeserializeGuard<ClusterSecretStore>) -> Self {
        match object {
            Ok(store) => Self::readable(store.metadata, store.spec, store.status),
            Err(invalid) => Self::unreadable(&invalid.metadata),
        }
    }

    fn readable(meta: ObjectMeta, spec: SecretStoreSpec, status: Option<SecretStoreStatus>) -> Self {
        let object = StoreObject {
            uid: meta.uid.unwrap_or_default().into(),
            generation: meta.generation.unwrap_or_default(),
            spec: Arc::new(spec),
        };
        Self::Readable(Box::new(StoreView { object, status: status.unwrap_or_default() }))
    }

    fn unreadable(meta: &ObjectMeta) -> Self {
        Self::Unreadable {
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            generation: meta.generation.unwrap_or_default(),
        }
    }

    /// Whether the two differ in what a person asks for. Our own status patches do not.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (&str, i64) {
        match self {
            Self::Readable(view) => (&view.object.uid, view.object.generation),
            Self::Unreadable { uid, generation } => (uid, *generation),
        }
    }
}

/// What is kept of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreView {
    pub(crate) object: StoreObject,
    pub(crate) status: SecretStoreStatus,
}

/// All stores of the cluster, as those see them who want to read secrets.
pub(crate) struct Stores {
    client: Client,
    sources: Sources,
    /// `spec.controller` of the stores that are ours.
    class: String,
    flood_gate: bool,
    pool: Pool,
    health: HealthTable,
    /// Stores whose check should be made soon, because somebody met trouble.
    suspects: mpsc::UnboundedSender<StoreKey>,
}

impl Stores {
    pub(crate) fn new(
        client: Client,
        sources: Sources,
        class: String,
        flood_gate: bool,
        calls: Arc<dyn CallObserver>,
        layering: Arc<dyn LayerObserver>,
    ) -> (Self, mpsc::UnboundedReceiver<StoreKey>) {
        let (suspects, suspected) = mpsc::unbounded_channel();
        let pool = Pool::new(client.clone(), calls, layering);
        (Self { client, sources, class, flood_gate, pool, health: HealthTable::default(), suspects }, suspected)
    }

    /// The store as the cluster has it now.
    pub(crate) fn get(&self, key: &StoreKey) -> Option<Arc<Stored>> {
        match key.kind {
            StoreKind::ClusterSecretStore => self.sources.cluster_stores.get(&key.object),
            StoreKind::SecretStore => self.sources.secret_stores.get(&key.object),
        }
    }

    /// The store as the API server has it, for when the ExternalSecret came through its watch before the store came
    /// through its own.
    async fn ask_for(&self, key: &StoreKey) -> Result<Arc<Stored>, Trouble> {
        let (namespace, name) = (&key.object.namespace, &key.object.name);
        let found = match key.kind {
            StoreKind::ClusterSecretStore => {
                let stores: Api<DeserializeGuard<ClusterSecretStore>> = Api::all(self.client.clone());
                stores.get_opt(name).await.map(|found| found.map(Stored::trim_cluster))
            }
            StoreKind::SecretStore => {
                let stores: Api<DeserializeGuard<SecretStore>> = Api::namespaced(self.client.clone(), namespace);
                stores.get_opt(name).await.map(|found| found.map(Stored::trim))
            }
        };
        match found {
            Ok(Some(stored)) => Ok(Arc::new(stored)),
            Ok(None) => {
                let text = format!("{key} does not exist; create it or correct secretStoreRef");
                Err(Trouble::lasting("StoreNotFound", text))
            }
            Err(error) => {
                let text = format!("failed to read {key}: {}", error_text(&error));
                Err(Trouble::passing("KubernetesUnreachable", text))
            }
        }
    }

    /// Whether the store belongs to another operator's process.
    pub(crate) fn is_foreign(&self, view: &StoreView) -> bool {
        let class = view.object.spec.controller.as_deref().unwrap_or_default();
        !class.is_empty() && class != self.class
    }

    /// A provider for an ExternalSecret in `consumer`.
    pub(crate) async fn session(&self, key: &StoreKey, consumer: &str) -> Result<Session, Trouble> {
        let stored = match self.get(key) {
            Some(stored) => stored,
            None => self.ask_for(key).await?,
        };
        let Stored::Readable(view) = &*stored else { return Err(unreadable(key)) };
        if self.is_foreign(view) {
            let text = format!("{key} belongs to controller class \"{}\"", class_of(view));
            return Err(Trouble::lasting("StoreNotOurs", text));
        }
        if key.kind == StoreKind::ClusterSecretStore {
            access::check(key, &view.object.spec, consumer, self.namespace_labels(consumer).as_deref())?;
        }
        if self.flood_gate
            && let Some(why) = self.health.obstacle(key)
        {
            return Err(Trouble::passing("StoreNotReady", format!("{key} is not ready: {why}")));
        }
        match self.build(key, view, Some(consumer)).await {
            Built::Session(session) => Ok(session),
            Built::Trouble(trouble) => Err(Trouble { text: format!("{key}: {}", trouble.text), ..trouble }),
            // Cannot be: there is a consumer. An answer is better than a panic.
            Built::NobodyAsks => Err(Trouble::passing("StoreNotReady", format!("{key} waits for a namespace"))),
        }
    }

    /// A provider for the store's own check, or for `consumer`.
    pub(crate) async fn build(&self, key: &StoreKey, view: &StoreView, consumer: Option<&str>) -> Built {
        let scope = match key.kind {
            StoreKind::ClusterSecretStore => Scope::Cluster { consumer },
            StoreKind::SecretStore => Scope::Namespace(&key.object.namespace),
        };
        self.pool.session(key, &view.object, scope, &|on| self.present(on)).await
    }

    /// Listens to what came of reading a store: where the trouble is the store's own, its check is made at once, so
    /// that all its readers wait for the one check and not each for itself.
    pub(crate) fn heard<'a>(&self, key: &StoreKey, errors: impl Iterator<Item = &'a Error>) {
        let suspicious = |error: &Error| {
            matches!(error.kind, ErrorKind::TimedOut | ErrorKind::Unauthenticated | ErrorKind::Unavailable)
        };
        if errors.into_iter().any(suspicious) && self.health.obstacle(key).is_none() {
            // Nobody listens any more only while the process stops.
            let _ = self.suspects.send(key.clone());
        }
    }

    /// Takes note of the outcome of a check. Returns whether the store works again, or for the first time.
    pub(crate) fn set_health(&self, key: &StoreKey, health: Health) -> bool {
        self.health.set(key, health)
    }

    /// Gives all logins back: the process ends.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Drops what belongs to a store that is gone.
    pub(crate) fn forget(&self, key: &StoreKey) {
        self.health.forget(key);
        self.pool.forget(key);
    }

    /// Stores that were built from this object, or wait for it.
    pub(crate) fn built_from(&self, kind: Referent, key: &ObjectKey) -> Vec<StoreKey> {
        self.pool.built_from(&|on| on.kind() == kind && on.key() == key)
    }

    fn present(&self, on: &CheckedRef) -> Sighting {
        let mirror = match on.kind() {
            Referent::ConfigMap => &self.sources.config_maps,
            Referent::Secret => &self.sources.secrets,
            Referent::ServiceAccount => &self.sources.service_accounts,
        };
        let watched = self.sources.only.as_ref().is_none_or(|only| *only == on.key().namespace);
        if !watched || !mirror.is_synced() {
            return Sighting::Unknown;
        }
        mirror.get(on.key()).map_or(Sighting::Absent, |meta| Sighting::Seen((*meta).clone()))
    }

    fn namespace_labels(&self, namespace: &str) -> Option<Arc<BTreeMap<String, String>>> {
        self.sources.namespaces.get(&ObjectKey::new("", namespace))
    }
}

/// The trouble with a store whose manifest is not of our schema.
pub(crate) fn unreadable(key: &StoreKey) -> Trouble {
    Trouble::lasting(
        "Unsupported",
        format!(
            "{key} was stored with a provider or field that this version does not know; apply it again to see which"
        ),
    )
}

fn class_of(view: &StoreView) -> &str {
    view.object.spec.controller.as_deref().unwrap_or_default()
}
