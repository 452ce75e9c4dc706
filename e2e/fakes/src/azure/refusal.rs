//! How Azure says no: the vault in one way, Entra ID and the metadata service in another.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Of Entra ID: the number that its documentation explains.
    Entra { status: StatusCode, code: u32, error: &'static str },
    /// Of the metadata service.
    Machine { status: StatusCode, error: &'static str, description: &'static str },
    /// Of the vault.
    Vault { status: StatusCode, code: &'static str, inner: Option<&'static str>, challenge: Option<String> },
}

impl Refusal {
    pub(super) fn vault(status: StatusCode, code: &'static str) -> Self {
        Self::Vault { status, code, inner: None, challenge: None }
    }

    pub(super) fn bad_parameter() -> Self {
        Self::vault(StatusCode::BAD_REQUEST, "BadParameter")
    }

    pub(super) fn forbidden(inner: &'static str) -> Self {
        let (status, code) = (StatusCode::FORBIDDEN, "Forbidden");
        Self::Vault { status, code, inner: Some(inner), challenge: None }
    }

    pub(super) fn unauthorized(tenant: &str, resource: &str) -> Self {
        let challenge =
            format!("Bearer authorization=\"https://login.microsoftonline.com/{tenant}\", resource=\"{resource}\"");
        let (status, code) = (StatusCode::UNAUTHORIZED, "Unauthorized");
        Self::Vault { status, code, inner: None, challenge: Some(challenge) }
    }

    /// A question that the metadata service does not take.
    pub(super) fn machine(description: &'static str) -> Self {
        Self::Machine { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
    }

    /// A client that did not prove who it is.
    pub(super) fn client(code: u32) -> Self {
        Self::Entra { status: StatusCode::UNAUTHORIZED, code, error: "invalid_client" }
    }

    pub(super) fn request(code: u32) -> Self {
        Self::entra(code, "invalid_request")
    }

    pub(super) fn entra(code: u32, error: &'static str) -> Self {
        Self::Entra { status: StatusCode::BAD_REQUEST, code, error }
    }

    /// Any status, without details, in the words of who does `operation`.
    pub(super) fn of(operation: &str, status: StatusCode) -> Self {
        match (operation, status.as_u16()) {
            ("RequestToken", 400..=428) => Self::Entra { status, code: 900_144, error: "invalid_request" },
            ("RequestToken", _) => Self::Entra { status, code: 90033, error: "temporarily_unavailable" },
            ("GetManagedIdentityToken", _) => {
                let description = status.canonical_reason().unwrap_or_default();
                Self::Machine { status, error: "unknown", description }
            }
            (_, 400) => Self::vault(status, "BadParameter"),
            (_, 401) => Self::vault(status, "Unauthorized"),
            (_, 403) => Self::vault(status, "Forbidden"),
            (_, 404) => Self::vault(status, "ResourceNotFound"),
            (_, 405) => Self::vault(status, "MethodNotAllowed"),
            (_, 429) => Self::vault(status, "Throttled"),
            (_, 503) => Self::vault(status, "ServiceUnavailable"),
            _ => Self::vault(status, "InternalServerError"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Entra { status, code, error } => {
                let body = json!({
                    "error": error,
                    "error_description": format!("AADSTS{code}: The login was refused."),
                    "error_codes": [code],
                    "timestamp": jiff::Timestamp::now().to_string(),
                    "trace_id": "00000000-0000-0000-0000-000000000001",
                    "correlation_id": "00000000-0000-0000-0000-000000000002",
                    "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
                });
                (status, Json(body)).into_response()
            }
            Self::Machine { status, error, description } => {
                (status, Json(json!({"error": error, "error_description": description}))).into_response()
            }
            Self::Vault { status, code, inner, challenge } => {
                let mut error = json!({"code": code, "message": "The request was refused."});
                if let Some(inner) = inner {
                    error["innererror"] = json!({ "code": inner });
                }
                let mut response = (status, Json(json!({ "error": error }))).into_response();
                let headers = response.headers_mut();
                headers.insert("x-ms-request-id", HeaderValue::from_static("00000000-0000-0000-0000-000000000003"));
                if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
                    headers.insert(WWW_AUTHENTICATE, challenge);
                }
                response
            }
        }
    }
}
