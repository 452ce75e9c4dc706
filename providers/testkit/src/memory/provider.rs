//! The backend, seen from the side of its callers.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_core::{
    Capabilities, Error, ErrorKind, Fetched, Listed, Locator, Page, Provider, Query, Result, SecretBytes, Version, Want,
};
use tokio::time::{Instant, sleep};

use super::{Called, Memory, Secret, State, Step};

const NAME: &str = "Memory";
/// Names on one page of a listing.
const PAGE: usize = 100;

#[async_trait]
impl Provider for Memory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        self.state().capabilities
    }

    async fn check(&self) -> Result<()> {
        self.call("Check", &[]).await
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let mut answers = Vec::with_capacity(at.len());
        for batch in at.chunks(self.capabilities().batch.get()) {
            match self.call("Fetch", batch).await {
                Ok(()) => {
                    let mut state = self.state();
                    let kept = batch.len() - usize::from(state.forgetful);
                    answers.extend(batch[..kept].iter().map(|locator| state.read(locator)));
                }
                Err(error) => answers.extend(std::iter::repeat_n(Err(error), batch.len())),
            }
        }
        answers
    }

    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        self.call("List", &[]).await?;
        Ok(Arc::new(self.state().page(query)))
    }

    async fn close(&self) {
        // Nobody hears of a failure.
        let _ = self.call("Close", &[]).await;
        self.state().login.holds = false;
    }
}

impl Memory {
    async fn call(&self, operation: &'static str, at: &[Locator]) -> Result<()> {
        let _flight = Flight::of(self);
        let (latency, step) = {
            let mut state = self.state();
            state.calls.push(Called { operation, at: at.to_vec(), when: Instant::now() });
            (state.latency, state.step(at))
        };
        // No timer at all where there is no latency: on a paused clock even the shortest takes a millisecond.
        if !latency.is_zero() {
            sleep(latency).await;
        }
        match step {
            Some(Step::Fail(error)) => return Err(error),
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Panic) => panic!("as the test wants it"),
            None => {}
        }
        self.state().log_in(operation)
    }
}

/// Counts a call for as long as it lasts, also if it is given up.
struct Flight<'a>(&'a Memory);

impl<'a> Flight<'a> {
    fn of(memory: &'a Memory) -> Self {
        let mut state = memory.state();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        Self(memory)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

impl State {
    /// What becomes of the whole call.
    fn step(&mut self, at: &[Locator]) -> Option<Step> {
        if let Some(step) = self.script.pop_front().or_else(|| self.always.clone()) {
            return Some(step);
        }
        at.iter().find_map(|locator| {
            let steps = self.sick.get_mut(&locator.name)?;
            // One that fails concerns its name alone, see `read`.
            steps.pop_front_if(|step| !matches!(step, Step::Fail(_)))
        })
    }

    fn log_in(&mut self, operation: &'static str) -> Result<()> {
        if self.login.holds {
            return Ok(());
        }
        self.login.count += 1;
        self.login.holds = !self.login.refused;
        if self.login.holds { Ok(()) } else { Err(error(ErrorKind::Unauthenticated, operation, "refused the login")) }
    }

    fn read(&mut self, locator: &Locator) -> Result<Arc<Fetched>> {
        if let Some(Step::Fail(error)) =
            self.sick.get_mut(&locator.name).and_then(std::collections::VecDeque::pop_front)
        {
            return Err(error);
        }
        let missing = || error(ErrorKind::NotFound, "Fetch", &format!("there is no {}", locator.name));
        let secret = self.secrets.get(&locator.name).ok_or_else(missing)?;
        if secret.denied {
            return Err(error(ErrorKind::AccessDenied, "Fetch", &format!("may not read {}", locator.name)));
        }
        let number = match &locator.version {
            Some(version) => version.as_str().parse().ok().ok_or_else(missing)?,
            None => secret.versions.len(),
        };
        let newest = number.checked_sub(1).and_then(|index| secret.versions.get(index)).ok_or_else(missing)?;
        let value = match locator.want {
            Want::Metadata => secret.metadata(),
            Want::Value => newest.clone(),
        };
        Ok(Arc::new(Fetched::new(value, Version::new(number.to_string()).ok())))
    }

    fn page(&self, query: &Query) -> Page {
        let below = |name: &str| query.path.as_deref().is_none_or(|path| name.starts_with(path));
        let tagged = |secret: &Secret| query.tags.iter().all(|(key, value)| secret.tags.get(key) == Some(value));
        let mut matching = self
            .secrets
            .iter()
            .filter(|(name, secret)| below(name.as_str()) && tagged(secret))
            .filter(|(name, _)| query.after.as_deref().is_none_or(|after| name.as_str() > after))
            .map(|(name, secret)| Listed { name: name.clone(), alias: None, tags: secret.tags.clone() });
        let items: Vec<_> = matching.by_ref().take(PAGE).collect();
        let more = matching.next().is_some();
        let next = items.last().filter(|_| more).map(|last| last.name.to_string());
        Page { items, next }
    }
}

impl Secret {
    fn metadata(&self) -> SecretBytes {
        SecretBytes::from(serde_json::json!(self.tags).to_string())
    }
}

fn error(kind: ErrorKind, operation: &'static str, message: &str) -> Error {
    Error::new(kind, NAME, operation, message)
}
