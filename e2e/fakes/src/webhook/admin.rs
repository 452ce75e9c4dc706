//! What a test or a demo may do to a server in another process.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Domain, Secret, ntlm::Guard, world::World};
use crate::lock::lock;

type Shared = State<Arc<Mutex<World>>>;

pub(super) fn router(world: Arc<Mutex<World>>) -> Router {
    Router::new()
        .route("/values", get(list).put(put_value).delete(remove))
        .route("/denied", put(deny))
        .route("/token", put(set_token))
        .route("/domain", put(set_domain))
        .with_state(world)
}

async fn list(State(world): Shared) -> Json<Value> {
    Json(lock(&world).keys().map(|(key, versions)| (key.to_owned(), Value::from(versions))).collect())
}

async fn put_value(State(world): Shared, Json(secret): Json<Secret>) {
    lock(&world).put(secret);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    key: String,
}

async fn remove(State(world): Shared, Query(Named { key }): Query<Named>) -> StatusCode {
    if lock(&world).remove(&key) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn deny(State(world): Shared, Json(Named { key }): Json<Named>) {
    lock(&world).deny(&key);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    token: String,
}

async fn set_token(State(world): Shared, Json(Shown { token }): Json<Shown>) {
    lock(&world).let_in_token(token);
}

async fn set_domain(State(world): Shared, Json(domain): Json<Domain>) {
    lock(&world).guard = Some(Guard::of(domain));
}
