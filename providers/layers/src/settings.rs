//! How patient the layers of one store are.

use std::time::Duration;

/// How patient the layers of one store are. [`Settings::default`] is meant for production; a store's manifest may
/// change single fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one try may take. Healthy backends answer within a second or two, also from another continent.
    pub attempt_timeout: Duration,
    /// How long a call may take with its waits and repetitions: room for one try that hangs, a pause and another one.
    pub deadline: Duration,
    /// How many tries may be under way at the same time: enough for 300 reads a second from a backend that takes
    /// 200 ms for each, and few enough for the connection pool of a small server.
    pub max_in_flight: usize,
    /// How many tries may begin in one second, in the long run. More than an API server takes writes from one
    /// operator, so that no sync waits for it; it stops what has run wild.
    pub rate: u32,
    /// How many tries may begin at once after a pause: a store with a thousand keys is read without waiting.
    pub burst: u32,
    /// How many tries may follow the first one.
    pub max_retries: u32,
    /// The shortest pause between two tries. The pauses grow from here, with jitter; a server that names a time
    /// itself is obeyed instead.
    pub retry_interval: Duration,
    /// The longest pause between two tries that is not the server's wish.
    pub max_retry_interval: Duration,
    /// For how long locators are gathered for one native batch call. Only for backends that have one: their calls
    /// take several times longer than this.
    pub gather: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            max_in_flight: 64,
            rate: 500,
            burst: 1000,
            max_retries: 3,
            retry_interval: Duration::from_millis(100),
            max_retry_interval: Duration::from_secs(5),
            gather: Duration::from_millis(5),
        }
    }
}
