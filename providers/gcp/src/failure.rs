//! What the errors of Google's client mean.
//!
//! Their texts are not taken over: they may hold answers. What decides is Google's status word and, where that says too
//! little, the reason and the state that come with it.

use std::{error::Error as StdError, time::Duration};

use google_cloud_gax::error::{
    CredentialsError, Error as GaxError,
    rpc::{Code, Status, StatusDetails},
};
use keyferry_core::{Error, ErrorKind, Retry};

use crate::{PROVIDER, name::Parent};

/// A call that failed.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The version is there, but disabled or destroyed.
    pub(crate) is_not_enabled: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_not_enabled: false }
    }
}

/// What `error` means for a call about `what` in `parent`.
pub(crate) fn failure(operation: &'static str, what: &str, parent: &Parent, error: &GaxError) -> Failure {
    if let Some(login) = error.source().and_then(login_error) {
        return login.clone().into();
    }
    let state = error.status().and_then(State::of);
    let (kind, message) = match (error.status(), &state) {
        // Not `NotFound`, which deletes targets: an older version may stand in, or the same one be enabled again.
        (Some(_), Some(state)) => (ErrorKind::AccessDenied, state.text(what)),
        (Some(status), None) => of_status(status, what, parent),
        (None, _) => of_transport(error, what),
    };
    let mut told = Error::new(kind, PROVIDER, operation, message);
    if let Some(pause) = pause(error).filter(|_| told.retry == Retry::Backoff) {
        told = told.with_retry(Retry::After(pause.min(LONGEST_PAUSE)));
    }
    if let Some(status) = error.http_status_code() {
        told = told.with_status(status);
    }
    Failure { error: told, is_not_enabled: state.is_some() }
}

/// A pause that is longer than this is a mistake of the server.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The error of the login, when the call failed because there was none.
fn login_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    error.downcast_ref::<CredentialsError>()?.source()?.downcast_ref()
}

fn of_status(status: &Status, what: &str, parent: &Parent) -> (ErrorKind, String) {
    let project = parent.project();
    match status.code {
        Code::Unauthenticated => (ErrorKind::Unauthenticated, format!("the login was not accepted for {what}")),
        Code::PermissionDenied => (ErrorKind::AccessDenied, denied(reason(status), what, project)),
        Code::NotFound => (ErrorKind::NotFound, format!("{what} does not exist")),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::Unimplemented => (
            ErrorKind::InvalidConfig,
            format!(
                "Secret Manager does not accept the request for {what}; check key, version, projectID and location"
            ),
        ),
        Code::ResourceExhausted => {
            (ErrorKind::Throttled, format!("the quota of project {project} is used up ({what})"))
        }
        Code::Cancelled | Code::DeadlineExceeded => {
            (ErrorKind::TimedOut, format!("Secret Manager did not answer in time about {what}"))
        }
        Code::DataLoss => (ErrorKind::Malformed, format!("Secret Manager lost data of {what}")),
        _ => (ErrorKind::Unavailable, format!("Secret Manager failed on {what}")),
    }
}

fn denied(reason: &str, what: &str, project: &str) -> String {
    match reason {
        "SERVICE_DISABLED" => format!("the Secret Manager API is not enabled in project {project}; enable it there"),
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => {
            format!("the token may not be used for {what}; the machine's access scopes must hold cloud-platform")
        }
        "CONSUMER_INVALID" | "USER_PROJECT_DENIED" => {
            format!("there is no project {project} that the login may use; check projectID")
        }
        "BILLING_DISABLED" => format!("project {project} has no billing account"),
        _ => format!(
            "the login may not use {what}, or it does not exist; check projectID, and grant \
             roles/secretmanager.secretAccessor (to list or for metadata: roles/secretmanager.viewer)"
        ),
    }
}

fn reason(status: &Status) -> &str {
    let reason = status.details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info.reason.as_str()),
        _ => None,
    });
    reason.unwrap_or_default()
}

/// A version that cannot be read because somebody decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Destroyed,
    Disabled,
}

