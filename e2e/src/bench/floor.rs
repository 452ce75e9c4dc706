//! How fast a plain client makes the same writes: what the API server allows, and nobody can beat.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::load::{self, CLIENT_CONCURRENCY, HOUR, Writes};
use super::surroundings::Surroundings;

/// How many requests at a time are tried.
const CONCURRENCIES: [usize; 4] = [4, 8, 16, 32];

/// Objects that bring processors and caches up to speed before anything is measured.
const WARM_UP: usize = 100;

/// The best of several tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    pub(super) seconds: f64,
    /// The concurrency at which it was reached.
    pub(super) concurrency: usize,
}

/// The floors of both phases that write everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floors {
    /// Create N Secrets and write N statuses.
    pub(super) cold: Floor,
    /// Create N ExternalSecrets as well.
    pub(super) burst: Floor,
}

impl Floors {
    /// Tries every concurrency, each in a namespace of its own.
    pub(super) async fn measure(surroundings: &Surroundings) -> Result<Self> {
        burst(surroundings, "warm-up", WARM_UP, CLIENT_CONCURRENCY).await?;
        let (mut cold_tries, mut burst_tries) = (Vec::new(), Vec::new());
        for concurrency in CONCURRENCIES {
            let (objects, name) = (surroundings.objects, |phase| format!("floor-{phase}-{concurrency}"));
            cold_tries.push(cold(surroundings, &name("cold"), objects, concurrency).await?);
            burst_tries.push(burst(surroundings, &name("burst"), objects, concurrency).await?);
        }
        Ok(Self { cold: best(&cold_tries), burst: best(&burst_tries) })
    }
}

async fn cold(surroundings: &Surroundings, name: &str, objects: usize, concurrency: usize) -> Result<Floor> {
    let team = surroundings.team(name).await?;
    load::create_external_secrets(&team.client, name, objects, HOUR, CLIENT_CONCURRENCY).await?;
    let writes = Writes::new(&team.client, name);
    let uids = Arc::new(writes.uids().await?);

    let begin = Instant::now();
    load::spread(objects, concurrency, move |n| {
        let (writes, uids) = (writes.clone(), Arc::clone(&uids));
        // Listings are sorted by name, and names by number.
        async move { writes.sync(n, &uids[n]).await }
    })
    .await?;
    Ok(Floor { seconds: begin.elapsed().as_secs_f64(), concurrency })
}

async fn burst(surroundings: &Surroundings, name: &str, objects: usize, concurrency: usize) -> Result<Floor> {
    let team = surroundings.team(name).await?;
    let writes = Writes::new(&team.client, name);

    let begin = Instant::now();
    load::spread(objects, concurrency, move |n| {
        let writes = writes.clone();
        async move {
            let uid = writes.create_external_secret(n, HOUR).await?;
            writes.sync(n, &uid).await
        }
    })
    .await?;
    Ok(Floor { seconds: begin.elapsed().as_secs_f64(), concurrency })
}

fn best(tries: &[Floor]) -> Floor {
    let none = Floor { seconds: f64::INFINITY, concurrency: 0 };
    tries.iter().fold(none, |best, this| if this.seconds < best.seconds { *this } else { best })
}

#[cfg(test)]
mod tests {
    use super::{Floor, best};

    #[test]
    fn the_shortest_time_counts() {
        let tries = [(3.0, 4), (1.0, 8), (2.0, 16)].map(|(seconds, concurrency)| Floor { seconds, concurrency });
        assert_eq!(best(&tries).concurrency, 8);
    }
}
