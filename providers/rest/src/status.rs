//! What an HTTP status means when the backend says no more than that.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use keyferry_core::{ErrorKind, Retry};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

/// What kind of failure `status` is, and the text about `what`.
pub(crate) fn meaning(status: StatusCode, what: &str, speaks_json: bool) -> (ErrorKind, String) {
    match status.as_u16() {
        401 => (ErrorKind::Unauthenticated, format!("the login was not accepted for {what}")),
        403 => (ErrorKind::AccessDenied, format!("the login may not use {what}; grant it access")),
        // Whatever else answers at a wrong address says 404 too, and a wrong address must not delete a secret.
        404 if speaks_json => (ErrorKind::NotFound, format!("there is no {what}")),
        404 => (
            ErrorKind::InvalidConfig,
            format!("nothing there knows {what}; check that the store's address is the backend's API"),
        ),
        407 => (ErrorKind::InvalidConfig, "the proxy asks for a login; put it into the proxy's URL".into()),
        408 => (ErrorKind::TimedOut, format!("the server gave up waiting for the request for {what}")),
        425 => (ErrorKind::Unavailable, format!("the server is not ready for {what}")),
        429 => (ErrorKind::Throttled, format!("the server asks to slow down ({what})")),
        200..=299 => (ErrorKind::Malformed, format!("the server answered without content about {what}")),
        300..=399 => (
            ErrorKind::InvalidConfig,
            format!("the server redirects {what} to another address; name the final address in the store"),
        ),
        400..=499 => (ErrorKind::InvalidConfig, format!("the server did not accept the request for {what}")),
        _ => (ErrorKind::Unavailable, format!("the server failed on {what}")),
    }
}

/// When to try again, where the server says so.
pub(crate) fn retry(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Retry> {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(headers, now).map(|pause| Retry::After(pause.min(LONGEST_PAUSE)))
        }
        _ => None,
    }
}

/// A pause that is longer than this is a mistake of the server.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// `Retry-After` as a number of seconds, or as a date, which is taken relative to the server's own clock.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?)).or(Timestamp::try_from(now).ok())?;
    let pause = http_date(text)?.duration_since(now);
    Some(Duration::try_from(pause).unwrap_or_default())
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use keyferry_core::{ErrorKind, Retry};
    use reqwest::{
        StatusCode,
        header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER},
    };

    use super::{meaning, retry};

    fn kind(status: u16) -> ErrorKind {
        meaning(StatusCode::from_u16(status).expect("valid status"), "the secret a", true).0
    }

    #[test]
    fn each_status_has_its_kind() {
        for (status, expected) in [
            (200, ErrorKind::Malformed),
            (204, ErrorKind::Malformed),
            (301, ErrorKind::InvalidConfig),
            (307, ErrorKind::InvalidConfig),
            (400, ErrorKind::InvalidConfig),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::AccessDenied),
            (404, ErrorKind::NotFound),
            (405, ErrorKind::InvalidConfig),
            (407, ErrorKind::InvalidConfig),
            (408, ErrorKind::TimedOut),
            (410, ErrorKind::InvalidConfig),
            (422, ErrorKind::InvalidConfig),
            (425, ErrorKind::Unavailable),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
            (502, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(status), expected, "{status}");
        }
    }

    #[test]
    fn a_404_that_is_no_json_does_not_mean_that_the_secret_is_gone() {
        assert_eq!(meaning(StatusCode::NOT_FOUND, "a", false).0, ErrorKind::InvalidConfig);
    }

    fn hint(status: StatusCode, headers: &[(reqwest::header::HeaderName, &'static str)]) -> Option<Retry> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        retry(status, &headers, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_hint_in_seconds_is_taken_over() {
        let after = Some(Retry::After(Duration::from_secs(7)));
        assert_eq!(hint(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "7")]), after);
        assert_eq!(hint(StatusCode::SERVICE_UNAVAILABLE, &[(RETRY_AFTER, " 7 ")]), after);
    }

    #[test]
    fn a_hint_as_a_date_is_relative_to_the_servers_clock() {
        let headers = [(RETRY_AFTER, "Wed, 21 Oct 2015 07:28:30 GMT"), (DATE, "Wed, 21 Oct 2015 07:28:00 GMT")];
        assert_eq!(hint(StatusCode::SERVICE_UNAVAILABLE, &headers), Some(Retry::After(Duration::from_secs(30))));
        let past = [(RETRY_AFTER, "Wed, 21 Oct 2015 07:27:00 GMT"), (DATE, "Wed, 21 Oct 2015 07:28:00 GMT")];
        assert_eq!(hint(StatusCode::SERVICE_UNAVAILABLE, &past), Some(Retry::After(Duration::ZERO)));
        let epoch = [(RETRY_AFTER, "Thu, 01 Jan 1970 00:00:09 GMT")];
        assert_eq!(hint(StatusCode::TOO_MANY_REQUESTS, &epoch), Some(Retry::After(Duration::from_secs(9))));
    }

    #[test]
    fn a_senseless_hint_is_bounded_or_ignored() {
        let hour = Some(Retry::After(Duration::from_hours(1)));
        assert_eq!(hint(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "18446744073709551615")]), hour);
        assert_eq!(hint(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "-1")]), None);
        assert_eq!(hint(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "soon")]), None);
        assert_eq!(hint(StatusCode::INTERNAL_SERVER_ERROR, &[(RETRY_AFTER, "7")]), None);
    }
}
