//! How the API says no.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// An error answer: `{"reqId", "statusCode", "message", "error"}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    message: Value,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, message: impl Into<Value>) -> Self {
        Self { status, error, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<Value>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Whatever the role forbids.
    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "PermissionDenied", "You are not allowed to describeSecret on secrets")
    }

    pub(super) fn forbidden(message: impl Into<Value>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ForbiddenError", message)
    }

    /// A request of another form than the API's.
    pub(super) fn malformed(what: &str) -> Self {
        let issues = json!([{"code": "custom", "path": [], "message": what}]);
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ValidationFailure", issues)
    }

    pub(super) fn not_found(message: impl Into<Value>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// What the web framework says of a path or method that it does not know.
    pub(super) fn no_route(method: &str, path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found", format!("Route {method}:{path} not found"))
    }

    /// What the server's library for JWTs says is `wrong` with a token.
    pub(super) fn token(wrong: &str) -> Self {
        let message = match wrong {
            "jwt expired" => "Your token has expired. Please re-authenticate.",
            "jwt malformed" => {
                "The provided access token is malformed. Please use a valid token or generate a new one and try again."
            }
            other => other,
        };
        Self::new(StatusCode::FORBIDDEN, "TokenError", message)
    }

    pub(super) fn unauthorized(message: impl Into<Value>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UnauthorizedError", message)
    }

    /// Any other status, without details. 403 is what an expired token gets.
    pub(super) fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self::token("jwt expired"),
            StatusCode::UNAUTHORIZED => Self::unauthorized("You are not allowed to access this resource"),
            StatusCode::TOO_MANY_REQUESTS => Self::new(status, "RateLimitExceeded", "Rate limit exceeded"),
            _ => Self::new(status, "InternalServerError", "Something went wrong"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, error, message } = self;
        let body = json!({"reqId": "req-fake", "statusCode": status.as_u16(), "message": message, "error": error});
        (status, Json(body)).into_response()
    }
}
