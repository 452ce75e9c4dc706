//! What to tell: the status and events that follow from what was done. Pure.
//!
//! The status is computed from what was applied, and written only when it says something new, or once a minute to
//! show that refreshes go on.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keyferry_crds::{Binding, ExternalSecret, ExternalSecretStatus, SyncedTarget, reasons};

use super::{
    apply::{Applied, Did},
    plan::Remote,
    sync::ValidSync,
};
use crate::{
    reconcile::ready::{Says, set_ready},
    trouble::Trouble,
};

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended<'a> {
    Badly(&'a Trouble),
    Well { want: &'a ValidSync, applied: &'a Applied, remote: &'a Remote, missing: &'a [String] },
}

/// What to tell.
#[derive(Debug, PartialEq)]
pub(super) struct Report {
    /// The whole status, if it is worth a write.
    pub(super) status: Option<ExternalSecretStatus>,
    pub(super) events: Vec<Event>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// A refresh that changed nothing is shown in the status at most this often.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(60);

/// Computes the report; `before` is the status as it was last written.
pub(super) fn report(
    object: &ExternalSecret,
    before: &ExternalSecretStatus,
    ended: &Ended<'_>,
    now: Timestamp,
) -> Report {
    let generation = object.metadata.generation;
    let mut status = before.clone();
    status.observed_generation = generation;
    let (ready, reason, message) = verdict(ended);
    let says = Says { ready, reason, message, generation };
    let changed = set_ready(status.conditions.get_or_insert_default(), now, says);
    if let Ended::Well { want, applied, .. } = ended {
        status.synced_resource_version = Some(want.version.clone());
        status.target = applied.target.as_ref().map(|meta| SyncedTarget {
            uid: meta.uid.to_string(),
            resource_version: meta.resource_version.to_string(),
        });
        status.binding = applied.target.as_ref().map(|_| Binding { name: Some(want.target.name.to_string()) });
        let news = status != *before;
        let last = before.refresh_time.as_ref().map(|time| time.0);
        let silent_for_long = last.is_none_or(|last| now.duration_since(last) >= HEARTBEAT || last > now);
        if news || silent_for_long {
            status.refresh_time = Some(Time(now));
        }
    }
    let events = events(ended, changed);
    Report { status: (status != *before).then_some(status), events }
}

/// Ready or not, the reason and the message.
fn verdict(ended: &Ended<'_>) -> (bool, &'static str, String) {
    match ended {
        Ended::Badly(trouble) => (false, reasons::SECRET_SYNCED_ERROR, trouble.to_string()),
        Ended::Well { remote: Remote::Content(_), .. } => (true, reasons::SECRET_SYNCED, "secret synced".to_owned()),
        Ended::Well { remote: Remote::Empty, .. } => {
            let message = "secret retained due to DeletionPolicy=Retain: the backend's answer held no key";
            (true, reasons::SECRET_SYNCED, message.to_owned())
        }
        Ended::Well { remote: Remote::Nothing, .. } => {
            (true, reasons::SECRET_DELETED, "secret deleted due to DeletionPolicy=Delete".to_owned())
        }
    }
}

/// Events for what changed; a failure that lasts is told once.
fn events(ended: &Ended<'_>, changed: bool) -> Vec<Event> {
    let normal = |reason, message: &str| Event { warning: false, reason, message: message.to_owned() };
    match ended {
        Ended::Badly(trouble) => {
            let event = Event { warning: true, reason: reasons::EVENT_UPDATE_FAILED, message: trouble.to_string() };
            if changed { vec![event] } else { Vec::new() }
        }
        Ended::Well { applied, missing, .. } => {
            let done = match applied.did {
                Did::Created => Some(normal(reasons::EVENT_CREATED, "secret created")),
                Did::Deleted => Some(normal(reasons::EVENT_DELETED, "secret deleted due to DeletionPolicy=Delete")),
                Did::Nothing => None,
                Did::Updated => Some(normal(reasons::EVENT_UPDATED, "secret updated")),
            };
            let gone = missing.iter().filter(|_| applied.did != Did::Nothing).map(|field| {
                normal(reasons::EVENT_MISSING, &format!("secret does not exist at provider using {field}"))
            });
            done.into_iter().chain(gone).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::{SignedDuration, Timestamp};
    use keyferry_core::SecretBytes;
    use keyferry_crds::{ExternalSecret, ExternalSecretStatus, reasons};

    use super::{super::fixtures, Applied, Did, Ended, Remote, Report, report};
    use crate::{cluster::Meta, reconcile::external_secret::sync::ValidSync, trouble::Trouble};

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn object() -> ExternalSecret {
        let mut object = ExternalSecret::new("db", serde_json::from_str(r#"{"secretStoreRef":{"name":"s"}}"#).unwrap());
        object.metadata.generation = Some(3);
        object
    }

    fn applied(did: Did) -> Applied {
        Applied { did, target: Some(Meta { uid: "u".into(), resource_version: "7".into() }) }
    }

    fn well(did: Did, before: &ExternalSecretStatus, now: Timestamp) -> Report {
        let want: ValidSync = fixtures::sync();
        let remote = Remote::Content(BTreeMap::from([("a".to_owned(), SecretBytes::from("b"))]));
        let applied = applied(did);
        let ended = Ended::Well { want: &want, applied: &applied, remote: &remote, missing: &[] };
        report(&object(), before, &ended, now)
    }

    fn badly(trouble: &Trouble, before: &ExternalSecretStatus) -> Report {
        report(&object(), before, &Ended::Badly(trouble), now())
    }

    fn ready(status: &ExternalSecretStatus) -> (String, String, String) {
        let condition = &status.conditions.as_ref().unwrap()[0];
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (condition.status.clone(), text(&condition.reason), text(&condition.message))
    }

    #[test]
    fn a_first_sync_tells_everything() {
        let Report { status, events } = well(Did::Created, &ExternalSecretStatus::default(), now());
        let status = status.unwrap();
        assert_eq!(ready(&status), ("True".into(), "SecretSynced".into(), "secret synced".into()));
        assert_eq!(status.refresh_time.unwrap().0, now());
        assert_eq!(status.target.unwrap().resource_version, "7");
        assert_eq!((status.observed_generation, status.binding.unwrap().name), (Some(3), Some("db".into())));
        assert_eq!((events.len(), events[0].reason), (1, reasons::EVENT_CREATED));
    }

    #[test]
    fn a_refresh_without_change_is_told_once_a_minute() {
        let first = well(Did::Created, &ExternalSecretStatus::default(), now()).status.unwrap();
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        assert_eq!(well(Did::Nothing, &first, at(59)), Report { status: None, events: Vec::new() });
        let heartbeat = well(Did::Nothing, &first, at(60)).status.unwrap();
        assert_eq!(heartbeat.refresh_time.as_ref().unwrap().0, at(60));
        assert_eq!(ready(&heartbeat), ready(&first));
    }

    #[test]
    fn a_failure_keeps_what_was_true_and_names_cause_and_remedy() {
        let first = well(Did::Created, &ExternalSecretStatus::default(), now()).status.unwrap();
        let trouble = Trouble::lasting("AccessDenied", "spec.data[0]: denied; grant it");
        let Report { status, events } = badly(&trouble, &first);
        let status = status.unwrap();
        let message = "AccessDenied: spec.data[0]: denied; grant it";
        assert_eq!(ready(&status), ("False".into(), "SecretSyncedError".into(), message.into()));
        assert_eq!((&status.refresh_time, &status.target), (&first.refresh_time, &first.target));
        assert!(events[0].warning && events[0].message == message);
        assert_eq!(badly(&trouble, &status), Report { status: None, events: Vec::new() });
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let trouble = Trouble::lasting("AccessDenied", "x");
        let first = badly(&trouble, &ExternalSecretStatus::default()).status.unwrap();
        let time = |status: &ExternalSecretStatus| status.conditions.as_ref().unwrap()[0].last_transition_time.clone();
        let ended = Trouble::lasting("RemoteNotFound", "y");
        let later = report(&object(), &first, &Ended::Badly(&ended), now() + SignedDuration::from_secs(9));
        assert_eq!(time(&later.status.unwrap()), time(&first));
        let healed = well(Did::Updated, &first, now() + SignedDuration::from_secs(9)).status.unwrap();
        assert_ne!(time(&healed), time(&first));
    }

    #[test]
    fn deletion_and_retention_are_told() {
        let want = fixtures::sync();
        let applied = Applied { did: Did::Deleted, target: None };
        let missing = ["spec.data[0] (key a)".to_owned()];
        let tell = |remote: &Remote| {
            let ended = Ended::Well { want: &want, applied: &applied, remote, missing: &missing };
            report(&object(), &ExternalSecretStatus::default(), &ended, now())
        };
        let Report { status, events } = tell(&Remote::Nothing);
        assert_eq!(ready(&status.unwrap()).1, "SecretDeleted");
        assert_eq!(events.iter().map(|event| event.reason).collect::<Vec<_>>(), ["Deleted", "MissingProviderSecret"]);
        assert!(ready(&tell(&Remote::Empty).status.unwrap()).2.starts_with("secret retained"));
    }
}
