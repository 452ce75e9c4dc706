//! What a failure means to the user: cause, remedy and how patiently to try again. One table for every backend.

use std::{fmt, time::Duration};

use keyferry_core::{Error, ErrorKind, Retry};

/// How patiently a failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The backend or the cluster is in trouble and will recover by itself.
    Brief,
    /// A person has to do something: grant, create, correct.
    Long,
}

/// A failure, in words for the person who has to mend it. The text is the same for the same failure, so that a
/// status is not written again only because a failure lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// First word of the message, for eyes and alerts: `AccessDenied`.
    pub(crate) cause: &'static str,
    /// Where, what and the remedy.
    pub(crate) text: String,
    pub(crate) patience: Patience,
    /// The least pause that the server asked for.
    pub(crate) hint: Option<Duration>,
    /// The vendor's request id: for the log, since it changes with every attempt.
    pub(crate) request_id: Option<String>,
}

impl Trouble {
    /// A failure that a person has to mend.
    pub(crate) fn lasting(cause: &'static str, text: impl fmt::Display) -> Self {
        Self { cause, text: text.to_string(), patience: Patience::Long, hint: None, request_id: None }
    }

    /// A failure that passes by itself.
    pub(crate) fn passing(cause: &'static str, text: impl fmt::Display) -> Self {
        Self { patience: Patience::Brief, ..Self::lasting(cause, text) }
    }

    /// What a backend's failure means at `place` of the manifest.
    pub(crate) fn of_backend(place: &str, error: &Error) -> Self {
        let (cause, patience, remedy) = meaning(error.kind);
        let status = error.status.map(|status| format!(": HTTP {status}")).unwrap_or_default();
        Self {
            cause,
            text: format!("{place}: {} ({} {}{status}); {remedy}", error.message, error.provider, error.operation),
            patience,
            hint: match error.retry {
                Retry::After(hint) => Some(hint),
                Retry::Backoff | Retry::Never => None,
            },
            request_id: error.request_id.clone(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.text)
    }
}

/// Cause, patience and remedy of each kind of failure.
pub(crate) fn meaning(kind: ErrorKind) -> (&'static str, Patience, &'static str) {
    use Patience::{Brief, Long};
    match kind {
        ErrorKind::AccessDenied => ("AccessDenied", Long, "grant the store's login read access to it"),
        ErrorKind::InvalidConfig => ("InvalidConfiguration", Long, "correct the manifest"),
        ErrorKind::Malformed => {
            ("UnexpectedResponse", Long, "check that the store's address is that of the backend and not of a proxy")
        }
        ErrorKind::NotFound => ("RemoteNotFound", Long, "create it in the backend or correct remoteRef"),
        ErrorKind::Throttled => ("Throttled", Brief, "it is tried again when the backend allows"),
        ErrorKind::TimedOut | ErrorKind::Unavailable => {
            ("ProviderUnreachable", Brief, "it is tried again until the backend answers")
        }
        ErrorKind::Unauthenticated => ("AuthenticationFailed", Long, "correct the store's credentials"),
        ErrorKind::Unsupported => ("Unsupported", Long, "remove it from the manifest"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyferry_core::{Error, ErrorKind, Retry};

    use super::{Patience, Trouble, meaning};

    #[test]
    fn the_message_says_where_what_and_what_to_do() {
        let error = Error::new(ErrorKind::AccessDenied, "HashiCorp/Vault", "ReadSecretData", "may not read kv/data/a")
            .with_status(403)
            .with_request_id(Some("r-1".into()));
        let trouble = Trouble::of_backend("spec.data[0] (key a)", &error);
        assert_eq!(
            trouble.to_string(),
            "AccessDenied: spec.data[0] (key a): may not read kv/data/a (HashiCorp/Vault ReadSecretData: HTTP 403); \
             grant the store's login read access to it"
        );
        assert_eq!(trouble.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn the_servers_hint_is_kept() {
        let hint = Duration::from_secs(9);
        let error = Error::new(ErrorKind::Throttled, "p", "o", "slow down").with_retry(Retry::After(hint));
        assert_eq!(Trouble::of_backend("x", &error).hint, Some(hint));
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again_soon() {
        for kind in ErrorKind::ALL {
            let brief = matches!(kind, ErrorKind::Throttled | ErrorKind::TimedOut | ErrorKind::Unavailable);
            assert_eq!(meaning(kind).1 == Patience::Brief, brief, "{kind:?}");
        }
    }
}
