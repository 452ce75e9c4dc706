//! Bad days on demand: what a fake does to its clients instead of answering.

use std::{collections::BTreeMap, future, sync::Mutex, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::{Deserialize, Serialize};

use crate::{http1::HangUp, lock::lock};

/// The name that stands for every operation.
pub const EVERY_OPERATION: &str = "*";

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// The request is taken, an answer never comes.
    BlackHole,
    /// The true answer comes, but late.
    Delay {
        /// How late.
        millis: u64,
    },
    /// The true answer comes one byte at a time.
    Drip {
        /// Pause before each byte.
        millis: u64,
    },
    /// 200 without a body.
    Empty,
    /// The connection is closed without an answer.
    HangUp,
    /// The vendor's usual error body with this status.
    Status {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The first half of the true answer, as if it were all.
    Truncated,
}

/// A fault and for how many requests it still holds; without a number until it is cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Switch {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// For how many more requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// Which operations are out of order. An operation's own fault goes before that of [`EVERY_OPERATION`].
#[derive(Debug, Default)]
pub struct Faults(Mutex<BTreeMap<String, Switch>>);

impl Faults {
    /// From now on `operation` suffers `fault`.
    pub fn set(&self, operation: &str, fault: Fault) {
        self.switch(operation, Switch { fault, times: None });
    }

    /// The next `times` requests of `operation` suffer `fault`.
    pub fn set_times(&self, operation: &str, fault: Fault, times: u32) {
        self.switch(operation, Switch { fault, times: Some(times) });
    }

    /// As [`Faults::set`] or [`Faults::set_times`].
    pub fn switch(&self, operation: &str, switch: Switch) {
        lock(&self.0).insert(operation.to_owned(), switch);
    }

    /// `operation` works again.
    pub fn clear(&self, operation: &str) {
        lock(&self.0).remove(operation);
    }

    /// Everything works again.
    pub fn clear_all(&self) {
        lock(&self.0).clear();
    }

    /// What is out of order, by operation.
    pub fn list(&self) -> BTreeMap<String, Switch> {
        lock(&self.0).clone()
    }

    /// The fault that the next request of `operation` suffers.
    pub(crate) fn take(&self, operation: &str) -> Option<Fault> {
        let mut switches = lock(&self.0);
        let name = [operation, EVERY_OPERATION].into_iter().find(|name| switches.contains_key(*name))?;
        let switch = switches.get_mut(name)?;
        let fault = switch.fault.clone();
        if let Some(left) = &mut switch.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                switches.remove(name);
            }
        }
        Some(fault)
    }
}

impl Fault {
    /// Answers `request`, which asks for `operation`, as this fault has it. `next` knows the true answer, and `failure`
    /// how the vendor says that something is wrong.
    pub(crate) async fn inflict(
        self,
        failure: fn(&str, StatusCode) -> Response,
        operation: &str,
        request: Request,
        next: Next,
    ) -> Response {
        match self {
            Self::BlackHole => future::pending().await,
            Self::Delay { millis } => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                next.run(request).await
            }
            Self::Drip { millis } => drip(next.run(request).await, Duration::from_millis(millis)).await,
            Self::Empty => StatusCode::OK.into_response(),
            Self::HangUp => HangUp.into_response(),
            Self::Status { status, retry_after } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = failure(operation, status);
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Self::Truncated => {
                let (parts, body) = whole(next.run(request).await).await;
                let half = body.len() / 2;
                Response::from_parts(parts, Body::from(body[..half].to_vec()))
            }
        }
    }
}

async fn drip(response: Response, pause: Duration) -> Response {
    let (parts, body) = whole(response).await;
    let bytes = stream::unfold(body.into_iter(), move |mut rest| async move {
        let byte = rest.next()?;
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::convert::Infallible>(vec![byte]), rest))
    });
    Response::from_parts(parts, Body::from_stream(bytes))
}

/// The answer as bytes, without the headers that tell its length.
async fn whole(response: Response) -> (axum::http::response::Parts, Vec<u8>) {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    // Bodies of fakes are in memory already: reading them cannot fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    (parts, bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{EVERY_OPERATION, Fault, Faults, Switch};

    #[test]
    fn an_operations_own_fault_goes_first_and_ends_after_its_times() {
        let faults = Faults::default();
        faults.set(EVERY_OPERATION, Fault::Empty);
        faults.set_times("auth", Fault::BlackHole, 2);
        let seen: Vec<_> = std::iter::repeat_with(|| faults.take("auth")).take(3).collect();
        assert_eq!(seen, [Some(Fault::BlackHole), Some(Fault::BlackHole), Some(Fault::Empty)]);
        faults.clear_all();
        assert_eq!(faults.take("auth"), None);
    }

    #[test]
    fn faults_are_written_as_flat_json() {
        let switch = Switch { fault: Fault::Status { status: 429, retry_after: Some(2) }, times: Some(3) };
        let text = r#"{"kind":"status","status":429,"retryAfter":2,"times":3}"#;
        assert_eq!(serde_json::to_string(&switch).unwrap(), text);
        assert_eq!(serde_json::from_str::<Switch>(text).unwrap(), switch);
        assert!(serde_json::from_str::<Switch>(r#"{"kind":"earthquake"}"#).is_err());
    }
}
