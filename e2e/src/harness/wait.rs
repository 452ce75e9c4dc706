//! Waiting for what must become true, with a deadline and a message that says what was true instead.

use std::fmt::Debug;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process::Process;

/// How long a test waits for something that takes well below a second on an idle machine. Longer than the operator pauses
/// at most while a backend is in trouble (36 s): a machine that was busy just then may have brought it that far.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Watches the object `name` until `met` holds; `None` stands for "does not exist". Returns the object as it was then.
///
/// # Errors
/// At the deadline: the message carries `what` and the object as it was last seen.
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    within: Duration,
    mut met: impl FnMut(Option<&K>) -> bool,
) -> Result<Option<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let mut last = Err(anyhow!("nothing was seen"));
    let mut states = pin!(watcher::watch_object(api.clone(), name).default_backoff());
    let found = tokio::time::timeout(within, async {
        while let Some(state) = states.next().await {
            match state {
                Ok(object) if met(object.as_ref()) => return Some(object),
                Ok(object) => last = Ok(object),
                // The watch goes on by itself, for example after an outage of the API server.
                Err(error) => last = Err(error.into()),
            }
        }
        None
    })
    .await;
    match (found, last) {
        (Ok(Some(object)), _) => Ok(object),
        (_, Ok(object)) => {
            Err(anyhow!("{what}: not so within {within:?}; {name} was last seen as {}", show(object.as_ref())))
        }
        (_, Err(error)) => {
            Err(error).with_context(|| format!("{what}: not so within {within:?}; {name} could not be watched"))
        }
    }
}

/// Asks `probe` again and again until it has an answer. For what cannot be watched: metrics, calls to a backend.
///
/// # Errors
/// At the deadline, and at once when `probe` fails.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = probe().await.with_context(|| what.to_owned())? {
            return Ok(answer);
        }
        if begin.elapsed() > within {
            return Err(anyhow!("{what}: not so within {within:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Like [`eventually`], for what `processes` are to bring about.
///
/// # Errors
/// Also at once when one of them ends. The message shows what they logged.
pub async fn while_running<T>(
    processes: &mut [&mut Process],
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let answer = eventually(what, within, async || {
        processes.iter_mut().try_for_each(|process| process.ensure_running())?;
        probe().await
    })
    .await;
    answer.map_err(|error| {
        let logs: Vec<_> = processes.iter().map(|process| process.log_tail()).collect();
        anyhow!("{error:#}\n{}", logs.join("\n"))
    })
}

/// The object without what only the API server cares for.
fn show<K: Serialize>(object: Option<&K>) -> String {
    let Some(object) = object else {
        return "absent".to_owned();
    };
    match serde_json::to_value(object) {
        Ok(mut value) => {
            if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
                metadata.remove("managedFields");
            }
            format!("{value:#}")
        }
        Err(error) => error.to_string(),
    }
}
