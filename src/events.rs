//! Events on objects, for `kubectl describe`.
//!
//! They are told after the fact by one task, so that no sync waits for an event and a thousand of them do not crowd
//! out the writes that matter.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;
use tracing::debug;

use crate::cluster::error_text;

/// One thing that happened to one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) about: ObjectReference,
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Where notes are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events(mpsc::Sender<Note>);

/// How many notes wait at most; more are dropped, since the condition says it all anyway.
const BACKLOG: usize = 4096;
/// Between two events: they are a courtesy, and the API server has better things to do.
const PAUSE: Duration = Duration::from_millis(40);
/// What the API server takes.
const LONGEST_MESSAGE: usize = 1000;

impl Events {
    /// The handle, and the task's end of it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Note>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        (Self(sender), receiver)
    }

    pub(crate) fn tell(&self, note: Note) {
        if self.0.try_send(note).is_err() {
            debug!("too many events at once; one was dropped");
        }
    }
}

/// Publishes notes until all handles are gone.
pub(crate) async fn publish(client: Client, component: &str, mut notes: mpsc::Receiver<Note>) {
    let recorder = Recorder::new(client, Reporter { controller: component.to_owned(), instance: None });
    while let Some(note) = notes.recv().await {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.to_owned(),
            action: "Reconcile".to_owned(),
            note: Some(shortened(note.message)),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, &note.about).await {
            debug!(error = %error_text(&error), "an event could not be written");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE - '…'.len_utf8()).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_MESSAGE, shortened};

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = shortened("é".repeat(LONGEST_MESSAGE));
        assert!(cut.len() <= LONGEST_MESSAGE && cut.ends_with('…'));
        assert_eq!(shortened("short".into()), "short");
    }
}
