//! Follows one kind of object for as long as the process lives.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, pin_mut};
use kube::{
    Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tracing::{debug, warn};

use super::{Change, Mirror, ObjectKey, mirror::Intake};

/// How one kind is trimmed on its way into its mirror.
pub(crate) struct Watched<K, T> {
    /// Plural, for the log.
    pub(crate) kind: &'static str,
    pub(crate) mirror: Mirror<T>,
    /// Takes what is used and drops the rest.
    pub(crate) trim: fn(K) -> T,
    /// Whether the first is an older state of the second.
    pub(crate) stale: fn(&T, &T) -> bool,
}

/// Feeds `events` into the mirror and tells `changed` of each change. Ends only with the stream, which a watcher never
/// does by itself: it reconnects, at most five seconds after the API server is back.
pub(crate) async fn follow<K, T>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    watched: Watched<K, T>,
    changed: impl Fn(&ObjectKey, Change<T>),
) where
    K: Resource + Debug,
{
    let Watched { kind, mirror, trim, stale } = watched;
    let mut intake = Intake::new(mirror.clone(), stale);
    let trimmed = |object: K| (ObjectKey::of(object.meta()), trim(object));
    let events = events.backoff(reconnect());
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let done = matches!(event, Event::InitDone);
                intake.take(map(event, trimmed), &changed);
                if done {
                    debug!(kind, objects = mirror.len(), "listed");
                }
            }
            Err(error) => warn!(kind, error = %error_text(&error), "watch interrupted; reconnecting"),
        }
    }
}

fn map<K, T>(event: Event<K>, with: impl Fn(K) -> T) -> Event<T> {
    match event {
        Event::Apply(object) => Event::Apply(with(object)),
        Event::Delete(object) => Event::Delete(with(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(with(object)),
        Event::InitDone => Event::InitDone,
    }
}

/// An API server that restarts is back within seconds, and every ExternalSecret waits for it.
fn reconnect() -> watcher::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .into()
}

/// An error with its causes in one line.
pub(crate) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
