//! Reconciles ExternalSecrets: `gather → validate → due → fetch → plan → apply → report`.
//!
//! | step | file | needs a client |
//! |---|---|---|
//! | gather what is known | `mod.rs`, `memory.rs` | no |
//! | check the manifest | `validate.rs` | no |
//! | is it time? | `due.rs`, `slot.rs`, `history.rs` | no |
//! | read the backends | `fetch.rs` | backend |
//! | put the answers together | `content.rs` | no |
//! | decide on the target | `plan.rs`, `ownership.rs` | no |
//! | look at the target | `look.rs` | yes, where memory does not vouch for it |
//! | write the target | `apply.rs` | yes, the only writer |
//! | tell | `report.rs` | writes the status |

mod apply;
mod content;
mod due;
mod fetch;
#[cfg(test)]
mod fixtures;
mod history;
mod look;
mod memory;
mod ownership;
mod plan;
mod relations;
mod report;
mod slot;
mod sync;
mod validate;
mod version;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use keyferry_crds::{ExternalSecret, ExternalSecretStatus, keys};
use kube::{Client, Resource, core::DeserializeGuard};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::{
    apply::{Applied, apply},
    content::Assembled,
    due::{Due, Observed, Why, due},
    history::after,
    memory::{Memory, Record},
    plan::{Marker, Remote, Written, plan},
    sync::{Refresh, ValidSync},
};
pub(crate) use self::{
    memory::Nudge,
    relations::{Relations, Ties},
};
use super::patience::pause;
use crate::{
    cluster::{Meta, Mirror, ObjectKey, StoreKey, WriteError, Writer},
    events::{Events, Note},
    metrics::Metrics,
    queue::{Class, Job, Lane, Reconciler, Wakeup},
    stores::{Stored, Stores},
    trouble::Trouble,
};

/// An ExternalSecret as the mirror keeps it.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It was stored by another operator's schema and cannot be read.
    Unreadable {
        meta: Box<kube::api::ObjectMeta>,
    },
    Readable(Box<ExternalSecret>),
}

impl Seen {
    /// Keeps what is used of an object that came from the watch.
    pub(crate) fn trim(DeserializeGuard(object): DeserializeGuard<ExternalSecret>) -> Self {
        match object {
            Ok(mut object) => {
                object.metadata.managed_fields = None;
                Self::Readable(Box::new(object))
            }
            Err(invalid) => Self::Unreadable { meta: Box::new(invalid.metadata) },
        }
    }

    pub(crate) fn meta(&self) -> &kube::api::ObjectMeta {
        match self {
            Self::Unreadable { meta } => meta,
            Self::Readable(object) => &object.metadata,
        }
    }

    /// Whether the two differ in what a person or tool asks for. Our own status patches do not.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        let (a, b) = (self.meta(), other.meta());
        a.uid == b.uid
            && a.generation == b.generation
            && a.labels == b.labels
            && a.annotations == b.annotations
            && a.finalizers == b.finalizers
            && a.deletion_timestamp == b.deletion_timestamp
    }
}

/// Everything that an ExternalSecret's reconcile uses.
pub(crate) struct ExternalSecrets {
    pub(crate) client: Client,
    pub(crate) writer: Writer,
    pub(crate) objects: Mirror<Seen>,
    pub(crate) secrets: Mirror<Meta>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) relations: Arc<Relations>,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    memory: Memory,
    marker: Marker,
}

/// How a sync ended well.
struct Success {
    applied: Applied,
    remote: Remote,
    missing: Vec<String>,
    written: Option<Written>,
}

/// How often the target may turn out to be in another state than planned for, before we come back later.
const LOOKS: usize = 4;

impl ExternalSecrets {
    #[allow(clippy::too_many_arguments, reason = "wiring: called once, by `run`")]
    pub(crate) fn new(
        client: Client,
        writer: Writer,
        objects: Mirror<Seen>,
        secrets: Mirror<Meta>,
        stores: Arc<Stores>,
        relations: Arc<Relations>,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (memory, marker) = (Memory::default(), Marker::default());
        Self { client, writer, objects, secrets, stores, relations, events, metrics, memory, marker }
    }

    /// The lane that an ExternalSecret is queued in.
    pub(crate) fn lane(&self, key: &ObjectKey) -> Lane<Option<StoreKey>> {
        Lane { group: self.relations.first_store(key), tenant: Arc::clone(&key.namespace) }
    }

    /// Takes note that something which `key` depends on was changed, so that it is synced although its time has not
    /// come. Returns whether it should be woken.
    pub(crate) fn nudge(&self, key: &ObjectKey, nudge: Nudge) -> bool {
        self.memory.nudge(key, nudge)
    }

    /// Forgets everything: another process may have written meanwhile.
    pub(crate) fn forget_all(&self) {
        self.memory.clear();
    }

    /// Whether a change of the target's metadata is news to us.
    pub(crate) fn is_news(&self, writer: &ObjectKey, target: Option<&Meta>) -> bool {
        self.memory.is_news(writer, target)
    }

