//! What a test or a demo may do to a server in another process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{post, put},
};
use serde::Deserialize;

use super::{Identity, Import, Place, Project, Secret, api::Infisical};
use crate::{admin::found, lock::lock};

type World = State<Arc<Infisical>>;

pub(super) fn router(infisical: Arc<Infisical>) -> Router {
    Router::new()
        .route("/projects", put(make_project))
        .route("/secrets", put(put_secret).delete(remove_secret))
        .route("/folders", put(make_folder))
        .route("/imports", put(import))
        .route("/identities", put(grant).delete(revoke))
        .route("/tokens/expire", post(expire))
        .with_state(infisical)
}

async fn make_project(State(infisical): World, Json(project): Json<Project>) {
    lock(&infisical.world).make_project(project);
}

async fn put_secret(State(infisical): World, Json(secret): Json<Secret>) -> StatusCode {
    found(lock(&infisical.world).put(secret).is_some())
}

#[derive(Deserialize)]
struct Named {
    #[serde(flatten)]
    place: Place,
    name: String,
}

async fn remove_secret(State(infisical): World, Query(Named { place, name }): Query<Named>) -> StatusCode {
    found(lock(&infisical.world).remove(&place, &name))
}

async fn make_folder(State(infisical): World, Json(place): Json<Place>) -> StatusCode {
    found(lock(&infisical.world).make_folder(&place).is_some())
}

async fn import(State(infisical): World, Json(wanted): Json<Import>) -> StatusCode {
    found(lock(&infisical.world).import(wanted))
}

async fn grant(State(infisical): World, Json(identity): Json<Identity>) {
    lock(&infisical.world).grant(identity);
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

async fn revoke(State(infisical): World, Query(Identified { id }): Query<Identified>) -> StatusCode {
    found(lock(&infisical.world).identities.remove(&id).is_some())
}

async fn expire(State(infisical): World) {
    lock(&infisical.world).tokens.expire_all();
}
