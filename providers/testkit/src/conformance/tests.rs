//! The suite must let a good backend pass, and must notice what is wrong with a bad one.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{
    Capabilities, Error, ErrorKind, Fetched, Locator, Page, Provider, Query, RemoteName, Result, SecretBytes, Version,
};
use tokio::time::Instant;

use super::conformance;
use crate::{Able, Fault, Memory, MemorySubject, Outcome, Report, Stored, Subject};

async fn run(wrap: impl FnOnce(Arc<dyn Provider>) -> Arc<dyn Provider>) -> Report {
    conformance(&Memory::new().batch(7).subject(wrap)).await
}

fn failed(report: &Report) -> Vec<&'static str> {
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
    report.cases.iter().filter(|(_, outcome)| failed(outcome)).map(|(name, _)| *name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_can_everything_passes_everything() {
    let report = run(|base| base).await;
    report.assert_conforms();
    assert!(report.cases.iter().all(|(_, outcome)| *outcome == Outcome::Passed), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_a_test_cannot_do_is_skipped_and_named() {
    struct Bare(MemorySubject);

    #[async_trait]
    impl Subject for Bare {
        fn provider(&self) -> Arc<dyn Provider> {
            self.0.provider()
        }

        fn name(&self, label: &str) -> RemoteName {
            self.0.name(label)
        }

        async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
            let text = std::str::from_utf8(value).map_err(|_| crate::Cannot("values are text"))?;
            self.0.put(name, text.as_bytes()).await
        }
    }

    let report = conformance(&Bare(Memory::new().subject(|base| base))).await;
    report.assert_conforms();
    assert_eq!(report.outcome("binary"), Some(&Outcome::Skipped("values are text".into())));
    for case in ["deleted", "denied", "metadata", "find by path", "throttled", "expired login", "absent version"] {
        assert!(matches!(report.outcome(case), Some(Outcome::Skipped(_))), "{case}");
    }
    assert!(report.passed("get") && report.passed("batch") && report.passed("list"));
}

/// Behaves badly in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vice {
    AnswersInAnyOrder,
    ListsForEver,
    LosesAnAnswer,
    MissingIsEmpty,
    RoundsNumbers,
    ShowsValues,
    TroubleIsMissing,
}

#[derive(Debug)]
struct Bad {
    inner: Arc<dyn Provider>,
    vice: Vice,
}

#[async_trait]
impl Provider for Bad {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<()> {
        self.inner.check().await
    }

    async fn fetch(&self, at: &[Locator], since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let mut answers = self.inner.fetch(at, since).await;
        match self.vice {
            Vice::AnswersInAnyOrder => answers.reverse(),
            Vice::LosesAnAnswer => drop(answers.pop()),
            _ => {}
        }
        answers.into_iter().map(|answer| self.spoil(answer)).collect()
    }

    async fn list(&self, query: &Query, since: Instant) -> Result<Arc<Page>> {
        let page = self.inner.list(query, since).await?;
        let next = if self.vice == Vice::ListsForEver { Some(String::new()) } else { page.next.clone() };
        Ok(Arc::new(Page { next, items: page.items.clone() }))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Bad {
    fn spoil(&self, answer: Result<Arc<Fetched>>) -> Result<Arc<Fetched>> {
        match (self.vice, answer) {
            (Vice::MissingIsEmpty, Err(error)) if error.kind == ErrorKind::NotFound => {
                Ok(Arc::new(Fetched::new(SecretBytes::default(), None)))
            }
            (Vice::TroubleIsMissing, Err(error)) if error.kind == ErrorKind::Unavailable => {
                Err(Error { kind: ErrorKind::NotFound, ..error })
            }
            (Vice::RoundsNumbers, Ok(fetched)) => {
                let text = fetched.value.expose_str().unwrap_or_default().replace("740993", "740992");
                Ok(Arc::new(Fetched::new(SecretBytes::from(text), None)))
            }
            (Vice::ShowsValues, Ok(fetched)) => {
                tracing::info!("read {}", fetched.value.expose_str().unwrap_or_default());
                Ok(fetched)
            }
            (_, answer) => answer,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_vice_is_noticed() {
    for (vice, cases) in [
        (Vice::AnswersInAnyOrder, &["batch"][..]),
        (Vice::ListsForEver, &["list", "find by path", "find by tags"]),
        (Vice::MissingIsEmpty, &["missing", "deleted", "absent version", "batch"]),
        (Vice::RoundsNumbers, &["binary", "property"]),
        (Vice::ShowsValues, &["silence"]),
        (Vice::TroubleIsMissing, &["server error"]),
    ] {
        let report = run(|inner| Arc::new(Bad { inner, vice })).await;
        assert_eq!(failed(&report), cases, "{vice:?}: {report}");
    }
    let report = run(|inner| Arc::new(Bad { inner, vice: Vice::LosesAnAnswer })).await;
    assert!(failed(&report).contains(&"get"), "{report}");
}

/// A backend that goes on answering when it should not.
struct Deaf(MemorySubject);

#[async_trait]
impl Subject for Deaf {
    fn provider(&self) -> Arc<dyn Provider> {
        self.0.provider()
    }

    fn name(&self, label: &str) -> RemoteName {
        self.0.name(label)
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        self.0.put(name, value).await
    }

    async fn delete(&self, _: &RemoteName) -> Able {
        Ok(())
    }

    async fn deny(&self, _: &RemoteName) -> Able {
        Ok(())
    }

    async fn tag(&self, _: &RemoteName, _: &BTreeMap<String, String>) -> Able {
        Ok(())
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("1").ok()
    }

    async fn break_with(&self, _: Fault) -> Able {
        Ok(())
    }

    async fn expire_login(&self) -> Able {
        self.0.expire_login().await
    }

    fn logins(&self) -> Option<usize> {
        // As if each call logged in.
        self.0.reads()
    }

    async fn refuse_login(&self) -> Able {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_should_have_failed_and_did_not_is_noticed() {
    let report = conformance(&Deaf(Memory::new().subject(|base| base))).await;
    assert_eq!(
        failed(&report),
        [
            "deleted",
            "denied",
            "absent version",
            "metadata",
            "find by tags",
            "throttled",
            "server error",
            "empty answer",
            "half answer",
            "black hole",
            "expired login",
            "refused login",
        ],
        "{report}"
    );
}
