//! Leader election with a Lease, as other controllers do it: one replica writes, the others wait.
//!
//! The claim ends by the clock: whoever cannot renew stops writing before anybody else may begin, even if the API
//! server is out of reach. Every write asks [`Claim::is_held`] first.

mod record;

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::record::{Step, Watched, released};
use crate::cluster::error_text;

/// How to become the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Election {
    /// Name of the Lease.
    pub(crate) lease: String,
    /// Who we are; no two replicas may be the same.
    pub(crate) identity: String,
    /// How long the others respect a Lease that is not renewed.
    pub(crate) lease_duration: Duration,
    /// How long we go on after the last renewal; shorter than `lease_duration`.
    pub(crate) renew_deadline: Duration,
    /// Between two looks at the Lease.
    pub(crate) retry_period: Duration,
}

/// Whether we may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// There is no election: we are the only one.
    Always,
    /// Another replica leads, or nobody.
    NotHeld,
    /// Until then, unless it is renewed.
    Until(Instant),
}

impl Claim {
    /// Whether we may write at `now`.
    pub(crate) fn is_held(self, now: Instant) -> bool {
        match self {
            Self::Always => true,
            Self::NotHeld => false,
            Self::Until(end) => now < end,
        }
    }
}

/// Starts the election. It ends with `release`, and gives the Lease back then, so that the next leader need not wait
/// for its end. Without an election the claim is held from the start.
pub(crate) fn start(
    client: Client,
    election: Option<Election>,
    release: CancellationToken,
) -> (watch::Receiver<Claim>, JoinHandle<()>) {
    let Some(election) = election else {
        let (claim, claimed) = watch::channel(Claim::Always);
        // The claim must not end before the process does.
        return (claimed, tokio::spawn(async move { drop((release.cancelled().await, claim)) }));
    };
    let (claim, claimed) = watch::channel(Claim::NotHeld);
    let leases = Api::default_namespaced(client);
    (claimed, tokio::spawn(Candidate { election, leases, claim }.run(release)))
}

struct Candidate {
    election: Election,
    leases: Api<Lease>,
    claim: watch::Sender<Claim>,
}

impl Candidate {
    async fn run(self, release: CancellationToken) {
        info!(lease = %self.election.lease, identity = %self.election.identity, "electing a leader");
        let mut watched = Watched::default();
        loop {
            let began = Instant::now();
            let attempt = timeout(self.election.renew_deadline, self.attempt(&mut watched, began));
            match tokio::select! { attempt = attempt => attempt, () = release.cancelled() => break } {
                Ok(Ok(true)) => self.publish(Claim::Until(began + self.election.renew_deadline)),
                Ok(Ok(false)) => self.publish(Claim::NotHeld),
                Ok(Err(failure)) => warn!("failed to renew the lease: {failure:#}"),
                Err(_) => warn!("failed to renew the lease: no answer"),
            }
            if !self.claim.borrow().is_held(Instant::now()) {
                self.publish(Claim::NotHeld);
            }
            tokio::select! { () = sleep(self.pause()) => {}, () = release.cancelled() => break }
        }
        if self.claim.borrow().is_held(Instant::now()) {
            self.publish(Claim::NotHeld);
            if let Err(failure) = self.give_back().await {
                warn!("failed to give the lease back; the next leader waits for its end: {failure:#}");
            }
        }
    }

    /// Looks at the Lease and takes or renews it where that is right. Returns whether we hold it.
    async fn attempt(&self, watched: &mut Watched, now: Instant) -> Result<bool> {
        let seen = self.leases.get_opt(&self.election.lease).await?;
        let params = PostParams::default();
        let written = match watched.next(&self.election, seen, now, Timestamp::now()) {
            Step::Create(lease) => self.leases.create(&params, &lease).await,
            Step::Replace(lease) => self.leases.replace(&self.election.lease, &params, &lease).await,
            Step::Wait => return Ok(false),
        };
        match written {
            Ok(_) => Ok(true),
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(failure) => Err(anyhow::anyhow!(error_text(&failure))),
        }
    }

    async fn give_back(&self) -> Result<()> {
        if let Some(lease) = self.leases.get_opt(&self.election.lease).await?
            && let Some(lease) = released(lease, &self.election.identity)
        {
            self.leases.replace(&self.election.lease, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    fn publish(&self, claim: Claim) {
        let was = self.claim.send_replace(claim);
        match (was, claim) {
            (Claim::NotHeld, Claim::Until(_)) => info!("this replica leads now"),
            (Claim::Until(_), Claim::NotHeld) => info!("this replica no longer leads"),
            _ => {}
        }
    }

    /// No longer than the claim lasts, so that its end is told when it comes.
    fn pause(&self) -> Duration {
        match *self.claim.borrow() {
            Claim::Until(end) => self.election.retry_period.min(end.saturating_duration_since(Instant::now())),
            Claim::Always | Claim::NotHeld => self.election.retry_period,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Claim;

    #[test]
    fn a_claim_ends_by_the_clock() {
        let now = Instant::now();
        let claim = Claim::Until(now + Duration::from_secs(10));
        assert!(claim.is_held(now + Duration::from_secs(9)));
        assert!(!claim.is_held(now + Duration::from_secs(10)));
        assert!(Claim::Always.is_held(now) && !Claim::NotHeld.is_held(now));
    }
}