    async fn steps(&self, key: &ObjectKey, since: Instant) -> Option<Wakeup> {
        let Some(seen) = self.objects.get(key) else {
            self.memory.forget(key);
            self.metrics.external_secret_forget(&key.namespace, &key.name);
            return None;
        };
        let object = match &*seen {
            Seen::Readable(object) => object,
            Seen::Unreadable { .. } => {
                warn!(external_secret = %key, "stored with fields that this version does not know; apply it again to see which");
                return None;
            }
        };
        if object.metadata.deletion_timestamp.is_some() {
            return self.release(key, object).await;
        }
        if self.is_foreign(object) {
            return None;
        }
        // Both clocks at once: a tick of the one is an instant of the other.
        let (now, began) = (Timestamp::now(), Instant::now());
        let mut record = self.memory.recall(key, object);
        let want = match validate::validate(key, object) {
            Ok(want) => want,
            Err(trouble) => return self.fail(object, record, None, trouble, now).await,
        };
        if record.history.synced.is_some() && record.target.is_none() {
            self.adopt(&want, &mut record).await;
        }
        let target = self.target_seen(&want, &record);
        let why = match due(&want, &Observed { now, history: &record.history, target }) {
            Due::NotYet(next) => {
                let unreported = record.unreported.take();
                if let Some(status) = unreported {
                    self.write_status(object, &mut record, *status).await;
                }
                let later = record.unreported.is_some();
                self.memory.keep(key, record);
                if later {
                    return Some(STATUS_LATER);
                }
                return next.map(|next| wakeup(now, next, Class::Refresh));
            }
            Due::Fetch(why) => why,
        };
        // What reads on the same tick shares its reads; everything else wants what is true since it was woken.
        let since = match why {
            Why::Tick(tick) => began.checked_sub(elapsed(tick, now)).unwrap_or(began),
            _ => since,
        };
        debug!(external_secret = %key, why = why.as_str(), "syncing");
        let result = self.sync(&want, &record, since).await;
        let failed = result.is_err();
        self.metrics.external_secret_synced(&key.namespace, &key.name, why.as_str(), began.elapsed(), failed);
        match result {
            Ok(success) => self.succeed(object, record, &want, success, now).await,
            Err(trouble) => self.fail(object, record, Some(&want), trouble, now).await,
        }
    }

    /// Reads, plans and writes.
    async fn sync(&self, want: &ValidSync, record: &Record, since: Instant) -> Result<Success, Trouble> {
        if let Some(rival) = self.relations.rival(&want.key, &want.target_key()) {
            return Err(conflict(want, &ownership::Refusal::Rival(rival.name.to_string())));
        }
        let answers = fetch::fetch(&self.stores, want, since).await?;
        let Assembled { remote, missing } = content::assemble(want, answers)?;
        let mut look_anew = false;
        for _ in 0..LOOKS {
            let target = self.look(want, record, look_anew).await?;
            let step = plan(want, target, &remote, &self.marker).map_err(|refusal| conflict(want, &refusal))?;
            match apply(&self.writer, want, step).await {
                Ok(applied) => {
                    self.see(want, &applied);
                    let written = match (&remote, &applied.target) {
                        (Remote::Content(content), Some(meta)) => {
                            Some(plan::written(want, content, meta.clone(), &self.marker))
                        }
                        _ => None,
                    };
                    return Ok(Success { applied, remote, missing, written });
                }
                Err(WriteError::Conflict) => look_anew = true,
                Err(error) => return Err(cluster_trouble(want, &error)),
            }
        }
        let text = format!("Secret {} is being changed by somebody else all the time", want.target_key());
        Err(Trouble::passing("FieldConflict", text))
    }

    async fn succeed(
        &self,
        object: &ExternalSecret,
        mut record: Record,
        want: &ValidSync,
        success: Success,
        now: Timestamp,
    ) -> Option<Wakeup> {
        let Success { applied, remote, missing, written } = success;
        record.succeeded(want, &applied, written, remote == Remote::Nothing, now);
        let ended = report::Ended::Well { want, applied: &applied, remote: &remote, missing: &missing };
        self.tell(object, &mut record, &ended, now).await;
        let synced_at = record.history.synced.as_ref().map_or(now, |synced| synced.at);
        let unreported = record.unreported.is_some();
        self.memory.keep(&want.key, record);
        match due::slot(want) {
            _ if unreported => Some(STATUS_LATER),
            Some(slot) => Some(wakeup(now, slot.due_after(synced_at), Class::Refresh)),
            None => None,
        }
    }

    async fn fail(
        &self,
        object: &ExternalSecret,
        mut record: Record,
        want: Option<&ValidSync>,
        trouble: Trouble,
        now: Timestamp,
    ) -> Option<Wakeup> {
        let key = ObjectKey::of(&object.metadata);
        info!(
            external_secret = %key, request_id = trouble.request_id.as_deref(),
            "not synced: {trouble}"
        );
        let interval = want.and_then(|want| match want.refresh {
            Refresh::Periodic(interval) if !interval.is_zero() => Some(interval),
            _ => None,
        });
        let attempts = record.history.failure.as_ref().map_or(1, |failure| failure.attempts.saturating_add(1));
        let pause = pause(trouble.patience, attempts, interval, trouble.hint, rand::random());
        record.failed(object, attempts, after(now, pause));
        self.tell(object, &mut record, &report::Ended::Badly(&trouble), now).await;
        let told = record.unreported.is_none();
        self.memory.keep(&key, record);
        // A manifest that cannot work waits for a change.
        if told && want.is_none() { None } else { Some(Wakeup { after: pause, class: Class::Retry }) }
    }

