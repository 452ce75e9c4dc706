//! One answer.

use std::{fmt, time::SystemTime};

use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use reqwest::header::HeaderMap;
use serde::{Deserialize, de::IgnoredAny};

use crate::{record::Record, status, transport::Received};

/// A whole answer, of any status. Its content shows itself to nobody but who asks for it: not in `Debug`, not in the
/// errors that are made from it.
pub struct Answer {
    received: Received,
    record: Record,
    provider: &'static str,
    operation: &'static str,
    about: String,
}

impl Answer {
    pub(crate) fn new(
        received: Received,
        record: Record,
        provider: &'static str,
        operation: &'static str,
        about: String,
    ) -> Self {
        let mut answer = Self { received, record, provider, operation, about };
        let outcome = if answer.is_success() { Ok(()) } else { Err(answer.meaning().0) };
        answer.record.end(outcome);
        answer
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.received.status.as_u16()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.received.status.is_success()
    }

    /// A header, if it is there and is ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.received.headers.get(name)?.to_str().ok()
    }

    /// The body of a 2xx answer as it is; other statuses are an error as [`Answer::refusal`] says.
    pub fn bytes(self) -> Result<SecretBytes> {
        if self.is_success() { Ok(self.received.body) } else { Err(self.refusal()) }
    }

    /// The body of a 2xx answer as JSON; other statuses are an error as [`Answer::refusal`] says, and a body that is
    /// empty, cut short, of another shape, or not JSON is [`ErrorKind::Malformed`].
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        if !self.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(self.received.body.expose()).map_err(|error| {
            let about = &self.about;
            // The error's own text may quote the body.
            let text = match error.classify() {
                _ if self.received.body.expose().trim_ascii().is_empty() => {
                    format!("the answer about {about} is empty")
                }
                _ if self.received.body.expose().trim_ascii_start().starts_with(b"<") => {
                    format!(
                        "the answer about {about} is a web page; check that the store's address is the backend's API"
                    )
                }
                serde_json::error::Category::Data => format!("the answer about {about} lacks what it should hold"),
                serde_json::error::Category::Eof => format!("the answer about {about} ends half way"),
                serde_json::error::Category::Io | serde_json::error::Category::Syntax => {
                    format!("the answer about {about} is not JSON")
                }
            };
            self.error(ErrorKind::Malformed, text)
        })
    }

    /// The body as JSON whatever the status, or `None` where it has not this shape: for looking into the vendor's
    /// own error answers. Nothing of it may go into an error's text, except what is known to be harmless.
    pub fn hint<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(self.received.body.expose()).ok()
    }

    /// Whether the body, whatever the status and the form, contains `phrase`; ASCII case makes no difference. For
    /// telling servers apart of which it is not even known that they speak JSON.
    pub fn says(&self, phrase: &str) -> bool {
        self.received
            .body
            .expose()
            .windows(phrase.len().max(1))
            .any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
    }

    /// What the status means by itself: the error for every answer that the backend knows nothing better about.
    pub fn refusal(&self) -> Error {
        let (kind, message) = self.meaning();
        self.error(kind, message)
    }

    /// A failure that this answer tells of. Carries its status, its request id, and the server's wish when to try
    /// again.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.record.fail(kind);
        let error = Error::new(kind, self.provider, self.operation, message)
            .with_status(self.status())
            .with_request_id(request_id(&self.received.headers));
        match status::retry(self.received.status, &self.received.headers, SystemTime::now()) {
            Some(retry) => error.with_retry(retry),
            None => error,
        }
    }

    /// This redirect is followed: for the observer it is no failure.
    pub fn follow(mut self) {
        self.record.end(Ok(()));
    }

    /// What the request was about, as [`crate::Request::about`] said.
    pub fn about(&self) -> &str {
        &self.about
    }

    fn meaning(&self) -> (ErrorKind, String) {
        let speaks_json = self.received.body.expose().trim_ascii_start().starts_with(b"{");
        status::meaning(self.received.status, &self.about, speaks_json && self.hint::<IgnoredAny>().is_some())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("about", &self.about).field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Headers by which vendors name a request, in the order in which they are looked for.
const REQUEST_IDS: [&str; 5] =
    ["x-request-id", "x-amzn-requestid", "x-ms-request-id", "x-correlation-id", "request-id"];

/// Only what looks like an id is taken over: the text ends up where everybody can read it.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    ((1..=64).contains(&id.len()) && id.bytes().all(harmless)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::request_id;

    #[test]
    fn only_what_looks_like_an_id_is_shown() {
        let id = |value: &'static str| {
            request_id(&HeaderMap::from_iter([(
                "x-request-id".parse().expect("name"),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(id("8c1d-22.a:4_b"), Some("8c1d-22.a:4_b".to_owned()));
        assert_eq!(id("user hunter2"), None);
        assert_eq!(id(""), None);
        assert_eq!(request_id(&HeaderMap::new()), None);
    }
}