impl State {
    /// Google tells it in the text alone.
    fn of(status: &Status) -> Option<Self> {
        let says = |word: &str| status.code == Code::FailedPrecondition && status.message.contains(word);
        if says("DESTROYED state") {
            Some(Self::Destroyed)
        } else if says("DISABLED state") {
            Some(Self::Disabled)
        } else {
            None
        }
    }

    fn text(self, what: &str) -> String {
        match self {
            Self::Destroyed => format!(
                "{what} is destroyed; add a version, or set secretVersionSelectionPolicy: LatestOrFetch to read the \
                 newest that is enabled"
            ),
            Self::Disabled => format!(
                "{what} is disabled; enable it, or set secretVersionSelectionPolicy: LatestOrFetch to read the newest \
                 that is enabled"
            ),
        }
    }
}

fn of_transport(error: &GaxError, what: &str) -> (ErrorKind, String) {
    let elsewhere = "something else than Secret Manager answers at its address; check proxies and the network";
    match error.http_status_code() {
        Some(429) => (ErrorKind::Throttled, format!("the server asks to slow down ({what})")),
        Some(500..) => (ErrorKind::Unavailable, format!("the server failed on {what}")),
        Some(_) => (ErrorKind::InvalidConfig, elsewhere.to_owned()),
        None if error.is_timeout() => {
            (ErrorKind::TimedOut, format!("Secret Manager did not answer in time about {what}"))
        }
        None if error.is_connect() => (
            ErrorKind::Unavailable,
            "Secret Manager cannot be reached; check the network, its names, proxies and certificates".to_owned(),
        ),
        None if error.is_deserialization() => {
            (ErrorKind::Malformed, format!("the answer about {what} is not what Secret Manager promises"))
        }
        None if error.is_binding() || error.is_serialization() => {
            (ErrorKind::InvalidConfig, format!("the request for {what} cannot be written"))
        }
        None => (ErrorKind::Unavailable, format!("the connection ended before an answer about {what} came")),
    }
}

