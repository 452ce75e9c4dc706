//! Wires the operator together. Nothing is decided here.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use keyferry_crds::{ClusterSecretStore, ExternalSecret, SecretStore};
use kube::{Api, Client, Resource, api::PartialObjectMeta, core::DeserializeGuard, runtime::watcher};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    admin::{Admin, Heartbeat, Readiness},
    args::RunArgs,
    cluster::{Change, Meta, Mirror, ObjectKey, StoreKey, Watched, Writer, connect, follow},
    events::{self, Events},
    lease::{self, Claim},
    metrics::Metrics,
    queue::{Class, Dispatcher},
    reconcile::{
        external_secret::{self, ExternalSecrets, Nudge, Relations, Seen},
        store::{News, SecretStores, StoreMemory},
    },
    stores::{Referent, Sources, Stored, Stores},
};

/// How many ExternalSecrets of one store may be in progress: what a backend that hangs can hold up.
const MOST_PER_STORE: usize = 256;
/// How many checks of one store: it is one object.
const MOST_PER_STORE_CHECK: usize = 1;

/// Runs the operator until `stop`.
pub(crate) async fn run(args: RunArgs, stop: CancellationToken) -> Result<()> {
    let client = connect().await?;
    if !args.ignored().is_empty() {
        info!(flags = args.ignored().join(" "), "these flags have no effect here");
    }
    let metrics = Arc::new(Metrics::new().context("failed to register metrics")?);
    let (readiness, heartbeat) = (Readiness::default(), Heartbeat::default());
    let admin = Admin::bind(&args.metrics_addr, &args.live_addr, &metrics, &readiness, &heartbeat).await?;

    let mut tasks = JoinSet::new();
    tasks.spawn(admin.serve(stop.clone()));
    // Given back only when the last write is done.
    let release = CancellationToken::new();
    let (claim, electing) = lease::start(client.clone(), args.election(), release.clone());
    let (events, notes) = Events::new();
    let publisher = client.clone();
    tasks.spawn(async move { events::publish(publisher, "external-secrets", notes).await });

    let operator = Operator::new(client, &args, claim.clone(), events, metrics);
    operator.follow_all(&mut tasks, &args);
    tokio::select! {
        () = operator.synced() => readiness.caches_are_full(),
        () = stop.cancelled() => {}
    }
    operator.lead(claim, &heartbeat, &stop).await;

    release.cancel();
    let (elected, ()) = tokio::join!(electing, operator.secret_stores.stores.close());
    elected.context("the leader election ended abnormally")?;
    tasks.shutdown().await;
    info!("stopped");
    Ok(())
}

/// The parts that know each other.
#[derive(Clone)]
struct Operator {
    client: Client,
    namespace: Option<String>,
    sources: Sources,
    objects: Mirror<Seen>,
    relations: Arc<Relations>,
    external_secrets: Arc<ExternalSecrets>,
    secret_stores: Arc<SecretStores>,
    sync_queue: Dispatcher<ExternalSecrets>,
    store_queue: Dispatcher<SecretStores>,
}

impl Operator {
    fn new(
        client: Client,
        args: &RunArgs,
        claim: watch::Receiver<Claim>,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        let namespace = Some(args.namespace.clone()).filter(|namespace| !namespace.is_empty());
        let sources = Sources {
            secret_stores: Mirror::default(),
            cluster_stores: Mirror::default(),
            secrets: Mirror::default(),
            config_maps: Mirror::default(),
            service_accounts: Mirror::default(),
            namespaces: Mirror::default(),
            only: namespace.as_deref().map(Arc::from),
        };
        let (objects, relations) = (Mirror::default(), Arc::new(Relations::default()));
        let (stores, suspected) = Stores::new(
            client.clone(),
            sources.clone(),
            args.controller_class.clone(),
            args.enable_flood_gate,
            Arc::clone(&metrics) as _,
            Arc::clone(&metrics) as _,
        );
        let stores = Arc::new(stores);
        let writer = Writer::new(client.clone(), claim, args.concurrent);
        let sync_queue = Dispatcher::new(MOST_PER_STORE);
        let store_queue = Dispatcher::new(MOST_PER_STORE_CHECK);
        let external_secrets = Arc::new(ExternalSecrets::new(
            client.clone(),
            writer.clone(),
            objects.clone(),
            sources.secrets.clone(),
            Arc::clone(&stores),
            Arc::clone(&relations),
            events.clone(),
            Arc::clone(&metrics),
        ));
        let wake_readers = wake_readers(&relations, &external_secrets, &sync_queue);
        let secret_stores = Arc::new(SecretStores {
            stores,
            writer,
            events,
            metrics,
            interval: args.store_requeue_interval,
            wake_readers: Box::new(wake_readers),
            memory: StoreMemory::default(),
        });
        tokio::spawn(check_suspects(suspected, store_queue.clone()));
        Self {
            client,
            namespace,
            sources,
            objects,
            relations,
            external_secrets,
            secret_stores,
            sync_queue,
            store_queue,
        }
    }

