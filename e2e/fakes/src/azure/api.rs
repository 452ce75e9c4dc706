//! From a request to a service and back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header::HOST},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    Contents, Kind, admin, entra, machine,
    refusal::Refusal,
    vault,
    world::{Settings, World},
};
use crate::{
    fake::Vendor,
    request::{pairs, whole},
    server::{Dialect, Listen},
};

/// What makes a cloud of a [`crate::fake::Fake`].
#[derive(Debug)]
pub struct Cloud {
    scheme: &'static str,
    pub(super) settings: Settings,
    pub(super) world: Mutex<World>,
}

impl Vendor for Cloud {
    type Settings = Settings;
    type Contents = Contents;
    const DIALECT: Dialect = Dialect {
        operation: |_, path| Target::of(path).operation().to_owned(),
        failure: |operation, status| Refusal::of(operation, status).into_response(),
    };

    fn new(listen: &Listen, settings: Settings, contents: Contents) -> Self {
        let mut world = World::default();
        world.identities = contents.identities;
        for application in contents.applications {
            world.register(application);
        }
        for object in contents.objects {
            world.objects.put(object);
        }
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        Self { scheme, settings, world: Mutex::new(world) }
    }

    fn service(self: Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        admin::router(self)
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'a> {
    Entra { tenant: &'a str },
    List(Kind),
    Metadata,
    Object { kind: Kind, name: &'a str, version: &'a str },
    Unknown,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let kind = |segment: &str| Kind::ALL.into_iter().find(|kind| kind.collection() == segment);
        match segments[..] {
            ["metadata", "identity", "oauth2", "token"] => Self::Metadata,
            [tenant, "oauth2", "v2.0", "token"] => Self::Entra { tenant },
            [collection] | [collection, ""] => kind(collection).map_or(Self::Unknown, Self::List),
            [collection, name] => {
                kind(collection).map_or(Self::Unknown, |kind| Self::Object { kind, name, version: "" })
            }
            [collection, name, version] => {
                kind(collection).map_or(Self::Unknown, |kind| Self::Object { kind, name, version })
            }
            _ => Self::Unknown,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Entra { .. } => "RequestToken",
            Self::List(Kind::Certificate) => "GetCertificates",
            Self::List(Kind::Key) => "GetKeys",
            Self::List(Kind::Secret) => "GetSecrets",
            Self::Metadata => "GetManagedIdentityToken",
            Self::Object { kind: Kind::Certificate, .. } => "GetCertificate",
            Self::Object { kind: Kind::Key, .. } => "GetKey",
            Self::Object { kind: Kind::Secret, .. } => "GetSecret",
            Self::Unknown => "unknown",
        }
    }
}

async fn handle(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    cloud.answer(request).await.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

impl Cloud {
    async fn answer(&self, request: Request) -> Result<Value, Refusal> {
        let (parts, body) = request.into_parts();
        let target = Target::of(parts.uri.path());
        let refused = |status| Refusal::of(target.operation(), status);
        let query = pairs(parts.uri.query().unwrap_or_default());
        let query: BTreeMap<_, _> = query.ok_or_else(|| refused(StatusCode::BAD_REQUEST))?.into_iter().collect();
        match (target, &parts.method) {
            (Target::Entra { .. }, method) if method != Method::POST => Err(Refusal::request(900_561)),
            (Target::Entra { .. }, _) if !query.is_empty() => Err(refused(StatusCode::BAD_REQUEST)),
            (Target::Entra { tenant }, _) => {
                let body = whole(body).await.ok_or_else(|| refused(StatusCode::PAYLOAD_TOO_LARGE))?;
                let endpoint = format!("{}{}", self.base(&parts.headers), parts.uri.path());
                entra::request_token(self, tenant, &endpoint, &parts.headers, &body).await
            }
            (Target::Unknown, _) => Err(refused(StatusCode::NOT_FOUND)),
            (_, method) if method != Method::GET => Err(refused(StatusCode::METHOD_NOT_ALLOWED)),
            (Target::List(kind), _) => vault::list(self, &parts.headers, kind, &query),
            (Target::Metadata, _) => machine::request_token(self, &parts.headers, &query),
            (Target::Object { kind, name, version }, _) => {
                vault::read(self, &parts.headers, kind, name, version, &query)
            }
        }
    }

    /// How the client calls this server.
    pub(super) fn base(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        format!("{}://{host}", self.scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn every_path_has_its_operation() {
        for (path, operation) in [
            ("/t/oauth2/v2.0/token", "RequestToken"),
            ("/t/oauth2/token", "unknown"),
            ("/metadata/identity/oauth2/token", "GetManagedIdentityToken"),
            ("/secrets", "GetSecrets"),
            ("/secrets/", "GetSecrets"),
            ("/keys", "GetKeys"),
            ("/certificates", "GetCertificates"),
            ("/secrets/a", "GetSecret"),
            ("/secrets/a/", "GetSecret"),
            ("/keys/a/1", "GetKey"),
            ("/certificates/a/1", "GetCertificate"),
            ("/secrets/a/1/2", "unknown"),
            ("/", "unknown"),
        ] {
            assert_eq!(Target::of(path).operation(), operation, "{path}");
        }
    }
}
