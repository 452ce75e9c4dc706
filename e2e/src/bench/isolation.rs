//! What readers of one store notice of another one: nothing, even if that one never answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use keyferry_e2e::harness::{AuditLog, Mark, Operator, Request, apply_yaml};
use keyferry_fakes::faults::Fault;
use keyferry_fakes::gcp::{Account, GoogleCloud, Grant, Role, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::load::{self, CLIENT_CONCURRENCY};
use super::meter::{Meter, Milestone, PAUSE, seconds};
use super::surroundings::{Surroundings, Team};

/// How many ExternalSecrets each of the two stores has, each with a remote secret of its own.
pub(super) const OBJECTS: usize = 64;

/// How long the backend takes for a read.
pub(super) const ANSWER: Duration = Duration::from_millis(200);

/// How often everything is refreshed; the median round counts, so that a slow moment of the machine does not decide.
const ROUNDS: usize = 9;

/// No round takes longer.
const DEADLINE: Duration = Duration::from_mins(1);

/// The services of Google's that a login with a key and a read need.
const SERVICES: [&str; 2] = ["OAUTH2", "SECRETMANAGER"];

const READER: &str = "reader@healthy-1.iam.gserviceaccount.com";

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Isolation {
    /// Seconds from the creation of the first ExternalSecret until all are synced.
    pub(super) synced: f64,
    /// Forced refreshes of the healthy store's ExternalSecrets, all at once.
    pub(super) alone: Refresh,
    /// The same while another store's ExternalSecrets wait for a backend that never answers.
    pub(super) beside_black_hole: Refresh,
}

/// Seconds from the annotation of an ExternalSecret until its status is written: the median and the 99th percentile of a
/// round, each as it was in the median round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refresh {
    pub(super) median: f64,
    pub(super) p99: f64,
}

impl Isolation {
    /// How much the black hole lengthens the slowest refreshes of others.
    pub(super) fn ratio(&self) -> f64 {
        self.beside_black_hole.p99 / self.alone.p99
    }

    /// Measures all of it, with an operator of its own.
    pub(super) async fn measure(surroundings: &Surroundings) -> Result<Self> {
        let scene = Scene::set(surroundings).await?;
        let mut operator = scene.operator().await?;
        let synced = scene.sync_all(&operator).await?;

        // The first refresh makes connections that the others find.
        scene.refresh(0).await?;
        let alone = scene.refreshes(1..=ROUNDS).await?;
        scene.add_black_hole().await?;
        let beside_black_hole = scene.refreshes(ROUNDS + 1..=2 * ROUNDS).await?;

        // The operator ends what it has begun before it goes.
        scene.cloud.server().down().await;
        operator.terminate().await?;
        Ok(Self { synced, alone, beside_black_hole })
    }
}

/// A store of a GCP project, named alike.
#[derive(Clone, Copy, Debug)]
enum Store {
    Healthy,
    Hanging,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy-1",
            Self::Hanging => "hanging-1",
        }
    }

    /// The name of one of its ExternalSecrets and of its remote secret.
    fn object(self, n: usize) -> String {
        format!("{}-{n:02}", self.name())
    }
}

struct Scene<'a> {
    surroundings: &'a Surroundings,
    team: Team,
    cloud: GoogleCloud,
    /// The credentials of both stores.
    key: String,
}

impl<'a> Scene<'a> {
    /// A slow cloud, and the healthy store.
    async fn set(surroundings: &'a Surroundings) -> Result<Self> {
        let cloud = GoogleCloud::start().context("failed to start the cloud")?;
        cloud.make_account(Account::new(READER));
        for store in [Store::Healthy, Store::Hanging] {
            cloud.grant(Grant::new(&format!("serviceAccount:{READER}"), Role::Accessor, store.name()));
            for n in 0..OBJECTS {
                cloud.put(Secret::new(store.name(), &store.object(n), b"a value"));
            }
        }
        cloud.black_hole(Store::Hanging.name());
        cloud.faults().set("AccessSecretVersion", Fault::Delay { millis: ANSWER.as_millis().try_into()? });
        let key = cloud.make_key(READER).context("there is no account")?.to_string();
        let scene = Self { surroundings, team: surroundings.team("isolation").await?, cloud, key };
        scene.add_store(Store::Healthy).await?;
        Ok(scene)
    }

