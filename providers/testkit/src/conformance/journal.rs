//! Remembers everything that a provider let out, and looks for secrets in it.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use keyferry_core::SecretBytes;
use tracing_subscriber::{Layer, filter::filter_fn, fmt, layer::SubscriberExt};

/// Everything that was shown: `Debug` of providers and answers, texts of errors, log lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<String>>);

impl Journal {
    pub(super) fn note(&self, text: &str) {
        let mut journal = self.text();
        journal.push_str(text);
        journal.push('\n');
    }

    /// Takes down what is logged in this thread until the guard is dropped. Only our own log lines: what the log
    /// filter of the process lets through of others is not the backend's doing.
    pub(super) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let journal = self.clone();
        let ours = filter_fn(|line| line.target().starts_with("keyferry"));
        let lines = fmt::layer().with_ansi(false).with_writer(move || journal.clone()).with_filter(ours);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines))
    }

    /// How `secret` shows in the journal, if it does.
    pub(super) fn shows(&self, secret: &SecretBytes) -> Option<&'static str> {
        // The beginning is enough to give it away, and is found also where the rest was cut off.
        let start = &secret.expose()[..secret.len().min(24)];
        let whole_groups = &start[..start.len() / 3 * 3];
        let forms = [
            ("as it is", String::from_utf8_lossy(start).into_owned()),
            ("in base64", STANDARD_NO_PAD.encode(whole_groups)),
            ("as a list of numbers", format!("{start:?}").trim_matches(['[', ']']).to_owned()),
        ];
        let text = self.text();
        let shown = |form: &str| !form.is_empty() && text.contains(form);
        forms.into_iter().find_map(|(how, form)| shown(&form).then_some(how))
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::Journal;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = SecretBytes::from("correct horse battery staple");
        for (text, how) in [
            ("got correct horse battery staple back", Some("as it is")),
            ("{\"data\":\"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==\"}", Some("in base64")),
            (&format!("{:?}", secret.expose()), Some("as a list of numbers")),
            ("got a horse and a battery", None),
        ] {
            let journal = Journal::default();
            journal.note(text);
            assert_eq!(journal.shows(&secret), how, "{text}");
        }
    }

    #[test]
    fn log_lines_are_taken_down() {
        let journal = Journal::default();
        let listening = journal.listen();
        tracing::debug!(token = "correct horse", "logged in");
        drop(listening);
        tracing::debug!(token = "battery staple", "logged in");
        assert!(journal.shows(&SecretBytes::from("correct horse")).is_some());
        assert!(journal.shows(&SecretBytes::from("battery staple")).is_none());
    }
}
