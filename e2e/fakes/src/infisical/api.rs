//! From a request to an answer.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Query, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    login::{Attempt, ENDPOINTS},
    read,
    refusal::Refusal,
    world::{Caller, Settings, World},
};
use crate::{lock::lock, server::Dialect};

/// How the server's operations are called and its errors look.
pub(super) const DIALECT: Dialect = Dialect {
    operation: |method, path| Call::of(method, path).map_or("unknown", |call| call.operation()).to_owned(),
    failure: |status| Refusal::of(status).into_response(),
};

/// More than any of these requests needs.
const LONGEST_BODY: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Infisical {
    pub(super) settings: Mutex<Settings>,
    pub(super) world: Mutex<World>,
}

/// What a request is about.
enum Call {
    Get(String),
    List,
    Login(&'static str),
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/")?;
        if let Some(endpoint) = rest.strip_prefix("v1/auth/").and_then(|rest| rest.strip_suffix("/login")) {
            let endpoint = ENDPOINTS.into_iter().find(|known| *known == endpoint)?;
            return (method == Method::POST).then_some(Self::Login(endpoint));
        }
        let name = rest.strip_prefix("v3/secrets/raw").filter(|_| method == Method::GET)?;
        match name.strip_prefix('/') {
            None => name.is_empty().then_some(Self::List),
            Some(name) if name.is_empty() || name.contains('/') => None,
            Some(name) => Some(Self::Get(percent_decode_str(name).decode_utf8_lossy().into_owned())),
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Get(_) => "get-secret",
            Self::List => "list-secrets",
            Self::Login(_) => "login",
        }
    }
}

pub(super) fn router(infisical: Arc<Infisical>) -> Router {
    Router::new().fallback(handle).with_state(infisical)
}

async fn handle(State(infisical): State<Arc<Infisical>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match Call::of(&parts.method, parts.uri.path()) {
        None => Err(Refusal::no_route(parts.method.as_str(), parts.uri.path())),
        Some(Call::Login(endpoint)) => match to_bytes(body, LONGEST_BODY).await {
            Ok(body) => infisical.log_in(endpoint, &body).await,
            Err(_) => Err(Refusal::of(StatusCode::PAYLOAD_TOO_LARGE)),
        },
        Some(call) => infisical.read(&call, &parts.uri, &parts.headers),
    };
    answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

impl Infisical {
    async fn log_in(&self, endpoint: &'static str, body: &[u8]) -> Result<Value, Refusal> {
        let attempt = Attempt::parse(endpoint, body)?;
        let identity = lock(&self.world).identities.values().find(|identity| attempt.means(identity)).cloned();
        let identity = identity.ok_or_else(|| attempt.nobody())?;
        attempt.verify(&identity).await?;
        let ttl = lock(&self.settings).token_ttl;
        let mut world = lock(&self.world);
        if let Some(slug) = attempt.organization.as_ref().filter(|slug| !world.organizations.contains(*slug)) {
            return Err(Refusal::not_found(format!("Sub organization with slug {slug} not found")));
        }
        let token = world.tokens.issue(&identity.id, attempt.organization, ttl);
        Ok(json!({
            "accessToken": token,
            "expiresIn": ttl.as_secs(),
            "accessTokenMaxTTL": ttl.as_secs(),
            "tokenType": "Bearer",
        }))
    }

    fn read(&self, call: &Call, uri: &Uri, headers: &HeaderMap) -> Result<Value, Refusal> {
        let caller = self.caller(headers)?;
        let world = lock(&self.world);
        match call {
            Call::Get(name) => read::get(&world, &caller, name, &query(uri)?),
            _ => read::list(&world, &caller, &query(uri)?),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Refusal::unauthorized("Token missing"))?;
        let expiry = lock(&self.settings).expiry;
        lock(&self.world).caller(token, expiry)
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = Query::try_from_uri(uri).map_err(|error| Refusal::malformed(&error.body_text()))?;
    Ok(query.0)
}
