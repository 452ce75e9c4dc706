//! What a test or a demo may do to a cloud in another process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{post, put},
};
use serde::Deserialize;

use super::{Application, Kind, ManagedIdentity, Object, api::Cloud};
use crate::{admin::found, lock::lock};

type World = State<Arc<Cloud>>;

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    let open = async |State(cloud): World| lock(&cloud.world).firewall = false;
    let close = async |State(cloud): World| lock(&cloud.world).firewall = true;
    Router::new()
        .route("/applications", put(register).delete(unregister))
        .route("/identities", put(assign))
        .route("/objects", put(put_object).delete(delete))
        .route("/denials", put(deny))
        .route("/firewall", put(close).delete(open))
        .route("/tokens/expire", post(async |State(cloud): World| lock(&cloud.world).tokens.expire_all()))
        .with_state(cloud)
}

async fn register(State(cloud): World, Json(application): Json<Application>) {
    lock(&cloud.world).register(application);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identified {
    client_id: String,
}

async fn unregister(State(cloud): World, Query(Identified { client_id }): Query<Identified>) -> StatusCode {
    found(lock(&cloud.world).unregister(&client_id))
}

async fn assign(State(cloud): World, Json(identity): Json<ManagedIdentity>) {
    lock(&cloud.world).identities.push(identity);
}

/// Answers with the version.
async fn put_object(State(cloud): World, Json(object): Json<Object>) -> String {
    lock(&cloud.world).objects.put(object)
}

#[derive(Deserialize)]
struct Named {
    kind: Kind,
    name: String,
}

async fn delete(State(cloud): World, Query(Named { kind, name }): Query<Named>) -> StatusCode {
    found(lock(&cloud.world).objects.delete(kind, &name))
}

async fn deny(State(cloud): World, Json(Named { kind, name }): Json<Named>) {
    lock(&cloud.world).deny(kind, &name);
}
