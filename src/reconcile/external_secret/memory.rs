//! What this process remembers of each ExternalSecret. Never a value. All of it may be lost: a restart takes it up
//! again from the status.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use keyferry_crds::{ExternalSecret, ExternalSecretStatus, reasons};

use super::{
    apply::Applied,
    history::{Failure, History, Synced},
    plan::Written,
    sync::ValidSync,
    version,
};
use crate::cluster::{Meta, ObjectKey};

/// One ExternalSecret.
#[derive(Clone, Debug)]
pub(super) struct Record {
    uid: Arc<str>,
    pub(super) history: History,
    /// The target as we left it.
    pub(super) target: Option<Meta>,
    /// What we put into it, for comparing.
    pub(super) written: Option<Written>,
    /// The status as we last wrote or found it.
    pub(super) status: ExternalSecretStatus,
    /// What it should say, where that could not be written.
    pub(super) unreported: Option<Box<ExternalSecretStatus>>,
}

impl Record {
    /// As the object's status tells it.
    fn of(object: &ExternalSecret) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == reasons::READY);
        let version = status.synced_resource_version.clone().unwrap_or_default();
        let synced = status.refresh_time.as_ref().map(|time| Synced {
            version: version.clone(),
            at: time.0,
            deleted: ready.is_some_and(|ready| ready.reason.as_deref() == Some(reasons::SECRET_DELETED)),
        });
        // A failure is tried again at once: whatever it was, the restart may have mended it.
        let failure = ready.filter(|ready| ready.status != "True").map(|_| Failure {
            attempts: 1,
            version: version_of(object),
            retry_at: Timestamp::UNIX_EPOCH,
        });
        let target = status.target.as_ref().map(|target| Meta {
            uid: target.uid.as_str().into(),
            resource_version: target.resource_version.as_str().into(),
        });
        Self {
            uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
            history: History { synced: synced.filter(|_| !version.is_empty()), failure, nudged: false },
            target,
            written: None,
            status,
            unreported: None,
        }
    }

    pub(super) fn succeeded(
        &mut self,
        want: &ValidSync,
        applied: &Applied,
        written: Option<Written>,
        deleted: bool,
        at: Timestamp,
    ) {
        let synced = Synced { version: want.version.clone(), at, deleted };
        self.history = History { synced: Some(synced), failure: None, nudged: false };
        self.target.clone_from(&applied.target);
        self.written = written;
    }

    pub(super) fn failed(&mut self, object: &ExternalSecret, attempts: u32, retry_at: Timestamp) {
        self.history.failure = Some(Failure { attempts, version: version_of(object), retry_at });
        self.history.nudged = false;
    }
}

/// [`ValidSync::version`] of an object that need not be valid.
pub(super) fn version_of(object: &ExternalSecret) -> String {
    let meta = &object.metadata;
    version::synced_version(meta.generation.unwrap_or_default(), meta.labels.as_ref(), meta.annotations.as_ref())
}

/// All records.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<ObjectKey, Place>>);

#[derive(Debug, Default)]
struct Place {
    record: Option<Record>,
    /// Apart from the record, so that a nudge during a reconcile is not overwritten at its end.
    nudge: Option<Nudge>,
}

/// Something that an ExternalSecret depends on was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nudge {
    /// Whatever failed may work now. Decided when the reconcile that is under way has ended.
    IfFailed,
    /// What was read may be something else now.
    Always,
}

impl Memory {
    /// The record of `object`, or what its status tells where we know nothing of it yet; with the nudge that came
    /// since, if one did.
    pub(super) fn recall(&self, key: &ObjectKey, object: &ExternalSecret) -> Record {
        let mut places = self.places();
        let place = places.entry(key.clone()).or_default();
        let known = place.record.clone().filter(|record| Some(&*record.uid) == object.metadata.uid.as_deref());
        let mut record = known.unwrap_or_else(|| Record::of(object));
        record.history.nudged |= match place.nudge.take() {
            Some(Nudge::Always) => true,
            Some(Nudge::IfFailed) => record.history.failure.is_some(),
            None => false,
        };
        record
    }

