//! What a backend's own trouble looks like. Never like "not found": that deletes secrets.

use std::time::Duration;

use keyferry_core::{ErrorKind, Locator, Retry};
use tokio::time::{sleep, timeout};

use super::bench::{Answer, Bench, Verdict, expect_kind, fail};
use crate::{Fault, Stored};

const AFTER: Duration = Duration::from_secs(1);

pub(super) async fn throttled(bench: &Bench<'_>) -> Verdict {
    let answer = meet(bench, "throttled", Fault::Throttled { after: AFTER }).await?;
    expect_kind(&answer, &[ErrorKind::Throttled])?;
    match answer.map_err(|error| error.retry) {
        Err(Retry::After(hint)) if hint <= AFTER && !hint.is_zero() => Ok(()),
        Err(Retry::Backoff) => Ok(()),
        other => fail(format!("asked to come back after {AFTER:?}, it says {:?}", other.map(drop))),
    }
}

pub(super) async fn server_error(bench: &Bench<'_>) -> Verdict {
    let answer = meet(bench, "server-error", Fault::ServerError).await?;
    expect_kind(&answer, &[ErrorKind::Unavailable])?;
    match answer.map_err(|error| error.retry) {
        Err(Retry::Never) => fail("it says that trying again does not help"),
        _ => Ok(()),
    }
}

pub(super) async fn empty_answer(bench: &Bench<'_>) -> Verdict {
    expect_kind(&meet(bench, "empty-answer", Fault::EmptyAnswer).await?, &[ErrorKind::Malformed])
}

pub(super) async fn half_answer(bench: &Bench<'_>) -> Verdict {
    let kinds = [ErrorKind::Malformed, ErrorKind::Unavailable];
    expect_kind(&meet(bench, "half-answer", Fault::HalfAnswer).await?, &kinds)
}

/// A backend hangs for as long as its server does: bounding that is a layer's part. But when it is given up, nothing
/// may stay locked.
pub(super) async fn black_hole(bench: &Bench<'_>) -> Verdict {
    let (name, stored) = bench.put_any("black-hole").await?;
    bench.subject.break_with(Fault::BlackHole).await?;
    let answer = timeout(bench.subject.patience(), bench.fetch_one(Locator::latest(name.clone()))).await;
    bench.subject.mend().await;
    if let Ok(answer) = answer {
        expect_kind(&answer?, &[ErrorKind::TimedOut, ErrorKind::Unavailable])?;
    }
    bench.reads(&name, &stored).await
}

/// What a read says while `fault` lasts. Afterwards the same read must succeed.
async fn meet(bench: &Bench<'_>, label: &str, fault: Fault) -> Verdict<Answer> {
    let (name, stored): (_, Stored) = bench.put_any(label).await?;
    bench.subject.break_with(fault).await?;
    let answer = bench.fetch_one(Locator::latest(name.clone())).await;
    bench.subject.mend().await;
    if fault == (Fault::Throttled { after: AFTER }) {
        // What keeps the pause for its callers would not let the next read through.
        sleep(AFTER).await;
    }
    bench.reads(&name, &stored).await?;
    answer
}
