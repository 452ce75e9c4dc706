//! What callers see.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{
        Extension, Path, Query, Request, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ntlm::Refusal,
    world::{No, World},
};
use crate::{http1::ConnectionId, lock::lock, server::Dialect};

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
    failure: |_, status| refuse(status, status.canonical_reason().unwrap_or_default()),
};

type Shared = State<Arc<Mutex<World>>>;

pub(super) fn router(world: Arc<Mutex<World>>) -> Router {
    Router::new()
        .route("/v1/secrets", post(ask))
        .route("/v1/secrets/{key}", get(read))
        .route("/v1/raw/{key}", get(raw))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&world), only_who_is_let_in))
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

/// What has no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn read(State(world): Shared, Path(key): Path<String>, part: Result<Query<Part>, QueryRejection>) -> Response {
    match part {
        Ok(Query(Part { version, property })) => answer(&lock(&world), &key, &version, &property),
        Err(rejection) => refuse(rejection.status(), "no such parameter"),
    }
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

async fn ask(
    State(world): Shared,
    parameters: Result<Query<Nothing>, QueryRejection>,
    question: Result<Json<Question>, JsonRejection>,
) -> Response {
    match (parameters, question) {
        (Err(rejection), _) => refuse(rejection.status(), "no such parameter"),
        (_, Ok(Json(Question { key, version, property, .. }))) => answer(&lock(&world), &key, &version, &property),
        (_, Err(rejection)) => refuse(rejection.status(), "the body is not a question"),
    }
}

async fn raw(
    State(world): Shared,
    Path(key): Path<String>,
    parameters: Result<Query<Nothing>, QueryRejection>,
) -> Response {
    if let Err(rejection) = parameters {
        return refuse(rejection.status(), "no such parameter");
    }
    match lock(&world).read(&key, "", "") {
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

async fn only_who_is_let_in(
    State(world): Shared,
    Extension(connection): Extension<ConnectionId>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let refusal = match &mut *lock(&world) {
        World { guard: Some(guard), .. } => guard.admit(connection, shown).map_err(|refusal| as_iis_has_it(&refusal)),
        World { token, .. } if shown.is_some_and(|shown| is_token(shown, token)) => Ok(()),
        World { .. } => Err(refuse(StatusCode::UNAUTHORIZED, "show a token")),
    };
    match refusal {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

fn is_token(shown: &str, expected: &str) -> bool {
    let token = match shown.split_once(' ') {
        Some(("Bearer", token)) => Some(token.as_bytes().to_vec()),
        Some(("Basic", pair)) => STANDARD.decode(pair).ok().and_then(|pair| {
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(pair[colon + 1..].to_vec())
        }),
        _ => None,
    };
    token.is_some_and(|token| token == expected.as_bytes())
}

/// What is in front of the server sends its own page, and a header for each scheme.
fn as_iis_has_it(refusal: &Refusal) -> Response {
    let page = "<!DOCTYPE html><title>401 - Unauthorized: Access is denied due to invalid credentials.</title>";
    let mut response = (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    for scheme in refusal.iter().filter_map(|scheme| HeaderValue::from_str(scheme).ok()) {
        response.headers_mut().append(WWW_AUTHENTICATE, scheme);
    }
    response
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
