//! What to do with the Lease, given what it says. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;
use tokio::time::Instant;

use super::Election;

/// The next request.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Create(Box<Lease>),
    Replace(Box<Lease>),
    /// Another replica holds it.
    Wait,
}

/// The Lease as it was last seen to change. Only its changes are trusted, not its times: clocks of two nodes differ.
#[derive(Debug, Default)]
pub(super) struct Watched(Option<(String, Instant)>);

impl Watched {
    /// Decides on `seen`. `now` is our own steady clock, `wall` the time to write down.
    pub(super) fn next(&mut self, election: &Election, seen: Option<Lease>, now: Instant, wall: Timestamp) -> Step {
        let Some(mut lease) = seen else {
            let metadata = ObjectMeta { name: Some(election.lease.clone()), ..ObjectMeta::default() };
            let spec = held_by(election, None, wall);
            return Step::Create(Box::new(Lease { metadata, spec: Some(spec) }));
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder != election.identity && !holder.is_empty() {
            let version = lease.metadata.resource_version.clone().unwrap_or_default();
            let since = match &self.0 {
                Some((before, since)) if *before == version => *since,
                _ => now,
            };
            self.0 = Some((version, since));
            if now.saturating_duration_since(since) < respected(&spec) {
                return Step::Wait;
            }
        }
        lease.spec = Some(held_by(election, Some(spec), wall));
        Step::Replace(Box::new(lease))
    }
}

/// The Lease without us; `None` where it is not ours.
pub(super) fn released(mut lease: Lease, identity: &str) -> Option<Lease> {
    let spec = lease.spec.as_mut()?;
    if spec.holder_identity.as_deref() != Some(identity) {
        return None;
    }
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1);
    Some(lease)
}

fn respected(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

fn held_by(election: &Election, before: Option<LeaseSpec>, wall: Timestamp) -> LeaseSpec {
    let before = before.unwrap_or_default();
    let same = before.holder_identity.as_deref() == Some(&election.identity);
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        acquire_time: before.acquire_time.filter(|_| same).or(Some(MicroTime(wall))),
        holder_identity: Some(election.identity.clone()),
        lease_duration_seconds: i32::try_from(election.lease_duration.as_secs().max(1)).ok(),
        lease_transitions: Some(if same { transitions } else { transitions.saturating_add(1) }),
        renew_time: Some(MicroTime(wall)),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::Lease;
    use tokio::time::Instant;

    use super::{Election, Step, Watched, released};

    fn election(identity: &str) -> Election {
        Election {
            lease: "lease".into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    fn wall() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn held_by(identity: &str, version: &str) -> Lease {
        let Step::Create(mut lease) = Watched::default().next(&election(identity), None, Instant::now(), wall()) else {
            panic!("must create")
        };
        lease.metadata.resource_version = Some(version.into());
        *lease
    }

    fn holder(step: &Step) -> Option<String> {
        match step {
            Step::Create(lease) | Step::Replace(lease) => lease.spec.as_ref()?.holder_identity.clone(),
            Step::Wait => None,
        }
    }

    #[test]
    fn a_lease_that_is_not_there_is_created() {
        let step = Watched::default().next(&election("a"), None, Instant::now(), wall());
        assert!(matches!(step, Step::Create(_)));
        assert_eq!(holder(&step).as_deref(), Some("a"));
    }

    #[test]
    fn our_own_is_renewed_without_a_transition() {
        let step = Watched::default().next(&election("a"), Some(held_by("a", "1")), Instant::now(), wall());
        let Step::Replace(lease) = step else { panic!("must renew") };
        assert_eq!(lease.spec.unwrap().lease_transitions, Some(1));
    }

    #[test]
    fn anothers_is_respected_until_it_stands_still() {
        let (mut watched, now) = (Watched::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut look =
            |version, seconds| watched.next(&election("b"), Some(held_by("a", version)), at(seconds), wall());
        assert_eq!(look("1", 0), Step::Wait);
        assert_eq!(look("2", 14), Step::Wait);
        assert_eq!(look("2", 28), Step::Wait);
        assert_eq!(holder(&look("2", 29)).as_deref(), Some("b"));
    }

    #[test]
    fn what_was_given_back_is_taken_at_once() {
        let lease = released(held_by("a", "1"), "a").unwrap();
        assert_eq!(released(held_by("a", "1"), "b"), None);
        let step = Watched::default().next(&election("b"), Some(lease), Instant::now(), wall());
        let Step::Replace(taken) = step else { panic!("must take it") };
        assert_eq!(taken.spec.unwrap().lease_transitions, Some(2));
    }
}
