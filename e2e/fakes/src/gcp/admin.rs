//! What a test or a demo may do to a cloud in another process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{post, put},
};
use serde::Deserialize;

use super::{Account, Cluster, Grant, Machine, Place, Pool, Secret, State, User, api::Cloud};
use crate::{admin::found, lock::lock};

type Fake = Shared<Arc<Cloud>>;

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new()
        .route("/secrets", put(put_secret).delete(remove_secret))
        .route("/secrets/state", put(set_state))
        .route("/accounts", put(make_account).delete(remove_account))
        .route("/accounts/keys", post(make_key))
        .route("/grants", put(grant))
        .route("/clusters", put(make_cluster))
        .route("/pools", put(make_pool))
        .route("/users", put(make_user))
        .route("/machine", put(run_on).delete(run_elsewhere))
        .route("/tokens/expire", post(expire))
        .with_state(cloud)
}

async fn put_secret(Shared(cloud): Fake, Json(secret): Json<Secret>) -> String {
    lock(&cloud.world).secrets.put(secret).to_string()
}

async fn remove_secret(Shared(cloud): Fake, Query(place): Query<Place>) -> StatusCode {
    found(lock(&cloud.world).secrets.remove(&place))
}

#[derive(Deserialize)]
struct Change {
    #[serde(flatten)]
    place: Place,
    state: State,
    version: u32,
}

async fn set_state(Shared(cloud): Fake, Json(Change { place, state, version }): Json<Change>) -> StatusCode {
    found(lock(&cloud.world).secrets.set_state(&place, version, state))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addressed {
    email: String,
}

async fn make_account(Shared(cloud): Fake, Json(account): Json<Account>) {
    lock(&cloud.world).people.make_account(account);
}

async fn remove_account(Shared(cloud): Fake, Query(Addressed { email }): Query<Addressed>) -> StatusCode {
    found(lock(&cloud.world).remove_account(&email))
}

async fn make_key(Shared(cloud): Fake, Json(Addressed { email }): Json<Addressed>) -> Response {
    let key = lock(&cloud.world).people.make_key(&email);
    key.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |key| Json(key).into_response())
}

async fn grant(Shared(cloud): Fake, Json(grant): Json<Grant>) {
    lock(&cloud.world).people.grant(grant);
}

async fn make_cluster(Shared(cloud): Fake, Json(cluster): Json<Cluster>) {
    lock(&cloud.world).people.make_cluster(cluster);
}

async fn make_pool(Shared(cloud): Fake, Json(pool): Json<Pool>) {
    lock(&cloud.world).people.make_pool(pool);
}

async fn make_user(Shared(cloud): Fake, Json(user): Json<User>) {
    lock(&cloud.world).people.make_user(user);
}

async fn run_on(Shared(cloud): Fake, Json(machine): Json<Machine>) {
    lock(&cloud.world).machine = Some(machine);
}

async fn run_elsewhere(Shared(cloud): Fake) {
    lock(&cloud.world).machine = None;
}

async fn expire(Shared(cloud): Fake) {
    lock(&cloud.world).tokens.expire_all();
}
