//! What one phase costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use keyferry_e2e::harness::{AuditLog, Mark, Operator, Request};

use super::floor::Floor;
use super::surroundings::{MOUNT, Surroundings, Team};

/// No phase takes longer.
const DEADLINE: Duration = Duration::from_mins(10);

/// An operator that asks nothing for so long has nothing more to say.
const SILENCE: Duration = Duration::from_secs(3);

/// Between two looks at the audit log.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Something that the operator brings about, as its requests show.
#[derive(Clone, Copy, Debug)]
pub(super) enum Milestone {
    /// A store's status was written.
    StoreReady,
    /// So many targets were created and as many statuses written.
    Synced(usize),
    /// The statuses of so many ExternalSecrets were written.
    StatusesWritten(usize),
    /// So many targets were changed.
    TargetsWritten(usize),
}

/// What a phase cost.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    pub(super) phase: &'static str,
    pub(super) seconds: f64,
    /// What the time is compared with, if it is.
    pub(super) floor: Option<Floor>,
    /// Reads of secrets, logins, and calls for the login's sake.
    pub(super) reads: usize,
    pub(super) logins: usize,
    pub(super) session_calls: usize,
    /// By verb and resource.
    pub(super) requests: BTreeMap<String, usize>,
    pub(super) cpu: Duration,
    /// Resident memory in bytes: before, at most and at the end.
    pub(super) rss_before: Option<u64>,
    pub(super) rss_peak: u64,
    pub(super) rss_after: u64,
}

/// Counts what a team's operator does.
pub(super) struct Meter<'a> {
    surroundings: &'a Surroundings,
    audit_log: AuditLog,
    user: String,
    requests_begin: Mark,
    calls_begin: Mark,
    cpu_before: Duration,
    rss_before: Option<u64>,
    /// How far the audit log was read, and what was found.
    read_to: Mark,
    seen: Seen,
}

/// The operator's successful requests so far.
#[derive(Debug, Default)]
struct Seen {
    created: usize,
    changed: BTreeMap<String, Timestamp>,
    statuses: BTreeSet<String>,
    stores: usize,
}

impl<'a> Meter<'a> {
    /// Begins a phase. An operator that runs already is counted from now on, one that does not from its start.
    pub(super) fn start(surroundings: &'a Surroundings, team: &Team, operator: Option<&Operator>) -> Result<Self> {
        let before = operator.map(Operator::usage).transpose()?;
        operator.map(Operator::reset_peak_rss).transpose()?;
        let audit_log = surroundings.control_plane.audit_log();
        let begin = audit_log.mark()?;
        Ok(Self {
            surroundings,
            audit_log,
            user: team.user(),
            requests_begin: begin,
            calls_begin: surroundings.bao.mark()?,
            cpu_before: before.map_or(Duration::ZERO, |usage| usage.cpu),
            rss_before: before.map(|usage| usage.rss),
            read_to: begin,
            seen: Seen::default(),
        })
    }

