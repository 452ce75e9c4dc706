//! From a request to a command and back.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Contents, admin,
    body::{self, Body, Field},
    commands,
    refusal::Refusal,
    world::{Settings, World},
};
use crate::{
    fake::Vendor,
    lock::lock,
    request::{is_of, whole},
    server::{Dialect, Listen},
};

const COMMANDS: [(&str, &[Field]); 8] = [
    ("auth", body::AUTH),
    ("describe-item", body::DESCRIBE_ITEM),
    ("get-certificate-value", body::GET_CERTIFICATE_VALUE),
    ("get-dynamic-secret-value", body::GET_DYNAMIC_SECRET_VALUE),
    ("get-rotated-secret-value", body::GET_ROTATED_SECRET_VALUE),
    ("get-secret-value", body::GET_SECRET_VALUE),
    ("list-items", body::LIST_ITEMS),
    ("validate-token", body::VALIDATE_TOKEN),
];

/// What makes a gateway of a [`crate::fake::Fake`].
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    pub(super) world: Mutex<World>,
}

impl Vendor for Gateway {
    type Settings = Settings;
    type Contents = Contents;
    const DIALECT: Dialect = Dialect {
        operation: |_, path| {
            let last = path.rsplit('/').next().unwrap_or_default();
            let known = COMMANDS.iter().find(|(name, _)| *name == last);
            known.map_or("unknown", |(name, _)| name).to_owned()
        },
        failure: |_, status| Refusal::of(status).into_response(),
    };

    fn new(_: &Listen, settings: Settings, contents: Contents) -> Self {
        let mut world = World::default();
        for access in contents.access {
            world.grant(access);
        }
        for item in contents.items {
            world.items.put(item);
        }
        Self { settings, world: Mutex::new(world) }
    }

    fn service(self: Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        admin::router(self)
    }
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(name) = command(parts.uri.path(), &gateway.settings.bases) else {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    };
    let Some((command, fields)) = COMMANDS.iter().find(|(command, _)| *command == name) else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": format!("unknown command '{name}'")}))).into_response();
    };
    if parts.method != Method::POST {
        return Refusal::of(StatusCode::METHOD_NOT_ALLOWED).into_response();
    }
    let Some(bytes) = whole(body).await else {
        return Refusal::of(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    };
    let parsed = is_plain(&parts).and_then(|()| Body::parse(&bytes, fields));
    let answer = match parsed {
        Ok(body) => run(&gateway, command, &body).await,
        Err(refusal) => Err(refusal),
    };
    answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

/// The command that `path` names below one of `bases`; empty for a base itself.
fn command<'a>(path: &'a str, bases: &[String]) -> Option<&'a str> {
    let below = bases.iter().filter_map(|base| {
        let rest = path.strip_prefix(base.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest.trim_matches('/'))
    });
    // The longest base leaves the shortest rest: `/v2` is a base below which nothing is asked, not a command.
    below.min_by_key(|rest| rest.len()).filter(|rest| !rest.contains('/'))
}

/// Whether all that is asked is in a body of JSON.
fn is_plain(parts: &Parts) -> Result<(), Refusal> {
    if parts.uri.query().is_some() {
        return Err(Refusal::bad_request("commands have no parameters in their path"));
    }
    let wrong = || Refusal::bad_request("the content type must be application/json");
    is_of(&parts.headers, "application/json").then_some(()).ok_or_else(wrong)
}

async fn run(gateway: &Gateway, command: &str, body: &Body) -> Result<Value, Refusal> {
    let settings = &gateway.settings;
    if command == "auth" {
        return auth(gateway, body).await;
    }
    let world = &mut *lock(&gateway.world);
    match command {
        "describe-item" => commands::describe_item(world, body),
        "get-certificate-value" => commands::get_certificate_value(world, settings, body),
        "get-dynamic-secret-value" => commands::get_dynamic_secret_value(world, body),
        "get-rotated-secret-value" => commands::get_rotated_secret_value(world, settings, body),
        "get-secret-value" => commands::get_secret_value(world, settings, body),
        "validate-token" => commands::validate_token(world, body),
        _ => commands::list_items(world, settings, body),
    }
}

async fn auth(gateway: &Gateway, body: &Body) -> Result<Value, Refusal> {
    let id = body.required("access-id")?;
    let access = lock(&gateway.world).access.get(id).cloned();
    let access = access.ok_or_else(|| Refusal::unauthorized("authentication failed: unknown access id"))?;
    access.verify(body).await?;
    let Settings { tells_expiration, token_prefix, token_ttl, .. } = &gateway.settings;
    let token = lock(&gateway.world).tokens.issue(token_prefix, id.to_owned(), Some(*token_ttl));
    let mut answer = json!({"token": token});
    if *tells_expiration {
        answer["expiration"] = json!(Timestamp::now().saturating_add(*token_ttl).map(|end| end.to_string()).ok());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn commands_are_found_below_every_base() {
        let bases = ["", "/v2", "/api/v2"].map(str::to_owned);
        for (path, name) in [
            ("/auth", Some("auth")),
            ("/v2/auth", Some("auth")),
            ("/api/v2/auth", Some("auth")),
            ("/", Some("")),
            ("/v2", Some("")),
            ("/v2/", Some("")),
            ("/v2auth", Some("v2auth")),
            ("/api/auth", None),
            ("/x/y/auth", None),
        ] {
            assert_eq!(command(path, &bases), name, "{path}");
        }
        assert_eq!(command("/auth", &["/v2".to_owned()]), None);
    }
}