    /// Writes the status if it has something new to say, and tells events.
    async fn tell(&self, object: &ExternalSecret, record: &mut Record, ended: &report::Ended<'_>, now: Timestamp) {
        let key = ObjectKey::of(&object.metadata);
        let report = report::report(object, &record.status, ended, now);
        self.metrics.external_secret_condition(&key.namespace, &key.name, !matches!(ended, report::Ended::Badly(_)));
        for event in report.events {
            let about: ObjectReference = object.object_ref(&());
            self.events.tell(Note { about, warning: event.warning, reason: event.reason, message: event.message });
        }
        if let Some(status) = report.status {
            self.write_status(object, record, status).await;
        }
    }

    async fn write_status(&self, object: &ExternalSecret, record: &mut Record, status: ExternalSecretStatus) {
        let key = ObjectKey::of(&object.metadata);
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        match self.writer.patch_status::<ExternalSecret>(&key, uid, &status).await {
            // On a conflict the object is gone: there is nobody to tell.
            Ok(_) | Err(WriteError::Conflict) => (record.status, record.unreported) = (status, None),
            Err(error) => {
                record.unreported = Some(Box::new(status));
                warn!(external_secret = %key, %error, "status could not be written; it is tried again");
            }
        }
    }

    /// The ExternalSecret is being deleted. Its target goes through its owner reference, if it has one; what remains
    /// is to take away the finalizer that another operator put on it, which would keep it for ever.
    async fn release(&self, key: &ObjectKey, object: &ExternalSecret) -> Option<Wakeup> {
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER_EXTERNAL_SECRET) {
            return None;
        }
        let rest: Vec<_> =
            finalizers.iter().filter(|finalizer| *finalizer != keys::FINALIZER_EXTERNAL_SECRET).cloned().collect();
        let of = Meta::of(&object.metadata);
        match self.writer.set_finalizers::<ExternalSecret>(key, &of, &rest).await {
            Ok(_) | Err(WriteError::Conflict) => None,
            Err(error) => {
                warn!(external_secret = %key, %error, "finalizer could not be removed; it is tried again");
                Some(STATUS_LATER)
            }
        }
    }

    /// Whether one of its stores belongs to another operator's process, whose business it then is.
    fn is_foreign(&self, object: &ExternalSecret) -> bool {
        validate::stores(object).iter().any(|store| match self.stores.get(store).as_deref() {
            Some(Stored::Readable(view)) => self.stores.is_foreign(view),
            Some(Stored::Unreadable { .. }) | None => false,
        })
    }
}

/// When a status could not be written, or a finalizer not removed.
const STATUS_LATER: Wakeup = Wakeup { after: Duration::from_secs(2), class: Class::Retry };

#[async_trait]
impl Reconciler for ExternalSecrets {
    type Key = ObjectKey;
    type Group = Option<StoreKey>;

    async fn reconcile(&self, job: &Job<ObjectKey>) -> Option<Wakeup> {
        let started = Instant::now();
        let next = self.steps(&job.key, job.since).await;
        self.metrics.reconciled("externalsecret", Wakeup::result_of(next), started.elapsed());
        next
    }

    fn waited(&self, class: Class, waited: Duration, depth: usize) {
        self.metrics.queue_waited("externalsecret", class.as_str(), waited, depth);
    }
}

/// The ties of an ExternalSecret, for the index.
pub(crate) fn ties(key: &ObjectKey, seen: &Seen) -> Ties {
    let created = seen.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    match seen {
        Seen::Unreadable { .. } => Ties { stores: Vec::new(), target: key.clone(), created },
        Seen::Readable(object) => Ties {
            stores: validate::stores(object),
            target: ObjectKey::new(Arc::clone(&key.namespace), validate::target_name(object)),
            created,
        },
    }
}

fn conflict(want: &ValidSync, refusal: &ownership::Refusal) -> Trouble {
    let text = format!("Secret {}: {}: {refusal}", want.target_key(), refusal.known_as());
    Trouble::lasting("TargetConflict", text)
}

fn cluster_trouble(want: &ValidSync, error: &WriteError) -> Trouble {
    let target = want.target_key();
    match error {
        WriteError::NamespaceTerminating => {
            Trouble::lasting("NamespaceTerminating", format!("Secret {target} cannot be created: {error}"))
        }
        WriteError::Conflict | WriteError::NotLeader | WriteError::Refused(_) => {
            Trouble::passing("KubernetesRefused", format!("failed to write the target Secret {target}: {error}"))
        }
    }
}

fn wakeup(now: Timestamp, at: Timestamp, class: Class) -> Wakeup {
    Wakeup { after: elapsed(now, at), class }
}

/// From `from` to `to`; nothing if that is backwards.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