    /// Waits for a milestone and returns when the request that completed it was answered.
    pub(super) async fn reach(&mut self, milestone: Milestone) -> Result<Timestamp> {
        let begin = Instant::now();
        loop {
            for request in self.news()? {
                if self.seen.add(&request) && self.seen.has_reached(milestone) {
                    return Ok(request.answered);
                }
            }
            ensure!(begin.elapsed() < DEADLINE, "{milestone:?} was not reached within {DEADLINE:?}: {:?}", self.seen);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the operator has asked nothing of the API server for a while.
    pub(super) async fn silence(&mut self) -> Result<()> {
        let (begin, mut last) = (Instant::now(), Instant::now());
        while last.elapsed() < SILENCE {
            for request in self.news()? {
                self.seen.add(&request);
                last = Instant::now();
            }
            ensure!(begin.elapsed() < DEADLINE, "the operator does not fall silent");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until the operator has read so many secrets more: until a tick has come and gone.
    pub(super) async fn tick(&self, reads: usize) -> Result<()> {
        let (begin, bao) = (Instant::now(), &self.surroundings.bao);
        let mark = bao.mark()?;
        while bao.calls_since(mark, MOUNT)?.iter().filter(|call| call.operation == "read").count() < reads {
            ensure!(begin.elapsed() < DEADLINE, "no tick came within {DEADLINE:?}");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The longest time from a change of a remote secret to the change of its target.
    pub(super) fn slowest_since(&self, changes: &BTreeMap<String, Timestamp>) -> Result<f64> {
        let delays = changes.iter().map(|(name, changed)| {
            let written = self.seen.changed.get(name).with_context(|| format!("{name} was not written"))?;
            anyhow::Ok(seconds(*changed, *written))
        });
        delays.collect::<Result<Vec<_>>>().map(|delays| delays.into_iter().fold(0.0, f64::max))
    }

    /// Ends the phase.
    pub(super) fn stop(self, phase: &'static str, operator: &Operator, seconds: f64) -> Result<Measure> {
        let usage = operator.usage()?;
        let counts = self.audit_log.counts_since(self.requests_begin, &self.user)?;
        let calls = self.surroundings.bao.calls_since(self.calls_begin, "")?;
        let of = |path: &str| calls.iter().filter(|call| call.path.starts_with(path)).count();
        let reads = calls.iter().filter(|call| call.operation == "read" && call.path.starts_with(MOUNT)).count();
        Ok(Measure {
            phase,
            seconds,
            floor: None,
            reads,
            logins: of("auth/approle/login"),
            session_calls: of("auth/token/"),
            requests: counts
                .into_iter()
                .map(|((verb, resource), count)| (format!("{verb} {resource}"), count))
                .collect(),
            cpu: usage.cpu.saturating_sub(self.cpu_before),
            rss_before: self.rss_before,
            rss_peak: usage.peak_rss,
            rss_after: usage.rss,
        })
    }

    /// The operator's requests that were answered since the last look.
    fn news(&mut self) -> Result<Vec<Request>> {
        let (requests, read_to) = self.audit_log.read_from(self.read_to)?;
        self.read_to = read_to;
        Ok(requests.into_iter().filter(|request| request.user == self.user).collect())
    }
}

impl Seen {
    /// Takes note of a request. Returns whether it counts.
    fn add(&mut self, request: &Request) -> bool {
        if !(200..300).contains(&request.code) {
            return false;
        }
        match (request.verb.as_str(), request.resource.as_str()) {
            ("create", "secrets") => self.created += 1,
            ("patch" | "update", "secrets") => {
                self.changed.insert(request.name.clone(), request.answered);
            }
            ("patch" | "update", "externalsecrets/status") => {
                self.statuses.insert(request.name.clone());
            }
            ("patch" | "update", "secretstores/status") => self.stores += 1,
            _ => return false,
        }
        true
    }

    fn has_reached(&self, milestone: Milestone) -> bool {
        match milestone {
            Milestone::StoreReady => self.stores >= 1,
            Milestone::Synced(count) => self.created >= count && self.statuses.len() >= count,
            Milestone::StatusesWritten(count) => self.statuses.len() >= count,
            Milestone::TargetsWritten(count) => self.changed.len() >= count,
        }
    }
}

/// From `begin` to `end`.
pub(super) fn seconds(begin: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(begin).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use keyferry_e2e::harness::Request;

    use super::{Milestone, Seen};

    fn request(verb: &str, resource: &str, name: &str, code: u16) -> Request {
        Request {
            user: "u".to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: "n".to_owned(),
            name: name.to_owned(),
            code,
            answered: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn all_is_synced_when_targets_and_statuses_are_written() {
        let mut seen = Seen::default();
        for (verb, resource, name, code) in [
            ("create", "secrets", "", 201),
            ("create", "secrets", "", 409),
            ("patch", "externalsecrets/status", "a", 200),
            ("patch", "externalsecrets/status", "a", 200),
            ("create", "secrets", "", 201),
        ] {
            seen.add(&request(verb, resource, name, code));
            assert!(!seen.has_reached(Milestone::Synced(2)), "{seen:?}");
        }
        seen.add(&request("patch", "externalsecrets/status", "b", 200));
        assert!(seen.has_reached(Milestone::Synced(2)));
    }

    #[test]
    fn what_was_refused_does_not_count() {
        assert!(!Seen::default().add(&request("patch", "secretstores/status", "vault", 403)));
    }
}