    /// Starts all watches.
    fn follow_all(&self, tasks: &mut JoinSet<()>, args: &RunArgs) {
        let Sources { secret_stores, cluster_stores, secrets, config_maps, service_accounts, namespaces, .. } =
            self.sources.clone();
        let config = watcher::Config::default;

        let this = self.clone();
        let watched = Watched {
            kind: "externalsecrets",
            mirror: self.objects.clone(),
            trim: Seen::trim,
            stale: |new: &Seen, have: &Seen| Meta::of(new.meta()).is_older_than(&Meta::of(have.meta())),
        };
        let events = watcher(self.api::<DeserializeGuard<ExternalSecret>>(), config());
        tasks.spawn(follow(events, watched, move |key, change| this.external_secret_changed(key, &change)));

        if args.enable_secret_store_reconciler {
            let this = self.clone();
            let events = watcher(self.api::<DeserializeGuard<SecretStore>>(), config());
            let watched = watched_stores("secretstores", secret_stores, Stored::trim);
            tasks.spawn(follow(events, watched, move |key, change| {
                this.store_changed(&StoreKey::namespaced(&key.namespace, &key.name), &change);
            }));
        } else {
            secret_stores.mark_synced();
        }
        if args.enable_cluster_store_reconciler {
            let this = self.clone();
            let events = watcher(Api::<DeserializeGuard<ClusterSecretStore>>::all(self.client.clone()), config());
            let watched = watched_stores("clustersecretstores", cluster_stores, Stored::trim_cluster);
            tasks.spawn(follow(events, watched, move |key, change| {
                this.store_changed(&StoreKey::cluster(&key.name), &change);
            }));
        } else {
            cluster_stores.mark_synced();
        }

        self.follow_metadata::<Secret>(tasks, "secrets", secrets, Referent::Secret);
        self.follow_metadata::<ConfigMap>(tasks, "configmaps", config_maps, Referent::ConfigMap);
        self.follow_metadata::<ServiceAccount>(tasks, "serviceaccounts", service_accounts, Referent::ServiceAccount);

        if args.enable_cluster_store_reconciler {
            let this = self.clone();
            let watched = Watched {
                kind: "namespaces",
                mirror: namespaces,
                trim: |namespace: PartialObjectMeta<Namespace>| namespace.metadata.labels.unwrap_or_default(),
                stale: |_: &BTreeMap<_, _>, _: &BTreeMap<_, _>| false,
            };
            let events = watcher(Api::<PartialObjectMeta<Namespace>>::all(self.client.clone()), config());
            tasks.spawn(follow(events, watched, move |key, change| this.namespace_changed(key, &change)));
        } else {
            namespaces.mark_synced();
        }
    }

    fn follow_metadata<K>(&self, tasks: &mut JoinSet<()>, kind: &'static str, mirror: Mirror<Meta>, referent: Referent)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        let this = self.clone();
        let trim = |object: PartialObjectMeta<K>| Meta::of(&object.metadata);
        let watched = Watched { kind, mirror, trim, stale: Meta::is_older_than };
        let events = watcher(self.api::<PartialObjectMeta<K>>(), watcher::Config::default());
        tasks.spawn(follow(events, watched, move |key, change| this.referent_changed(referent, key, &change)));
    }

    /// Objects of the watched namespace, or of all.
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    async fn synced(&self) {
        let Sources { secret_stores, cluster_stores, secrets, config_maps, service_accounts, namespaces, .. } =
            &self.sources;
        tokio::join!(
            self.objects.synced(),
            secret_stores.synced(),
            cluster_stores.synced(),
            secrets.synced(),
            config_maps.synced(),
            service_accounts.synced(),
            namespaces.synced(),
        );
    }