    /// One whose stores are Ready and that has nothing to do.
    async fn operator(&self) -> Result<Operator> {
        let mut meter = Meter::start(self.surroundings, &self.team, None)?;
        let spec = SERVICES.into_iter().fold(self.team.operator(), |spec, service| {
            spec.variable(&format!("KEYFERRY_GCP_{service}_ENDPOINT"), self.cloud.url())
        });
        let operator = spec.spawn()?.await_ready().await?;
        meter.silence().await?;
        Ok(operator)
    }

    /// Creates the healthy store's ExternalSecrets. Returns how many seconds it takes until all are synced.
    async fn sync_all(&self, operator: &Operator) -> Result<f64> {
        let mut meter = Meter::start(self.surroundings, &self.team, Some(operator))?;
        let begin = Timestamp::now();
        self.create_all(Store::Healthy).await?;
        Ok(seconds(begin, meter.reach(Milestone::Synced(OBJECTS)).await?))
    }

    /// Lets the other store's ExternalSecrets wait for answers that do not come.
    async fn add_black_hole(&self) -> Result<()> {
        self.cloud.counts().reset();
        self.add_store(Store::Hanging).await?;
        self.create_all(Store::Hanging).await?;
        let begin = Instant::now();
        // Nothing else reads meanwhile.
        while self.reads()? < OBJECTS {
            ensure!(begin.elapsed() < DEADLINE, "the other store was read {} times only", self.reads()?);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn refreshes(&self, rounds: impl Iterator<Item = usize>) -> Result<Refresh> {
        let (mut medians, mut p99s) = (Vec::new(), Vec::new());
        for round in rounds {
            let times = self.refresh(round).await?;
            medians.push(percentile(&times, 50)?);
            p99s.push(percentile(&times, 99)?);
        }
        Ok(Refresh { median: percentile(&medians, 50)?, p99: percentile(&p99s, 50)? })
    }

    /// Annotates the healthy store's ExternalSecrets, all at once. Returns how many seconds each took to be refreshed.
    async fn refresh(&self, round: usize) -> Result<Vec<f64>> {
        let audit_log = self.surroundings.control_plane.audit_log();
        let begin = audit_log.mark()?;
        let reads = self.reads()?;
        let api = load::external_secrets(&self.team.client, &self.team.namespace);
        load::spread(OBJECTS, CLIENT_CONCURRENCY, move |n| {
            let api = api.clone();
            async move {
                let patch = json!({ "metadata": { "annotations": { "force-sync": round.to_string() } } });
                api.patch(&Store::Healthy.object(n), &PatchParams::default(), &Patch::Merge(patch)).await?;
                Ok(())
            }
        })
        .await?;
        let times = self.await_refreshed(&audit_log, begin).await?;
        let reads = self.reads()? - reads;
        ensure!(reads >= OBJECTS, "{OBJECTS} ExternalSecrets were refreshed with {reads} reads");
        Ok(times)
    }

    async fn await_refreshed(&self, audit_log: &AuditLog, mut mark: Mark) -> Result<Vec<f64>> {
        let (mut seen, begin) = (Refreshes::default(), Instant::now());
        loop {
            let (requests, end) = audit_log.read_from(mark)?;
            mark = end;
            for request in &requests {
                seen.add(request, &self.team.user());
            }
            let times = seen.seconds();
            if times.len() >= OBJECTS {
                return Ok(times);
            }
            ensure!(begin.elapsed() < DEADLINE, "{} of {OBJECTS} ExternalSecrets were refreshed", times.len());
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn reads(&self) -> Result<usize> {
        Ok(self.cloud.counts().of("AccessSecretVersion").try_into()?)
    }

    async fn add_store(&self, store: Store) -> Result<()> {
        let client = self.surroundings.control_plane.client()?;
        apply_yaml(&client, &self.team.namespace, &manifests(store, &self.key)).await?;
        Ok(())
    }

    async fn create_all(&self, store: Store) -> Result<()> {
        let api = load::external_secrets(&self.team.client, &self.team.namespace);
        load::spread(OBJECTS, CLIENT_CONCURRENCY, move |n| {
            let api = api.clone();
            async move {
                let object = serde_json::from_value(external_secret(store, n))?;
                api.create(&PostParams::default(), &object).await?;
                Ok(())
            }
        })
        .await
    }
}

/// What the audit log tells of one round.
#[derive(Debug, Default)]
struct Refreshes {
    forced: BTreeMap<String, Timestamp>,
    synced: BTreeMap<String, Timestamp>,
}

impl Refreshes {
    fn add(&mut self, request: &Request, operator: &str) {
        let is_healthy = request.name.starts_with(Store::Healthy.name());
        if request.verb != "patch" || request.code != 200 || !is_healthy {
            return;
        }
        let (name, when) = (request.name.clone(), request.answered);
        match request.resource.as_str() {
            "externalsecrets" => self.forced.insert(name, when),
            "externalsecrets/status" if request.user == operator => self.synced.insert(name, when),
            _ => None,
        };
    }

    /// Of those that were refreshed.
    fn seconds(&self) -> Vec<f64> {
        let time =
            |(name, forced): (&String, &Timestamp)| self.synced.get(name).map(|synced| seconds(*forced, *synced));
        self.forced.iter().filter_map(time).collect()
    }
}

/// The smallest of `times` that so many percent of them do not exceed.
fn percentile(times: &[f64], percent: usize) -> Result<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().context("nothing was measured")
}

fn manifests(store: Store, key: &str) -> String {
    let metadata = json!({ "name": store.name() });
    let selector = json!({ "name": store.name(), "key": "key.json" });
    let auth = json!({ "secretRef": { "secretAccessKeySecretRef": selector } });
    let documents = [
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": { "key.json": key } }),
        json!({
            "apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": metadata,
            "spec": { "provider": { "gcpsm": { "projectID": store.name(), "auth": auth } } },
        }),
    ];
    documents.map(|document| document.to_string()).join("\n---\n")
}

fn external_secret(store: Store, n: usize) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": { "name": store.object(n) },
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": { "name": store.name() },
            "data": [{ "secretKey": "value", "remoteRef": { "key": store.object(n) } }],
        },
    })
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use keyferry_e2e::harness::Request;

    use super::{Refreshes, percentile};

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert!((percentile(&times, 50).unwrap() - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&times, 99).unwrap() - 198.0).abs() < f64::EPSILON);
        assert!((percentile(&times[..64], 99).unwrap() - 200.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 99).is_err());
    }

    #[test]
    fn a_refresh_lasts_from_the_annotation_to_the_operators_status() {
        let request = |user: &str, resource: &str, name: &str, millis| Request {
            user: user.to_owned(),
            verb: "patch".to_owned(),
            resource: resource.to_owned(),
            namespace: "n".to_owned(),
            name: name.to_owned(),
            code: 200,
            answered: Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis),
        };
        let mut seen = Refreshes::default();
        seen.add(&request("client", "externalsecrets", "healthy-1-00", 1_000), "operator");
        seen.add(&request("client", "externalsecrets", "healthy-1-01", 1_000), "operator");
        seen.add(&request("operator", "externalsecrets/status", "hanging-1-00", 1_100), "operator");
        seen.add(&request("operator", "externalsecrets/status", "healthy-1-00", 1_250), "operator");
        assert_eq!(seen.seconds(), [0.25]);
    }
}
