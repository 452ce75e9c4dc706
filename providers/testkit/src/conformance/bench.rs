//! What all cases use: they store, ask and judge through the bench, which takes down everything that is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyferry_core::{Capabilities, ErrorKind, Fetched, Locator, Page, Query, RemoteName, Result, SecretBytes};
use tokio::time::{Instant, sleep};

use super::journal::Journal;
use crate::{Able, Cannot, Stored, Subject};

/// Why a case did not pass.
#[derive(Debug)]
pub(super) enum Stop {
    Fail(String),
    Skip(String),
}

pub(super) type Verdict<T = ()> = std::result::Result<T, Stop>;

impl From<Cannot> for Stop {
    fn from(Cannot(why): Cannot) -> Self {
        Self::Skip(why.to_owned())
    }
}

pub(super) fn fail<T>(how: impl Into<String>) -> Verdict<T> {
    Err(Stop::Fail(how.into()))
}

/// Goes on only where `capability` is there.
pub(super) fn needs(capability: bool, name: &str) -> Verdict {
    if capability { Ok(()) } else { Err(Stop::Skip(format!("capabilities: no {name}"))) }
}

pub(super) type Answer = Result<Arc<Fetched>>;

pub(super) struct Bench<'a> {
    pub(super) subject: &'a dyn Subject,
    pub(super) can: Capabilities,
    journal: Journal,
    secrets: Mutex<Vec<SecretBytes>>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(subject: &'a dyn Subject) -> Self {
        let can = subject.provider().capabilities();
        Self { subject, can, journal: Journal::default(), secrets: Mutex::default() }
    }

    /// Takes down what is logged.
    pub(super) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        self.journal.listen()
    }

    /// Stores `value` under the name for `label`.
    pub(super) async fn put(&self, label: &str, value: &[u8]) -> Verdict<(RemoteName, Stored)> {
        let name = self.subject.name(label);
        let stored = self.put_at(&name, value).await?;
        Ok((name, stored))
    }

    /// Stores `value`.
    pub(super) async fn put_at(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        self.remember(SecretBytes::new(value));
        let stored = self.subject.put(name, value).await;
        // A read that begins now is later than one that ended before, also on a clock that stands still.
        sleep(Duration::from_millis(1)).await;
        stored
    }

    /// Stores a JSON object under the name for `label`, with a member that is found nowhere else.
    pub(super) async fn put_object(&self, label: &str, member: &str, json: &str) -> Verdict<(RemoteName, Stored)> {
        self.remember(SecretBytes::from(member));
        let name = self.subject.name(label);
        let stored = self.subject.put_object(&name, json).await?;
        sleep(Duration::from_millis(1)).await;
        Ok((name, stored))
    }

    fn remember(&self, secret: SecretBytes) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }

    /// Stores some value or other.
    pub(super) async fn put_any(&self, label: &str) -> Verdict<(RemoteName, Stored)> {
        self.put(label, value(label).as_bytes()).await
    }

    /// Asks the provider. There is one answer for each locator, or the case fails.
    pub(super) async fn fetch(&self, at: &[Locator]) -> Verdict<Vec<Answer>> {
        let answers = self.subject.provider().fetch(at, Instant::now()).await;
        self.journal.note(&format!("{answers:?}"));
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            self.journal.note(&error.to_string());
        }
        if answers.len() == at.len() {
            Ok(answers)
        } else {
            fail(format!("{} answers for {} locators", answers.len(), at.len()))
        }
    }

    /// Asks the provider for one thing.
    pub(super) async fn fetch_one(&self, at: Locator) -> Verdict<Answer> {
        Ok(self.fetch(&[at]).await?.remove(0))
    }

    /// The newest value of `name` must be `stored`.
    pub(super) async fn reads(&self, name: &RemoteName, stored: &Stored) -> Verdict {
        expect_value(&self.fetch_one(Locator::latest(name.clone())).await?, stored)
    }

    /// Whether the login works, as the provider says.
    pub(super) async fn check(&self) -> Result<()> {
        let answer = self.subject.provider().check().await;
        if let Err(error) = &answer {
            self.journal.note(&format!("{error:?} {error}"));
        }
        answer
    }

    /// All pages of a listing. One that begins anew, or has many more pages than secrets, never ends.
    pub(super) async fn list(&self, query: Query) -> Verdict<Vec<Arc<Page>>> {
        let (mut query, mut pages, mut begun) = (query, Vec::new(), BTreeSet::new());
        loop {
            let answer = self.subject.provider().list(&query, Instant::now()).await;
            self.journal.note(&format!("{answer:?}"));
            let page = answer.map_err(|error| Stop::Fail(format!("failed to list: {error:?}")))?;
            let next = page.next.clone();
            pages.push(page);
            match next {
                None => return Ok(pages),
                Some(next) if !begun.insert(next.clone()) || pages.len() > 2 * self.subject.many() => {
                    return fail("the listing never ends");
                }
                Some(next) => query.after = Some(next),
            }
        }
    }

    /// A query for the secrets of this run, narrowed by tags.
    pub(super) fn tagged(&self, tags: &BTreeMap<String, String>) -> Query {
        Query { tags: tags.clone(), ..self.subject.query() }
    }
}

/// A value that is found nowhere else.
pub(super) fn value(label: &str) -> String {
    format!("s3cr3t-of-{label}-which-nobody-may-see")
}

pub(super) fn expect_value(answer: &Answer, stored: &Stored) -> Verdict {
    match answer {
        Ok(fetched) if fetched.value == stored.reads_as => Ok(()),
        Ok(fetched) => fail(format!(
            "another value than was stored: {} bytes instead of {}",
            fetched.value.len(),
            stored.reads_as.len()
        )),
        Err(error) => fail(format!("no value: {error:?}")),
    }
}

pub(super) fn expect_kind<T>(answer: &Result<T>, kinds: &[ErrorKind]) -> Verdict {
    match answer {
        Ok(_) => fail(format!("succeeded, instead of {kinds:?}")),
        Err(error) if kinds.contains(&error.kind) => Ok(()),
        Err(error) => fail(format!("{error:?}, instead of {kinds:?}")),
    }
}

/// Nothing that was shown holds a value or a credential.
pub(super) fn silence(bench: &Bench<'_>) -> Verdict {
    let provider = bench.subject.provider();
    bench.journal.note(&format!("{provider:?} {provider:#?}"));
    let values = bench.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (what, secrets) in [("value", values), ("credential", bench.subject.credentials())] {
        for secret in secrets {
            if let Some(how) = bench.journal.shows(&secret) {
                return fail(format!("a {what} was shown in Debug, an error or a log line, {how}"));
            }
        }
    }
    Ok(())
}
