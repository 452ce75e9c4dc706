//! How the gateway says no.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error answer: `{"error": …, "message": …}`.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    error: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "InvalidParam", message: message.into() }
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, error: "Forbidden", message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: "NotFound", message: message.into() }
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "Unauthorized", message: message.into() }
    }

    pub(super) fn unknown_token() -> Self {
        let error = "Client could not be found in cache";
        Self { status: StatusCode::BAD_REQUEST, error, message: String::new() }
    }

    /// Any other status, without details.
    pub(super) fn of(status: StatusCode) -> Self {
        Self { status, error: "Error", message: status.canonical_reason().unwrap_or_default().to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.error, "message": self.message}))).into_response()
    }
}