/// When to try again, where the server says so.
fn pause(error: &GaxError) -> Option<Duration> {
    let details = error.status().map(|status| status.details.as_slice()).unwrap_or_default();
    let told = details.iter().find_map(|detail| match detail {
        StatusDetails::RetryInfo(info) => Duration::try_from(info.retry_delay?).ok(),
        _ => None,
    });
    let header = || error.http_headers()?.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok();
    told.or_else(|| header().map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use google_cloud_gax::error::{
        CredentialsError, Error as GaxError,
        rpc::{Code, Status},
    };
    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
    use keyferry_core::{Error, ErrorKind, Retry};
    use serde_json::{Value, json};

    use super::{Failure, failure};
    use crate::{PROVIDER, name::Parent};

    fn of(error: &GaxError) -> Failure {
        failure("AccessSecretVersion", "the latest version of the secret a", &Parent::new("p-1", None), error)
    }

    fn service(http: u16, body: &Value) -> GaxError {
        let status = Status::try_from(&Bytes::from(body.to_string())).expect("a status");
        GaxError::service_with_http_metadata(status, Some(http), Some(HeaderMap::new()))
    }

    fn status(http: u16, word: &str, message: &str) -> GaxError {
        service(http, &json!({"error": {"code": http, "status": word, "message": message}}))
    }

    #[test]
    fn each_status_has_its_kind() {
        for (http, word, kind) in [
            (400, "INVALID_ARGUMENT", ErrorKind::InvalidConfig),
            (400, "FAILED_PRECONDITION", ErrorKind::InvalidConfig),
            (400, "OUT_OF_RANGE", ErrorKind::InvalidConfig),
            (401, "UNAUTHENTICATED", ErrorKind::Unauthenticated),
            (403, "PERMISSION_DENIED", ErrorKind::AccessDenied),
            (404, "NOT_FOUND", ErrorKind::NotFound),
            (409, "ABORTED", ErrorKind::Unavailable),
            (429, "RESOURCE_EXHAUSTED", ErrorKind::Throttled),
            (499, "CANCELLED", ErrorKind::TimedOut),
            (500, "INTERNAL", ErrorKind::Unavailable),
            (500, "DATA_LOSS", ErrorKind::Malformed),
            (500, "UNKNOWN", ErrorKind::Unavailable),
            (501, "UNIMPLEMENTED", ErrorKind::InvalidConfig),
            (503, "UNAVAILABLE", ErrorKind::Unavailable),
            (504, "DEADLINE_EXCEEDED", ErrorKind::TimedOut),
        ] {
            let error = of(&status(http, word, "hunter2")).error;
            assert_eq!((error.kind, error.status), (kind, Some(http)), "{word}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_version_that_is_not_enabled_is_not_gone() {
        for (state, remedy) in [("DISABLED", "is disabled; enable it"), ("DESTROYED", "is destroyed; add a version")] {
            let message = format!("Secret Version [projects/1/secrets/a/versions/4] is in {state} state.");
            let failure = of(&status(400, "FAILED_PRECONDITION", &message));
            assert!(failure.is_not_enabled);
            assert_eq!(failure.error.kind, ErrorKind::AccessDenied);
            assert!(failure.error.message.contains(remedy), "{}", failure.error);
        }
        assert!(!of(&status(400, "FAILED_PRECONDITION", "The key is not usable.")).is_not_enabled);
    }

    #[test]
    fn a_refusal_names_its_remedy() {
        let reason = |reason: &str| {
            let kind = "type.googleapis.com/google.rpc.ErrorInfo";
            let detail = json!({"@type": kind, "reason": reason, "domain": "googleapis.com"});
            let error = json!({"code": 403, "status": "PERMISSION_DENIED", "message": "no", "details": [detail]});
            of(&service(403, &json!({"error": error}))).error.message
        };
        assert!(reason("SERVICE_DISABLED").contains("API is not enabled in project p-1"));
        assert!(reason("CONSUMER_INVALID").contains("check projectID"));
        assert!(reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT").contains("access scopes"));
        assert!(reason("BILLING_DISABLED").contains("billing"));
        assert!(reason("IAM_PERMISSION_DENIED").contains("roles/secretmanager.secretAccessor"));
    }

    #[test]
    fn the_servers_wish_when_to_try_again_is_passed_on() {
        let detail = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"});
        let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "", "details": [detail]});
        let error = of(&service(429, &json!({"error": error}))).error;
        assert_eq!(error.retry, Retry::After(Duration::from_millis(3500)));

        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let status = Status::default().set_code(Code::Unavailable);
        let error = GaxError::service_with_http_metadata(status, Some(503), Some(headers.clone()));
        assert_eq!(of(&error).error.retry, Retry::After(Duration::from_secs(7)));
        let error = GaxError::http(404, headers, "<html>".into());
        assert_eq!(of(&error).error.retry, Retry::Never);
    }

    #[test]
    fn what_is_no_answer_of_googles_is_told_apart() {
        let http = |status| of(&GaxError::http(status, HeaderMap::new(), "hunter2".into())).error;
        for (error, kind) in [
            (http(404), ErrorKind::InvalidConfig),
            (http(429), ErrorKind::Throttled),
            (http(502), ErrorKind::Unavailable),
            (of(&GaxError::timeout("hunter2")).error, ErrorKind::TimedOut),
            (of(&GaxError::connect("hunter2")).error, ErrorKind::Unavailable),
            (of(&GaxError::deser("hunter2")).error, ErrorKind::Malformed),
            (of(&GaxError::ser("hunter2")).error, ErrorKind::InvalidConfig),
            (of(&GaxError::io("hunter2")).error, ErrorKind::Unavailable),
        ] {
            assert_eq!(error.kind, kind);
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_failed_login_keeps_its_error() {
        let login = Error::new(ErrorKind::Unauthenticated, PROVIDER, "ExchangeToken", "the pool does not accept it");
        let error = GaxError::authentication(CredentialsError::from_source(false, login.clone()));
        assert_eq!(of(&error).error, login);
    }
}
