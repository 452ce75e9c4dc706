//! `make bench`: what syncing costs, beside what a plain client needs for the same writes in the same surroundings.
//!
//! | phase | what happens | time |
//! |---|---|---|
//! | cold | N unsynced ExternalSecrets exist; the operator starts | until every target exists and every status is written |
//! | burst | a client creates N ExternalSecrets while the operator runs | the same |
//! | steady | nothing changes | four ticks of 15 s |
//! | rotation | every value changes, just after a tick | from a value's change to its target, the slowest |
//! | isolation | 64 readers of a slow store are created, refreshed, and refreshed beside a store that hangs | see the report |
//!
//! Times are taken from the API server's audit log, so that nobody who watches takes processor time from what is
//! measured. Processor time and requests of a phase count until the operator has fallen silent.

mod floor;
mod isolation;
mod load;
mod meter;
mod report;
mod surroundings;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use keyferry_e2e::harness::Operator;

use self::floor::{Floor, PlainClient, Writing, warm_up};
use self::isolation::Isolation;
use self::load::{CLIENT_CONCURRENCY, HOUR};
use self::meter::{Measure, Meter, Milestone, seconds};
use self::report::Report;
use self::surroundings::{Surroundings, Team};

/// The interval of the phases with ticks.
const INTERVAL: Duration = Duration::from_secs(15);

/// How many ticks the steady phase sees.
const TICKS: u32 = 4;

/// What the benchmark is asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many ExternalSecrets, each with one key of a remote secret of its own.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
}

/// Runs the benchmark and prints one table and one JSON line.
#[tokio::main]
pub(crate) async fn run(Options { objects }: Options) -> Result<()> {
    let surroundings = Surroundings::start(objects).await?;
    say("floors: a plain client makes the same writes, 4, 8, 16 and 32 at a time")?;
    warm_up(&surroundings).await?;
    let plain = PlainClient::at_its_best(&surroundings, Writing::Targets).await?;
    say("cold: the operator starts; the plain client before and after it")?;
    let cold = plain.beside(async || cold(&surroundings).await).await?;

    let plain = PlainClient::at_its_best(&surroundings, Writing::All).await?;
    let team = surroundings.team("warm").await?;
    let (mut operator, start) = idle_operator(&surroundings, &team).await?;
    say("burst: a client creates everything while the operator runs; the plain client before and after it")?;
    let burst = plain.beside(async || burst(&surroundings, &team, &operator, plain.concurrency).await).await?;
    say(&format!("steady: {TICKS} ticks of {} s", INTERVAL.as_secs()))?;
    let steady = steady(&surroundings, &team, &operator).await?;
    say("rotation: every value changes")?;
    let rotation = rotation(&surroundings, &team, &operator).await?;
    operator.terminate().await?;
    say("isolation: a slow store, alone and beside one that never answers")?;
    let isolation = Isolation::measure(&surroundings).await?;

    let report = Report { objects, start, phases: [cold, burst, steady, rotation], isolation };
    writeln!(io::stdout(), "\n{}\n{}", report.table(), report.json())?;
    Ok(())
}

async fn cold(surroundings: &Surroundings) -> Result<Measure> {
    let objects = surroundings.objects;
    let team = surroundings.team("cold").await?;
    load::create_external_secrets(&team.client, &team.namespace, objects, HOUR, CLIENT_CONCURRENCY).await?;

    let mut meter = Meter::start(surroundings, &team, None)?;
    let begin = Timestamp::now();
    let mut operator = team.operator().spawn()?.await_ready().await?;
    let end = meter.reach(Milestone::Synced(objects)).await?;
    meter.silence().await?;
    let measure = meter.stop("cold", &operator, seconds(begin, end))?;
    load::verify(&team.client, &team.namespace, objects, load::Round::First).await?;
    operator.terminate().await?;
    Ok(measure)
}

/// An operator with one store and nothing to do, and how many seconds it took until the store was Ready.
async fn idle_operator(surroundings: &Surroundings, team: &Team) -> Result<(Operator, f64)> {
    let mut meter = Meter::start(surroundings, team, None)?;
    let begin = Timestamp::now();
    let operator = team.operator().spawn()?.await_ready().await?;
    let ready = meter.reach(Milestone::StoreReady).await?;
    meter.silence().await?;
    Ok((operator, seconds(begin, ready)))
}

async fn burst(surroundings: &Surroundings, team: &Team, operator: &Operator, concurrency: usize) -> Result<Measure> {
    let objects = surroundings.objects;
    let mut meter = Meter::start(surroundings, team, Some(operator))?;
    let begin = Timestamp::now();
    load::create_external_secrets(&team.client, &team.namespace, objects, HOUR, concurrency).await?;
    let end = meter.reach(Milestone::Synced(objects)).await?;
    meter.silence().await?;
    let measure = meter.stop("burst", operator, seconds(begin, end))?;
    load::verify(&team.client, &team.namespace, objects, load::Round::First).await?;
    Ok(measure)
}

async fn steady(surroundings: &Surroundings, team: &Team, operator: &Operator) -> Result<Measure> {
    let mut before = Meter::start(surroundings, team, None)?;
    load::set_interval(&team.client, &team.namespace, surroundings.objects, INTERVAL).await?;
    before.reach(Milestone::StatusesWritten(surroundings.objects)).await?;
    before.silence().await?;

    let meter = Meter::start(surroundings, team, Some(operator))?;
    let begin = Timestamp::now();
    tokio::time::sleep(INTERVAL * TICKS).await;
    meter.stop("steady", operator, seconds(begin, Timestamp::now()))
}

async fn rotation(surroundings: &Surroundings, team: &Team, operator: &Operator) -> Result<Measure> {
    // Just missed a tick: nobody can wait longer than these.
    Meter::start(surroundings, team, None)?.tick(surroundings.objects).await?;
    let mut meter = Meter::start(surroundings, team, Some(operator))?;
    let changes = surroundings.rotate().await?;
    meter.reach(Milestone::TargetsWritten(surroundings.objects)).await?;
    let slowest = meter.slowest_since(&changes)?;
    meter.silence().await?;
    let measure = meter.stop("rotation", operator, slowest)?;
    let measure = Measure { floor: Some(Floor::Interval(INTERVAL)), ..measure };
    load::verify(&team.client, &team.namespace, surroundings.objects, load::Round::Second).await?;
    Ok(measure)
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stderr(), "bench: {text}")?;
    Ok(())
}
