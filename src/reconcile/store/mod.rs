//! Reconciles SecretStores and ClusterSecretStores: does the login work? Tells the status, and wakes the
//! ExternalSecrets that wait for the answer.

mod report;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use keyferry_crds::{ClusterSecretStore, SecretStore, SecretStoreStatus, admission};
use tokio::time::Instant;
use tracing::{info, warn};

use self::report::{Verdict, report};
use super::patience::pause;
use crate::{
    cluster::{StoreKey, StoreKind, WriteError, Writer},
    events::{Events, Note},
    metrics::Metrics,
    queue::{Class, Job, Lane, Reconciler, Wakeup},
    stores::{Built, Health, StoreView, Stored, Stores, unreadable},
    trouble::Trouble,
};

/// Who reads a store is woken, because of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It leads elsewhere now: other settings or other credentials.
    Changed,
    /// It works again, or for the first time.
    Recovered,
}

/// Tells the readers of a store.
pub(crate) type WakeReaders = Box<dyn Fn(&StoreKey, News) + Send + Sync>;

/// Everything that a store's reconcile uses.
pub(crate) struct SecretStores {
    pub(crate) stores: Arc<Stores>,
    pub(crate) writer: Writer,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    /// Between two checks of a store that names no interval itself.
    pub(crate) interval: Duration,
    /// Wakes the readers of a store.
    pub(crate) wake_readers: WakeReaders,
    pub(crate) memory: StoreMemory,
}

/// What this process remembers of each store.
#[derive(Debug, Default)]
pub(crate) struct StoreMemory(Mutex<HashMap<StoreKey, Record>>);

#[derive(Clone, Debug, Default)]
struct Record {
    uid: Arc<str>,
    /// The last provider that could be built.
    identity: Option<u64>,
    attempts: u32,
    /// The status as it was last written or found.
    status: SecretStoreStatus,
}

impl StoreMemory {
    /// Forgets everything: another process may have written meanwhile.
    pub(crate) fn clear(&self) {
        self.records().clear();
    }

    fn records(&self) -> MutexGuard<'_, HashMap<StoreKey, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretStores {
    /// The lane that a store is queued in.
    pub(crate) fn lane(key: &StoreKey) -> Lane<StoreKey> {
        Lane { group: key.clone(), tenant: Arc::clone(&key.object.namespace) }
    }

    async fn steps(&self, key: &StoreKey) -> Option<Wakeup> {
        let Some(stored) = self.stores.get(key) else {
            self.memory.records().remove(key);
            self.stores.forget(key);
            self.metrics.store_forget(key.kind.as_str(), &key.object.namespace, &key.object.name);
            return None;
        };
        let view = match &*stored {
            Stored::Readable(view) => view,
            Stored::Unreadable { .. } => {
                warn!(store = %key, "{}", unreadable(key));
                return None;
            }
        };
        if self.stores.is_foreign(view) {
            return None;
        }
        let mut record = self.recall(key, view);
        let (verdict, identity) = self.examine(key, view).await;
        let changed = matches!((record.identity, identity), (Some(before), Some(now)) if before != now);
        record.identity = identity.or(record.identity);
        let (health, pause) = match &verdict {
            Verdict::Works | Verdict::DependsOnReader => {
                record.attempts = 0;
                (Health::Ready, None)
            }
            Verdict::Fails(trouble) => {
                info!(store = %key, request_id = trouble.request_id.as_deref(), "not ready: {trouble}");
                record.attempts = record.attempts.saturating_add(1);
                let interval = Some(self.interval_of(view));
                let pause = pause(trouble.patience, record.attempts, interval, trouble.hint, rand::random());
                (Health::NotReady(trouble.to_string()), Some(pause))
            }
        };
        let told = self.tell(key, view, &mut record, &verdict).await;
        self.memory.records().insert(key.clone(), record);
        // Only after the status: whoever looks at a synced ExternalSecret finds its store ready.
        let recovered = self.stores.set_health(key, health);
        if changed {
            (self.wake_readers)(key, News::Changed);
        } else if recovered {
            (self.wake_readers)(key, News::Recovered);
        }
        Some(match pause {
            _ if !told => Wakeup { after: STATUS_LATER, class: Class::Retry },
            Some(pause) => Wakeup { after: pause, class: Class::Retry },
            None => Wakeup { after: self.interval_of(view), class: Class::Refresh },
        })
    }