    /// Reconciles for as long as we are the leader, again and again, until `stop`.
    async fn lead(&self, mut claim: watch::Receiver<Claim>, heartbeat: &Heartbeat, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            heartbeat.rest();
            tokio::select! {
                held = claim.wait_for(|claim| claim.is_held(tokio::time::Instant::now())) => {
                    if held.is_err() {
                        return;
                    }
                }
                () = stop.cancelled() => return,
            }
            let leading = stop.child_token();
            let stores = self.store_queue.clone().run(Arc::clone(&self.secret_stores), leading.clone(), || {});
            let beat = heartbeat.clone();
            let syncs = self.sync_queue.clone().run(Arc::clone(&self.external_secrets), leading.clone(), move || {
                beat.beat();
            });
            let lost = async {
                // The election ends only with the process.
                let _ = claim.wait_for(|claim| !claim.is_held(tokio::time::Instant::now())).await;
                leading.cancel();
            };
            let lost = async {
                tokio::select! { () = lost => {}, () = leading.cancelled() => {} }
            };
            tokio::join!(stores, syncs, lost);
            // Another process may write from now on: what we remember may no longer be true.
            self.external_secrets.forget_all();
            self.secret_stores.memory.clear();
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        for (key, _) in self.objects.all() {
            self.wake(&key, Class::Changed);
        }
        for (key, _) in self.sources.secret_stores.all() {
            self.wake_store(&StoreKey::namespaced(&key.namespace, &key.name));
        }
        for (key, _) in self.sources.cluster_stores.all() {
            self.wake_store(&StoreKey::cluster(&key.name));
        }
    }

    fn wake(&self, key: &ObjectKey, class: Class) {
        self.sync_queue.wake(key, self.external_secrets.lane(key), class);
    }

    fn wake_store(&self, key: &StoreKey) {
        self.store_queue.wake(key, SecretStores::lane(key), Class::Changed);
    }

    fn external_secret_changed(&self, key: &ObjectKey, change: &Change<Seen>) {
        let rivals = match change {
            Change::Applied { before: Some(before), now } if before.asks_the_same(now) => return,
            Change::Applied { now, .. } => self.relations.tie(key, external_secret::ties(key, now)),
            Change::Gone => self.relations.untie(key),
        };
        self.wake(key, Class::Changed);
        for rival in rivals {
            self.external_secrets.nudge(&rival, Nudge::IfFailed);
            self.wake(&rival, Class::Changed);
        }
    }

    fn store_changed(&self, key: &StoreKey, change: &Change<Stored>) {
        if let Change::Applied { before: Some(before), now } = change
            && before.asks_the_same(now)
        {
            return;
        }
        self.wake_store(key);
    }

    /// A Secret, ConfigMap or ServiceAccount: stores may be built from it, and a Secret may be somebody's target.
    fn referent_changed(&self, kind: Referent, key: &ObjectKey, change: &Change<Meta>) {
        for store in self.secret_stores.stores.built_from(kind, key) {
            self.wake_store(&store);
        }
        if kind != Referent::Secret {
            return;
        }
        let target = match change {
            Change::Applied { now, .. } => Some(&**now),
            Change::Gone => None,
        };
        for writer in self.relations.writers(key) {
            if self.external_secrets.is_news(&writer, target) {
                self.wake(&writer, Class::Changed);
            }
        }
    }

    /// A namespace whose labels changed may be let into a ClusterSecretStore now.
    fn namespace_changed(&self, namespace: &ObjectKey, change: &Change<BTreeMap<String, String>>) {
        if let Change::Applied { before, now } = change
            && before.as_ref() != Some(now)
        {
            for (key, _) in self.objects.all() {
                if key.namespace == namespace.name && self.external_secrets.nudge(&key, Nudge::IfFailed) {
                    self.wake(&key, Class::Changed);
                }
            }
        }
    }
}

fn watched_stores<K>(
    kind: &'static str,
    mirror: Mirror<Stored>,
    trim: fn(DeserializeGuard<K>) -> Stored,
) -> Watched<DeserializeGuard<K>, Stored> {
    Watched { kind, mirror, trim, stale: |_, _| false }
}

fn wake_readers(
    relations: &Arc<Relations>,
    external_secrets: &Arc<ExternalSecrets>,
    queue: &Dispatcher<ExternalSecrets>,
) -> impl Fn(&StoreKey, News) + Send + Sync + use<> {
    let (relations, external_secrets, queue) = (Arc::clone(relations), Arc::clone(external_secrets), queue.clone());
    move |store, news| {
        let nudge = match news {
            News::Changed => Nudge::Always,
            News::Recovered => Nudge::IfFailed,
        };
        for reader in relations.readers(store) {
            if external_secrets.nudge(&reader, nudge) {
                queue.wake(&reader, external_secrets.lane(&reader), Class::Changed);
            }
        }
    }
}

/// Checks stores that somebody met trouble with.
async fn check_suspects(
    mut suspected: tokio::sync::mpsc::UnboundedReceiver<StoreKey>,
    queue: Dispatcher<SecretStores>,
) {
    while let Some(store) = suspected.recv().await {
        queue.wake(&store, SecretStores::lane(&store), Class::Retry);
    }
}
