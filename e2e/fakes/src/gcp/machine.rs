//! The metadata servers of machines in Google's cloud and in AWS.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    refusal::Refusal,
    secrets::number,
    world::{SCOPE, Settings, World},
};

/// A machine or pod in Google's cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// Its attributes; those of GKE have `cluster-location` and `cluster-name`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// If it is in AWS as well, for tests.
    #[serde(default)]
    pub aws: Option<AwsMachine>,
    /// The service account that it runs as.
    pub email: String,
    /// Its project.
    pub project: String,
}

/// A machine in AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsMachine {
    /// Access key id of its role.
    pub access_key_id: String,
    /// Its role.
    pub role: String,
    /// Secret access key of its role.
    pub secret_access_key: String,
    /// Its availability zone, like `eu-west-1a`.
    pub zone: String,
}

/// What Google's metadata server says; nothing answers where there is no machine.
pub(super) fn answer(world: &mut World, settings: &Settings, path: &str, parts: &Parts) -> Response {
    let Some(machine) = &world.machine else { return Refusal::Page(StatusCode::NOT_FOUND).into_response() };
    let is_asked = parts.headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
    // What a proxy passes on comes from elsewhere.
    if !is_asked || parts.headers.contains_key("x-forwarded-for") {
        return Refusal::Page(StatusCode::FORBIDDEN).into_response();
    }
    // It has parameters, but they change answers in ways that this one does not know.
    if parts.uri.query().is_some() {
        return Refusal::Page(StatusCode::BAD_REQUEST).into_response();
    }
    let segments: Vec<_> = path.strip_prefix("/computeMetadata/v1/").unwrap_or_default().split('/').collect();
    let body = match segments[..] {
        ["project", "project-id"] => machine.project.clone().into_response(),
        ["project", "numeric-project-id"] => number(&machine.project).to_string().into_response(),
        ["instance", "attributes", name] if machine.attributes.contains_key(name) => {
            machine.attributes[name].clone().into_response()
        }
        ["instance", "service-accounts", "default", "email"] => machine.email.clone().into_response(),
        ["instance", "service-accounts", "default", "token"] => {
            let member = format!("serviceAccount:{}", machine.email);
            let token = world.issue(&member, vec![SCOPE.to_owned()], settings.token_ttl);
            let seconds = settings.token_ttl.as_secs();
            Json(json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})).into_response()
        }
        _ => Refusal::Page(StatusCode::NOT_FOUND).into_response(),
    };
    ([("Metadata-Flavor", "Google"), ("Server", "Metadata Server for VM")], body).into_response()
}

/// The session token that AWS's metadata server gives out.
const SESSION: &str = "AQAEAL-session";

/// What AWS's metadata server says (IMDSv2: a session first).
pub(super) fn aws_answer(world: &World, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials";
    let Some(machine) = world.machine.as_ref().and_then(|machine| machine.aws.as_ref()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if path == "/latest/api/token" {
        let ttl = header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|seconds| seconds.parse().ok());
        return match (method, ttl) {
            (&Method::PUT, Some(1..=21_600)) => SESSION.into_response(),
            (&Method::PUT, _) => StatusCode::BAD_REQUEST.into_response(),
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        };
    }
    if method != Method::GET || header("x-aws-ec2-metadata-token") != Some(SESSION) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match path.strip_prefix(CREDENTIALS) {
        Some("" | "/") => machine.role.clone().into_response(),
        Some(rest) if rest.strip_prefix('/') == Some(&machine.role) => Json(json!({
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": machine.access_key_id,
            "SecretAccessKey": machine.secret_access_key,
            "Token": "session",
            "Expiration": "2100-01-01T00:00:00Z",
        }))
        .into_response(),
        None if path == "/latest/meta-data/placement/availability-zone" => machine.zone.clone().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
