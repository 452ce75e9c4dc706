//! What a test or a demo may do to a gateway in another process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access::Access, api::Gateway, items::Item};
use crate::{admin::found, lock::lock};

pub(super) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/items", get(list).put(put_item).delete(remove))
        .route("/items/rotate", post(rotate))
        .route("/access", put(grant).delete(revoke))
        .route("/tokens/expire", post(expire))
        .route("/cache/flush", post(flush))
        .with_state(gateway)
}

async fn list(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let world = lock(&gateway.world);
    let items = world.items.iter().map(
        |(name, held)| json!({"name": name, "type": held.kind, "tags": held.tags, "versions": held.last_version()}),
    );
    Json(items.collect())
}

async fn put_item(State(gateway): State<Arc<Gateway>>, Json(item): Json<Item>) {
    lock(&gateway.world).items.put(item);
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn remove(State(gateway): State<Arc<Gateway>>, Query(Named { name }): Query<Named>) -> StatusCode {
    found(lock(&gateway.world).items.remove(&name))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    name: String,
    value: Value,
}

async fn rotate(State(gateway): State<Arc<Gateway>>, Json(rotation): Json<Rotation>) -> StatusCode {
    found(lock(&gateway.world).items.rotate(&rotation.name, rotation.value))
}

async fn grant(State(gateway): State<Arc<Gateway>>, Json(access): Json<Access>) {
    lock(&gateway.world).grant(access);
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

async fn revoke(State(gateway): State<Arc<Gateway>>, Query(Identified { id }): Query<Identified>) -> StatusCode {
    found(lock(&gateway.world).access.remove(&id).is_some())
}

async fn expire(State(gateway): State<Arc<Gateway>>) {
    lock(&gateway.world).tokens.expire_all();
}

async fn flush(State(gateway): State<Arc<Gateway>>) {
    lock(&gateway.world).cache.clear();
}
