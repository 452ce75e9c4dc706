//! The one error type of every backend and layer.

use std::{fmt, time::Duration};

/// What providers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms that hold for every backend. What each kind means to a user (reason, remedy, when to
/// try again) is decided once, in the operator, never by a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The login works but may not read this.
    AccessDenied,
    /// The store's or reference's settings cannot work, whatever the backend says.
    InvalidConfig,
    /// The backend answered with something that is not what its protocol promises.
    Malformed,
    /// The backend said positively that there is no such secret, version or item.
    NotFound,
    /// The backend asks to slow down.
    Throttled,
    /// No answer within the time that was given.
    TimedOut,
    /// The login was refused or has ended.
    Unauthenticated,
    /// The backend cannot be reached or reports a failure of its own.
    Unavailable,
    /// This backend cannot do what was asked.
    Unsupported,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::AccessDenied,
        Self::InvalidConfig,
        Self::Malformed,
        Self::NotFound,
        Self::Throttled,
        Self::TimedOut,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Unsupported,
    ];

    /// A stable word for metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidConfig => "invalid_config",
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Whether the same call may succeed if it is simply made again. A fact that the backend states; how often and how
/// long to wait is the retry layer's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After this time, which the server asked for.
    After(Duration),
    /// After a pause of the caller's choice.
    Backoff,
    /// No.
    Never,
}

/// A failure of a backend. It never holds a response body or a header's value, because for a secrets API the body
/// can be the secret; what it holds may be shown to anybody who may read the object's status.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether trying again may help.
    pub retry: Retry,
    /// Who says so: [`crate::Provider::name`].
    pub provider: &'static str,
    /// What was tried, in the vendor's own words: `ReadSecretData`, `GetSecretValue`, `Login`.
    pub operation: &'static str,
    /// The rest of the sentence, in lower case: which object, what was wrong, what would help.
    pub message: String,
    /// HTTP status, where there was one.
    pub status: Option<u16>,
    /// The vendor's request id, for a support case.
    pub request_id: Option<String>,
}

impl Error {
    /// A failure that trying again does not mend, or does, as is usual for its kind.
    pub fn new(kind: ErrorKind, provider: &'static str, operation: &'static str, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Throttled | ErrorKind::TimedOut | ErrorKind::Unavailable => Retry::Backoff,
            ErrorKind::AccessDenied
            | ErrorKind::InvalidConfig
            | ErrorKind::Malformed
            | ErrorKind::NotFound
            | ErrorKind::Unauthenticated
            | ErrorKind::Unsupported => Retry::Never,
        };
        Self { kind, retry, provider, operation, message: message.into(), status: None, request_id: None }
    }

    /// The same failure with another answer to "does trying again help?".
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same failure with the HTTP status that told of it.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The same failure with the vendor's request id.
    #[must_use]
    pub fn with_request_id(self, id: Option<String>) -> Self {
        Self { request_id: id, ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        let Self { provider, operation, status, .. } = self;
        match status {
            Some(status) => write!(f, " ({provider} {operation}: HTTP {status}"),
            None => write!(f, " ({provider} {operation}"),
        }?;
        match &self.request_id {
            Some(id) => write!(f, ", request {id})"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}: {self}", self.kind, self.retry)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn the_text_names_what_was_tried_and_how_to_ask_support() {
        let error = Error::new(ErrorKind::AccessDenied, "HashiCorp/Vault", "ReadSecretData", "may not read kv/data/a");
        assert_eq!(error.to_string(), "may not read kv/data/a (HashiCorp/Vault ReadSecretData)");
        let error = error.with_status(403).with_request_id(Some("r-1".into()));
        assert_eq!(error.to_string(), "may not read kv/data/a (HashiCorp/Vault ReadSecretData: HTTP 403, request r-1)");
    }

    #[test]
    fn every_kind_has_its_own_word() {
        let words: std::collections::BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), ErrorKind::ALL.len());
    }
}
