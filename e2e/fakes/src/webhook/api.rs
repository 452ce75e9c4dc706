//! What callers see.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::world::{No, World};
use crate::{lock::lock, server::Dialect};

/// How the server's operations are called and its errors look.
pub(super) const DIALECT: Dialect = Dialect {
    operation: |method, path| {
        let operation = match (method, path) {
            (&Method::POST, "/v1/secrets") => "ask",
            (&Method::GET, path) if path.starts_with("/v1/secrets/") => "read",
            (&Method::GET, path) if path.starts_with("/v1/raw/") => "raw",
            _ => "unknown",
        };
        operation.to_owned()
    },
    failure: |status| refuse(status, status.canonical_reason().unwrap_or_default()),
};

type Shared = State<Arc<Mutex<World>>>;

pub(super) fn router(world: Arc<Mutex<World>>) -> Router {
    Router::new()
        .route("/v1/secrets", post(ask))
        .route("/v1/secrets/{key}", get(read))
        .route("/v1/raw/{key}", get(raw))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async { refuse(StatusCode::METHOD_NOT_ALLOWED, "no such method here") })
        .with_state(world)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    version: String,
    #[serde(default)]
    property: String,
}

async fn read(
    State(world): Shared,
    headers: HeaderMap,
    Path(key): Path<String>,
    Query(Part { version, property }): Query<Part>,
) -> Response {
    let world = lock(&world);
    if !is_let_in(&world, &headers) {
        return stranger();
    }
    answer(&world, &key, &version, &property)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    key: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    property: String,
    #[serde(default, rename = "namespace")]
    _namespace: String,
}

async fn ask(State(world): Shared, headers: HeaderMap, question: Result<Json<Question>, JsonRejection>) -> Response {
    let world = lock(&world);
    if !is_let_in(&world, &headers) {
        return stranger();
    }
    match question {
        Ok(Json(Question { key, version, property, .. })) => answer(&world, &key, &version, &property),
        Err(rejection) => refuse(rejection.status(), "the body is not a question"),
    }
}

async fn raw(State(world): Shared, headers: HeaderMap, Path(key): Path<String>) -> Response {
    let world = lock(&world);
    if !is_let_in(&world, &headers) {
        return stranger();
    }
    match world.read(&key, "", "") {
        Ok((_, Value::String(text))) => text.clone().into_response(),
        Ok((_, value)) => value.to_string().into_response(),
        Err(no) => refuse_because(no),
    }
}

fn answer(world: &World, key: &str, version: &str, property: &str) -> Response {
    match world.read(key, version, property) {
        Ok((version, value)) => Json(json!({"key": key, "version": version, "value": value})).into_response(),
        Err(no) => refuse_because(no),
    }
}

fn is_let_in(world: &World, headers: &HeaderMap) -> bool {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = match shown.split_once(' ') {
        Some(("Bearer", token)) => Some(token.as_bytes().to_vec()),
        Some(("Basic", pair)) => STANDARD.decode(pair).ok().and_then(|pair| {
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(pair[colon + 1..].to_vec())
        }),
        _ => None,
    };
    token.is_some_and(|token| token == world.token.as_bytes())
}

fn stranger() -> Response {
    refuse(StatusCode::UNAUTHORIZED, "show a token")
}

fn refuse_because(no: No) -> Response {
    match no {
        No::Denied => refuse(StatusCode::FORBIDDEN, "not for you"),
        No::Key => refuse(StatusCode::NOT_FOUND, "no such key"),
        No::Property => refuse(StatusCode::NOT_FOUND, "no such property"),
        No::Version => refuse(StatusCode::NOT_FOUND, "no such version"),
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}