    pub(super) fn keep(&self, key: &ObjectKey, record: Record) {
        self.places().entry(key.clone()).or_default().record = Some(record);
    }

    pub(super) fn forget(&self, key: &ObjectKey) {
        self.places().remove(key);
    }

    /// Forgets everything: another process may have written meanwhile.
    pub(super) fn clear(&self) {
        self.places().clear();
    }

    /// Notes the nudge. Returns whether it concerns `key`, as far as can be told now.
    pub(super) fn nudge(&self, key: &ObjectKey, nudge: Nudge) -> bool {
        let mut places = self.places();
        let Some(place) = places.get_mut(key) else { return true };
        let may_have_failed = place.record.as_ref().is_none_or(|record| record.history.failure.is_some());
        let concerned = nudge == Nudge::Always || may_have_failed;
        if concerned {
            place.nudge = place.nudge.max(Some(nudge));
        }
        concerned
    }

    /// Whether `target` is not what we left.
    pub(super) fn is_news(&self, key: &ObjectKey, target: Option<&Meta>) -> bool {
        let places = self.places();
        let ours = places.get(key).and_then(|place| place.record.as_ref()).map(|record| &record.target);
        match (ours, target) {
            (Some(Some(ours)), Some(seen)) => seen != ours && !seen.is_older_than(ours),
            (Some(None), None) => false,
            _ => true,
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<ObjectKey, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use keyferry_crds::ExternalSecret;

    use super::{super::fixtures, Memory, Nudge, Record};
    use crate::{
        cluster::ObjectKey,
        reconcile::external_secret::apply::{Applied, Did},
    };

    fn key() -> ObjectKey {
        ObjectKey::new("app", "db")
    }

    fn object() -> ExternalSecret {
        let mut object = ExternalSecret::new("db", serde_json::from_str(r#"{"secretStoreRef":{"name":"s"}}"#).unwrap());
        object.metadata.uid = Some("es-uid".into());
        object
    }

    fn synced(mut record: Record) -> Record {
        let applied = Applied { did: Did::Created, target: None };
        record.succeeded(&fixtures::sync(), &applied, None, false, Timestamp::UNIX_EPOCH);
        record
    }

    fn failed(mut record: Record) -> Record {
        record.failed(&object(), 1, Timestamp::MAX);
        record
    }

    /// A store turns ready while the first sync is under way.
    fn nudged_during(ends: impl Fn(Record) -> Record, nudge: Nudge) -> bool {
        let memory = Memory::default();
        let record = memory.recall(&key(), &object());
        assert!(memory.nudge(&key(), nudge));
        memory.keep(&key(), ends(record));
        memory.recall(&key(), &object()).history.nudged
    }

    #[test]
    fn a_nudge_during_a_sync_counts_by_how_it_ends() {
        assert!(!nudged_during(synced, Nudge::IfFailed));
        assert!(nudged_during(failed, Nudge::IfFailed));
        assert!(nudged_during(synced, Nudge::Always));
    }

    #[test]
    fn what_works_is_not_concerned_by_a_recovery() {
        let memory = Memory::default();
        memory.keep(&key(), synced(memory.recall(&key(), &object())));
        assert!(!memory.nudge(&key(), Nudge::IfFailed));
        memory.keep(&key(), failed(memory.recall(&key(), &object())));
        assert!(memory.nudge(&key(), Nudge::IfFailed));
    }

    #[test]
    fn a_nudge_is_heard_once() {
        let memory = Memory::default();
        memory.keep(&key(), synced(memory.recall(&key(), &object())));
        memory.nudge(&key(), Nudge::Always);
        assert!(memory.recall(&key(), &object()).history.nudged);
        assert!(!memory.recall(&key(), &object()).history.nudged);
    }
}
