//! How Google says no: its APIs in one way, the token endpoints of OAuth in another, everything else with a web page.

use axum::{
    Json,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug)]
pub(super) enum Refusal {
    Api { status: StatusCode, word: &'static str, message: String, details: Vec<Value> },
    OAuth { status: StatusCode, error: &'static str, description: String },
    Page(StatusCode),
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::api(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
    }

    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::api(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::api(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn unauthenticated(reason: &str) -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                       other valid authentication credential.";
        Self::api(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).because(reason)
    }

    pub(super) fn denied(permission: &str, resource: &str) -> Self {
        let message = format!("Permission '{permission}' denied for resource '{resource}' (or it may not exist).");
        Self::api(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message).because("IAM_PERMISSION_DENIED")
    }

    pub(super) fn forbidden(reason: &str, message: impl Into<String>) -> Self {
        Self::api(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message).because(reason)
    }

    /// `invalid_grant`, `invalid_target`, …
    pub(super) fn oauth(error: &'static str, description: impl Into<String>) -> Self {
        let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        Self::OAuth { status, error, description: description.into() }
    }

    /// Any status, without details, in the words of who does `operation`.
    pub(super) fn of(operation: &str, status: StatusCode) -> Self {
        let description = status.canonical_reason().unwrap_or_default();
        let (word, error) = match status.as_u16() {
            400 => ("INVALID_ARGUMENT", "invalid_request"),
            401 => ("UNAUTHENTICATED", "invalid_client"),
            403 => ("PERMISSION_DENIED", "access_denied"),
            404 => ("NOT_FOUND", "not_found"),
            429 => ("RESOURCE_EXHAUSTED", "rate_limit_exceeded"),
            500 => ("INTERNAL", "internal_failure"),
            503 => ("UNAVAILABLE", "temporarily_unavailable"),
            504 => ("DEADLINE_EXCEEDED", "temporarily_unavailable"),
            _ => ("UNKNOWN", "internal_failure"),
        };
        match operation {
            "RequestToken" | "ExchangeToken" => Self::OAuth { status, error, description: description.to_owned() },
            "GetMetadata" | "GetAwsMetadata" | "unknown" => Self::Page(status),
            _ => Self::api(status, word, description),
        }
    }

    fn api(status: StatusCode, word: &'static str, message: impl Into<String>) -> Self {
        Self::Api { status, word, message: message.into(), details: Vec::new() }
    }

    fn because(mut self, reason: &str) -> Self {
        if let Self::Api { details, .. } = &mut self {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "googleapis.com",
            }));
        }
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Api { status, word, message, details } => {
                let mut error = json!({"code": status.as_u16(), "message": message, "status": word});
                if !details.is_empty() {
                    error["details"] = json!(details);
                }
                (status, Json(json!({ "error": error }))).into_response()
            }
            Self::OAuth { status, error, description } => {
                (status, Json(json!({"error": error, "error_description": description}))).into_response()
            }
            Self::Page(status) => {
                let title = status.canonical_reason().unwrap_or_default();
                let page =
                    format!("<!DOCTYPE html>\n<html lang=en><title>Error {} ({title})!!1</title>", status.as_u16());
                (status, Html(page)).into_response()
            }
        }
    }
}
