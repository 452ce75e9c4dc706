//! What AWS has denied lately, so that it is not asked for on every tick.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Denials by name. Each is forgotten after a while, so that a permission that was granted is noticed.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<String, Instant>>);

/// As long as a user waits for a new permission to make things cheaper; nothing waits for it to work.
const MEMORY: Duration = Duration::from_mins(10);

impl Denials {
    pub(crate) fn note(&self, name: &str) {
        let now = Instant::now();
        let mut denials = self.denials();
        denials.retain(|_, until| now < *until);
        denials.insert(name.to_owned(), now + MEMORY);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.denials().get(name).is_some_and(|until| Instant::now() < *until)
    }

    fn denials(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Denials;

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_remembered_for_a_while() {
        let denials = Denials::default();
        denials.note("a");
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(denials.has("a") && !denials.has("b"));
        denials.note("b");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!denials.has("a") && denials.has("b"));
    }
}
