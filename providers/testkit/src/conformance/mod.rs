//! The contract of [`keyferry_core::Provider`], as a suite that every backend and every stack of layers passes.
//!
//! Which cases are run is decided by what the provider says of itself ([`keyferry_core::Capabilities`]) and by what
//! the test can do to its backend ([`Subject`]). What is left out is named in the [`Report`].
//!
//! ```no_run
//! # async fn test(subject: &dyn keyferry_testkit::Subject) {
//! keyferry_testkit::conformance(subject).await.assert_conforms();
//! # }
//! ```

mod bench;
mod faults;
mod journal;
mod lists;
mod logins;
mod reads;

use std::future::ready;

use futures::future::BoxFuture;

use self::bench::{Bench, Stop, Verdict};
use crate::{Outcome, Report, Subject};

type Case = for<'a> fn(&'a Bench<'a>) -> BoxFuture<'a, Verdict>;

/// In this order, because a refused login is the end of all calls, and silence is judged over everything before it.
const CASES: [(&str, Case); 26] = [
    ("check", |bench| Box::pin(logins::check(bench))),
    ("get", |bench| Box::pin(reads::get(bench))),
    ("unicode", |bench| Box::pin(reads::unicode(bench))),
    ("binary", |bench| Box::pin(reads::binary(bench))),
    ("64 kB", |bench| Box::pin(reads::large(bench))),
    ("property", |bench| Box::pin(reads::property(bench))),
    ("missing", |bench| Box::pin(reads::missing(bench))),
    ("deleted", |bench| Box::pin(reads::deleted(bench))),
    ("denied", |bench| Box::pin(reads::denied(bench))),
    ("rotation", |bench| Box::pin(reads::rotation(bench))),
    ("version", |bench| Box::pin(reads::version(bench))),
    ("absent version", |bench| Box::pin(reads::absent_version(bench))),
    ("metadata", |bench| Box::pin(reads::metadata(bench))),
    ("batch", |bench| Box::pin(reads::batch(bench))),
    ("list", |bench| Box::pin(lists::pages(bench))),
    ("find by path", |bench| Box::pin(lists::by_path(bench))),
    ("find by tags", |bench| Box::pin(lists::by_tags(bench))),
    ("throttled", |bench| Box::pin(faults::throttled(bench))),
    ("server error", |bench| Box::pin(faults::server_error(bench))),
    ("empty answer", |bench| Box::pin(faults::empty_answer(bench))),
    ("half answer", |bench| Box::pin(faults::half_answer(bench))),
    ("black hole", |bench| Box::pin(faults::black_hole(bench))),
    ("closed login", |bench| Box::pin(logins::closed(bench))),
    ("expired login", |bench| Box::pin(logins::expired(bench))),
    ("refused login", |bench| Box::pin(logins::refused(bench))),
    ("silence", |bench| Box::pin(ready(bench::silence(bench)))),
];

/// Runs every case that can be run against `subject`, one after the other.
pub async fn conformance(subject: &dyn Subject) -> Report {
    let bench = Bench::new(subject);
    let _listening = bench.listen();
    let mut cases = Vec::with_capacity(CASES.len());
    for (name, case) in CASES {
        let outcome = match case(&bench).await {
            Ok(()) => Outcome::Passed,
            Err(Stop::Fail(how)) => Outcome::Failed(how),
            Err(Stop::Skip(why)) => Outcome::Skipped(why),
        };
        cases.push((name, outcome));
    }
    let provider = subject.provider();
    Report { provider: provider.name(), batch: provider.capabilities().batch.get(), cases }
}

#[cfg(test)]
mod tests;