    /// Checks manifest, references and login, in this order.
    async fn examine(&self, key: &StoreKey, view: &StoreView) -> (Verdict, Option<u64>) {
        let kind = match key.kind {
            StoreKind::ClusterSecretStore => admission::Scope::Cluster,
            StoreKind::SecretStore => admission::Scope::Namespace(&key.object.namespace),
        };
        let violations = admission::violations(&view.object.spec, kind);
        if !violations.is_empty() {
            let text: Vec<_> = violations.iter().map(ToString::to_string).collect();
            return (Verdict::Fails(Trouble::lasting("InvalidConfiguration", text.join("; "))), None);
        }
        match self.stores.build(key, view, None).await {
            Built::NobodyAsks => (Verdict::DependsOnReader, None),
            Built::Trouble(trouble) => (Verdict::Fails(trouble), None),
            Built::Session(session) => {
                let verdict = match session.provider().check().await {
                    Ok(()) => Verdict::Works,
                    Err(error) => Verdict::Fails(Trouble::of_backend("spec.provider", &error)),
                };
                (verdict, Some(session.identity))
            }
        }
    }

    /// Writes status and events if there is news. Returns whether the status is as it should be.
    async fn tell(&self, key: &StoreKey, view: &StoreView, record: &mut Record, verdict: &Verdict) -> bool {
        let (kind, object) = (key.kind.as_str(), &key.object);
        let ready = !matches!(verdict, Verdict::Fails(_));
        self.metrics.store_condition(kind, &object.namespace, &object.name, ready);
        let report = report(&record.status, verdict, view.object.generation, Timestamp::now());
        let Some(status) = report.status else { return true };
        let uid = &view.object.uid;
        let written = match key.kind {
            StoreKind::ClusterSecretStore => self.writer.patch_status::<ClusterSecretStore>(object, uid, &status).await,
            StoreKind::SecretStore => self.writer.patch_status::<SecretStore>(object, uid, &status).await,
        };
        match written {
            Ok(_) | Err(WriteError::Conflict) => record.status = status,
            Err(error) => {
                warn!(store = %key, %error, "status could not be written; it is tried again");
                return false;
            }
        }
        if let Some((warning, reason, message)) = report.event {
            self.events.tell(Note { about: reference(key, uid), warning, reason, message });
        }
        true
    }

    fn recall(&self, key: &StoreKey, view: &StoreView) -> Record {
        let known = self.memory.records().get(key).cloned();
        known.filter(|record| record.uid == view.object.uid).unwrap_or_else(|| Record {
            uid: Arc::clone(&view.object.uid),
            status: view.status.clone(),
            ..Record::default()
        })
    }

    fn interval_of(&self, view: &StoreView) -> Duration {
        view.object.spec.check_interval().filter(|interval| !interval.is_zero()).unwrap_or(self.interval)
    }
}

/// When a status could not be written.
const STATUS_LATER: Duration = Duration::from_secs(2);

#[async_trait]
impl Reconciler for SecretStores {
    type Key = StoreKey;
    type Group = StoreKey;

    async fn reconcile(&self, job: &Job<StoreKey>) -> Option<Wakeup> {
        let started = Instant::now();
        let next = self.steps(&job.key).await;
        self.metrics.reconciled(controller(job.key.kind), Wakeup::result_of(next), started.elapsed());
        next
    }

    fn waited(&self, class: Class, waited: Duration, depth: usize) {
        self.metrics.queue_waited("secretstore", class.as_str(), waited, depth);
    }
}

/// The controller's name in metrics.
fn controller(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::ClusterSecretStore => "clustersecretstore",
        StoreKind::SecretStore => "secretstore",
    }
}

fn reference(key: &StoreKey, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{}/v1", keyferry_crds::keys::GROUP)),
        kind: Some(key.kind.as_str().to_owned()),
        name: Some(key.object.name.to_string()),
        namespace: Some(key.object.namespace.to_string()).filter(|namespace| !namespace.is_empty()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}
