//! How fast a plain client makes the same writes: what the API server allows, and nobody can beat.
//!
//! How fast that is changes within a run, by a third and more: with what the API server holds by then, and with what its
//! machine does besides. So each phase has a floor of its own, from the minutes around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::load::{self, CLIENT_CONCURRENCY, HOUR, Writes};
use super::meter::Measure;
use super::surroundings::Surroundings;

/// How many requests at a time are tried.
const CONCURRENCIES: [usize; 4] = [4, 8, 16, 32];

/// Objects that bring processors and caches up to speed before anything is measured.
const WARM_UP: usize = 100;

/// How often the client writes everything before a phase, and after it.
const ROUNDS: usize = 2;

/// Which of the writes are measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Writing {
    /// Create N Secrets and write N statuses.
    Targets,
    /// Create N ExternalSecrets as well.
    All,
}

/// A plain client at its best.
pub(super) struct PlainClient<'a> {
    surroundings: &'a Surroundings,
    writing: Writing,
    /// How many requests at a time were the fastest.
    pub(super) concurrency: usize,
}

/// What a phase is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Floor {
    /// The time between two refreshes.
    Interval(Duration),
    /// Seconds that a plain client needed before and after the phase, in the mean of the rounds.
    PlainClient { before: f64, after: f64, concurrency: usize },
}

impl Floor {
    pub(super) fn seconds(self) -> f64 {
        match self {
            Self::Interval(interval) => interval.as_secs_f64(),
            Self::PlainClient { before, after, .. } => f64::midpoint(before, after),
        }
    }
}

/// Brings the API server up to speed.
pub(super) async fn warm_up(surroundings: &Surroundings) -> Result<()> {
    write(surroundings, Writing::All, "warm-up", WARM_UP, CLIENT_CONCURRENCY).await?;
    Ok(())
}

impl<'a> PlainClient<'a> {
    /// Tries every concurrency, each in a namespace of its own.
    pub(super) async fn at_its_best(surroundings: &'a Surroundings, writing: Writing) -> Result<Self> {
        let mut tries = Vec::new();
        for concurrency in CONCURRENCIES {
            let name = format!("{}-at-{concurrency}", writing.name());
            let seconds = write(surroundings, writing, &name, surroundings.objects, concurrency).await?;
            tries.push((seconds, concurrency));
        }
        Ok(Self { surroundings, writing, concurrency: fastest(&tries) })
    }

    /// Runs a phase, and sets its floor.
    pub(super) async fn beside(&self, phase: impl AsyncFnOnce() -> Result<Measure>) -> Result<Measure> {
        let before = self.write("before").await?;
        let mut measure = phase().await?;
        let after = self.write("after").await?;
        measure.floor = Some(Floor::PlainClient { before, after, concurrency: self.concurrency });
        Ok(measure)
    }

    #[expect(clippy::cast_precision_loss, reason = "there are few rounds")]
    async fn write(&self, when: &str) -> Result<f64> {
        let Self { surroundings, writing, concurrency } = *self;
        let mut seconds = 0.0;
        for round in 1..=ROUNDS {
            let name = format!("{}-{when}-{round}", writing.name());
            seconds += write(surroundings, writing, &name, surroundings.objects, concurrency).await?;
        }
        Ok(seconds / ROUNDS as f64)
    }
}

impl Writing {
    fn name(self) -> &'static str {
        match self {
            Self::Targets => "floor-targets",
            Self::All => "floor-all",
        }
    }
}

/// Writes into a new namespace. Returns how many seconds that took.
async fn write(
    surroundings: &Surroundings,
    writing: Writing,
    namespace: &str,
    objects: usize,
    concurrency: usize,
) -> Result<f64> {
    let team = surroundings.team(namespace).await?;
    let writes = Writes::new(&team.client, namespace);
    let uids = match writing {
        Writing::All => None,
        Writing::Targets => {
            load::create_external_secrets(&team.client, namespace, objects, HOUR, CLIENT_CONCURRENCY).await?;
            Some(Arc::new(writes.uids().await?))
        }
    };

    let begin = Instant::now();
    load::spread(objects, concurrency, move |n| {
        let (writes, uids) = (writes.clone(), uids.clone());
        async move {
            if let Some(uids) = uids {
                // Listings are sorted by name, and names by number.
                return writes.sync(n, &uids[n]).await;
            }
            let uid = writes.create_external_secret(n, HOUR).await?;
            writes.sync(n, &uid).await
        }
    })
    .await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// The concurrency of the shortest time.
fn fastest(tries: &[(f64, usize)]) -> usize {
    let shortest = tries.iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
    shortest.map_or(CLIENT_CONCURRENCY, |(_, concurrency)| *concurrency)
}

#[cfg(test)]
mod tests {
    use super::{Floor, fastest};

    #[test]
    fn the_shortest_time_counts() {
        assert_eq!(fastest(&[(3.0, 4), (1.0, 8), (2.0, 16)]), 8);
    }

    #[test]
    fn a_phase_is_compared_with_the_time_around_it() {
        let floor = Floor::PlainClient { before: 1.0, after: 2.0, concurrency: 8 };
        assert!((floor.seconds() - 1.5).abs() < 1e-9);
    }
}
