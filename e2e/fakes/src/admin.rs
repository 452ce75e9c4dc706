//! What the fakes' own paths have in common.

use axum::http::StatusCode;

/// The answer that tells whether something was there.
pub(crate) fn found(was_there: bool) -> StatusCode {
    if was_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
