//! A provider in use, and its end.

use std::{sync::Arc, time::Duration};

use keyferry_core::Provider;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

/// A provider, ready to use. It is closed when nobody has it any more.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Another number means another store spec or other credentials.
    pub(crate) identity: u64,
    login: Arc<Login>,
}

impl Session {
    pub(super) fn new(identity: u64, provider: Arc<dyn Provider>, farewells: &Farewells) -> Self {
        Self { identity, login: Arc::new(Login { provider, farewells: farewells.clone() }) }
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.login.provider
    }
}

#[derive(Debug)]
struct Login {
    provider: Arc<dyn Provider>,
    farewells: Farewells,
}

impl Drop for Login {
    fn drop(&mut self) {
        self.farewells.bid(Arc::clone(&self.provider));
    }
}

/// Logins that are being given back.
#[derive(Clone, Debug, Default)]
pub(super) struct Farewells(TaskTracker);

/// How long the end of the process waits for backends. What was not given back by then ends by itself, only later.
const LONGEST: Duration = Duration::from_secs(3);

impl Farewells {
    fn bid(&self, provider: Arc<dyn Provider>) {
        // Without a runtime there was no login either.
        if let Ok(runtime) = Handle::try_current() {
            self.0.spawn_on(async move { provider.close().await }, &runtime);
        }
    }

    /// Waits for those under way.
    pub(super) async fn done(&self) {
        self.0.close();
        let _ = timeout(LONGEST, self.0.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use keyferry_testkit::{Memory, Step};
    use tokio::time::Instant;

    use super::{Farewells, LONGEST, Session};

    #[tokio::test]
    async fn the_last_one_closes_the_provider() {
        let (memory, farewells) = (Memory::new(), Farewells::default());
        let session = Session::new(1, memory.provider(), &farewells);
        let other = session.clone();
        assert_eq!(session.provider().check().await, Ok(()));
        drop(session);
        farewells.done().await;
        assert_eq!(operations(&memory), ["Check"]);
        drop(other);
        farewells.done().await;
        assert_eq!(operations(&memory), ["Check", "Close"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_hangs_does_not_keep_the_process() {
        let (memory, farewells) = (Memory::new().always(Step::Hang), Farewells::default());
        drop(Session::new(1, memory.provider(), &farewells));
        let began = Instant::now();
        farewells.done().await;
        assert_eq!(began.elapsed(), LONGEST);
    }

    fn operations(memory: &Memory) -> Vec<&'static str> {
        memory.calls().iter().map(|call| call.operation).collect()
    }
}
