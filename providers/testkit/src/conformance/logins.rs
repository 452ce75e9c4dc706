//! Logins: shared, renewed, refused.

use futures::future::join_all;
use keyferry_core::{ErrorKind, Locator};

use super::bench::{Bench, Stop, Verdict, expect_kind, fail};

pub(super) async fn check(bench: &Bench<'_>) -> Verdict {
    bench.check().await.map_err(|error| Stop::Fail(format!("the login does not work: {error:?}")))
}

/// A login that was given back is replaced by one new one.
pub(super) async fn closed(bench: &Bench<'_>) -> Verdict {
    let (name, stored) = bench.put_any("closed-login").await?;
    bench.reads(&name, &stored).await?;
    let before = bench.subject.logins();
    bench.subject.provider().close().await;
    bench.reads(&name, &stored).await?;
    match (before, bench.subject.logins()) {
        (Some(before), Some(after)) if after > before + 1 => {
            fail(format!("{} logins where one was needed", after - before))
        }
        _ => Ok(()),
    }
}

/// A login that has ended costs one new one, however many callers notice it at the same time.
pub(super) async fn expired(bench: &Bench<'_>) -> Verdict {
    let mut stored = Vec::new();
    for number in 0..4 {
        stored.push(bench.put_any(&format!("expired-login-{number}")).await?);
    }
    bench.reads(&stored[0].0, &stored[0].1).await?;
    bench.subject.expire_login().await?;
    let before = bench.subject.logins();
    for verdict in join_all(stored.iter().map(|(name, stored)| bench.reads(name, stored))).await {
        verdict?;
    }
    match (before, bench.subject.logins()) {
        (Some(before), Some(after)) if after != before + 1 => {
            fail(format!("{} logins where one was needed", after - before))
        }
        _ => Ok(()),
    }
}

pub(super) async fn refused(bench: &Bench<'_>) -> Verdict {
    let (name, _) = bench.put_any("refused-login").await?;
    bench.subject.refuse_login().await?;
    expect_kind(&bench.fetch_one(Locator::latest(name)).await?, &[ErrorKind::Unauthenticated])?;
    expect_kind(&bench.check().await, &[ErrorKind::Unauthenticated])
}
