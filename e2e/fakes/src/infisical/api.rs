//! From a request to an answer.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Contents, admin,
    login::{self, Attempt, ENDPOINTS},
    read,
    refusal::Refusal,
    world::{Bearer, Caller, Settings, World},
};
use crate::{
    fake::Vendor,
    lock::lock,
    request::{bearer, is_of, whole},
    server::{Dialect, Listen},
};

/// What makes a server of a [`crate::fake::Fake`].
#[derive(Debug)]
pub struct Infisical {
    pub(super) settings: Mutex<Settings>,
    pub(super) world: Mutex<World>,
}

impl Vendor for Infisical {
    type Settings = Settings;
    type Contents = Contents;
    const DIALECT: Dialect = Dialect {
        operation: |method, path| Call::of(method, path).map_or("unknown", |call| call.operation()).to_owned(),
        failure: |_, status| Refusal::of(status).into_response(),
    };

    fn new(_: &Listen, settings: Settings, contents: Contents) -> Self {
        let mut world = World::default();
        for project in contents.projects {
            world.make_project(project);
        }
        for secret in contents.secrets {
            world.put(secret);
        }
        for import in contents.imports {
            world.import(import);
        }
        for identity in contents.identities {
            world.grant(identity);
        }
        Self { settings: Mutex::new(settings), world: Mutex::new(world) }
    }

    fn service(self: Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        admin::router(self)
    }
}

/// What a request is about.
enum Call {
    Get(String),
    List,
    Login(&'static str),
    Revoke,
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/")?;
        if let Some(endpoint) = rest.strip_prefix("v1/auth/").and_then(|rest| rest.strip_suffix("/login")) {
            let endpoint = ENDPOINTS.into_iter().find(|known| *known == endpoint)?;
            return (method == Method::POST).then_some(Self::Login(endpoint));
        }
        if rest == "v1/auth/token/revoke" {
            return (method == Method::POST).then_some(Self::Revoke);
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
            Self::Revoke => "revoke-token",
        }
    }
}

async fn handle(State(infisical): State<Arc<Infisical>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match Call::of(&parts.method, parts.uri.path()) {
        None => Err(Refusal::no_route(parts.method.as_str(), parts.uri.path())),
        Some(Call::Login(endpoint)) => match json_of(&parts, body).await {
            Ok(body) => infisical.log_in(endpoint, &body).await,
            Err(refusal) => Err(refusal),
        },
        Some(Call::Revoke) => json_of(&parts, body).await.and_then(|body| infisical.revoke(&body)),
        Some(call) => infisical.read(&call, &parts.uri, &parts.headers),
    };
    answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

/// The body, which must be JSON and all that is asked. The web framework's own refusals become 500 by the way.
async fn json_of(parts: &Parts, body: Body) -> Result<Bytes, Refusal> {
    if parts.uri.query().is_some() {
        return Err(Refusal::malformed("Unrecognized parameters"));
    }
    let body = if is_of(&parts.headers, "application/json") { whole(body).await } else { None };
    body.ok_or_else(|| Refusal::of(StatusCode::INTERNAL_SERVER_ERROR))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revocation {
    access_token: String,
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
        let bearer = Bearer { identity: identity.id, organization: attempt.organization };
        let token = world.tokens.issue("eyJ.", bearer, (!ttl.is_zero()).then_some(ttl));
        Ok(json!({
            "accessToken": token,
            "expiresIn": ttl.as_secs(),
            "accessTokenMaxTTL": ttl.as_secs(),
            "tokenType": "Bearer",
        }))
    }

    fn revoke(&self, body: &[u8]) -> Result<Value, Refusal> {
        let Revocation { access_token } = login::read(body)?;
        let expiry = lock(&self.settings).expiry;
        lock(&self.world).revoke_token(access_token.trim(), expiry)?;
        Ok(json!({"message": "Successfully revoked access token"}))
    }

    fn read(&self, call: &Call, uri: &Uri, headers: &HeaderMap) -> Result<Value, Refusal> {
        let caller = self.caller(headers)?;
        let absence = lock(&self.settings).absence;
        let world = lock(&self.world);
        match call {
            Call::Get(name) => read::get(&world, &caller, name, &query(uri)?),
            _ => read::list(&world, &caller, &query(uri)?, absence),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = bearer(headers).ok_or_else(|| Refusal::unauthorized("Token missing"))?;
        let expiry = lock(&self.settings).expiry;
        lock(&self.world).caller(token, expiry)
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = Query::try_from_uri(uri).map_err(|error| Refusal::malformed(&error.body_text()))?;
    Ok(query.0)
}
