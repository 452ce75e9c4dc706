//! From a request to a service and back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header::HOST},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    Kind, entra, machine,
    refusal::Refusal,
    vault,
    world::{Settings, World},
};
use crate::{query::pairs, server::Dialect};

/// How operations are called and errors look.
pub(super) const DIALECT: Dialect = Dialect {
    operation: |_, path| Target::of(path).operation().to_owned(),
    failure: |status| Refusal::of(status).into_response(),
};

/// More than any request of these services needs.
const LONGEST_BODY: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) scheme: &'static str,
    pub(super) settings: Settings,
    pub(super) world: Mutex<World>,
}

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
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

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new().fallback(handle).with_state(cloud)
}

async fn handle(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    cloud.answer(request).await.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
}

impl Cloud {
    async fn answer(&self, request: Request) -> Result<Value, Refusal> {
        let (parts, body) = request.into_parts();
        let target = Target::of(parts.uri.path());
        let wanted = if matches!(target, Target::Entra { .. }) { Method::POST } else { Method::GET };
        if parts.method != wanted {
            return Err(Refusal::of(StatusCode::METHOD_NOT_ALLOWED));
        }
        let query = pairs(parts.uri.query().unwrap_or_default());
        let query: BTreeMap<_, _> = query.ok_or_else(|| Refusal::of(StatusCode::BAD_REQUEST))?.into_iter().collect();
        match target {
            Target::Entra { tenant } => {
                let body = to_bytes(body, LONGEST_BODY).await;
                let body = body.map_err(|_| Refusal::of(StatusCode::PAYLOAD_TOO_LARGE))?;
                let endpoint = format!("{}{}", self.base(&parts.headers), parts.uri.path());
                entra::request_token(self, tenant, &endpoint, &parts.headers, &body).await
            }
            Target::List(kind) => vault::list(self, &parts.headers, kind, &query),
            Target::Metadata => machine::request_token(self, &parts.headers, &query),
            Target::Object { kind, name, version } => vault::read(self, &parts.headers, kind, name, version, &query),
            Target::Unknown => Err(Refusal::of(StatusCode::NOT_FOUND)),
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
