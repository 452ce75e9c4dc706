//! From a request to a service and back.

use std::{
    future,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{
    login, machine,
    refusal::Refusal,
    secret_manager::{self, Question},
    world::{Settings, World},
};
use crate::{lock::lock, query::pairs, server::Dialect};

/// How operations are called and errors look.
pub(super) const DIALECT: Dialect = Dialect {
    operation: |_, path| Target::of(path).operation().to_owned(),
    failure: |status| Refusal::of(status).into_response(),
};

/// More than any request of these services needs.
const LONGEST_BODY: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) settings: Settings,
    pub(super) world: Mutex<World>,
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    AccessToken { account: &'a str },
    AwsMetadata,
    IdBindToken,
    Metadata,
    OAuth2,
    Secret(Question<'a>),
    Sts,
    Unknown,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["token"] => Self::OAuth2,
            ["v1", "token"] => Self::Sts,
            ["v1", "identitybindingtoken"] => Self::IdBindToken,
            ["v1", "projects", "-", "serviceAccounts", call] => match call.strip_suffix(":generateAccessToken") {
                Some(account) => Self::AccessToken { account },
                None => Self::Unknown,
            },
            ["computeMetadata", ..] => Self::Metadata,
            ["latest", ..] => Self::AwsMetadata,
            ["v1", "projects", project, "locations", location, ref rest @ ..] => {
                Question::of(project, Some(location), rest).map_or(Self::Unknown, Self::Secret)
            }
            ["v1", "projects", project, ref rest @ ..] => {
                Question::of(project, None, rest).map_or(Self::Unknown, Self::Secret)
            }
            _ => Self::Unknown,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::AccessToken { .. } => "GenerateAccessToken",
            Self::AwsMetadata => "GetAwsMetadata",
            Self::IdBindToken => "GenerateIDBindToken",
            Self::Metadata => "GetMetadata",
            Self::OAuth2 => "RequestToken",
            Self::Secret(question) => question.operation(),
            Self::Sts => "ExchangeToken",
            Self::Unknown => "unknown",
        }
    }

    fn method(&self) -> Option<Method> {
        match self {
            Self::AccessToken { .. } | Self::IdBindToken | Self::OAuth2 | Self::Sts => Some(Method::POST),
            Self::Metadata | Self::Secret(_) => Some(Method::GET),
            // It has its own rules.
            Self::AwsMetadata | Self::Unknown => None,
        }
    }
}

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new().fallback(handle).with_state(cloud)
}

async fn handle(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        return Refusal::Page(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    };
    let Ok(path) = percent_decode_str(parts.uri.path()).decode_utf8() else {
        return Refusal::Page(StatusCode::BAD_REQUEST).into_response();
    };
    let target = Target::of(&path);
    if target.method().is_some_and(|method| method != parts.method) {
        return Refusal::Page(StatusCode::METHOD_NOT_ALLOWED).into_response();
    }
    match target {
        Target::AwsMetadata => machine::aws_answer(&lock(&cloud.world), &parts.method, &path, &parts.headers),
        Target::Metadata => machine::answer(&mut lock(&cloud.world), &cloud.settings, &path, &parts.headers),
        Target::Unknown => Refusal::Page(StatusCode::NOT_FOUND).into_response(),
        target => {
            let answer = ask(&cloud, &target, &parts, &body).await;
            answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
        }
    }
}

async fn ask(cloud: &Cloud, target: &Target<'_>, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    match target {
        Target::AccessToken { account } => {
            login::generate_access_token(cloud, authorization(&parts.headers), account, &parts.headers, body)
        }
        Target::IdBindToken => login::bind(cloud, &parts.headers, body).await,
        Target::OAuth2 => login::request_token(cloud, &parts.headers, body).await,
        Target::Secret(question) => {
            let hangs = lock(&cloud.world).black_holes.contains(question.project);
            if hangs {
                return future::pending().await;
            }
            let world = lock(&cloud.world);
            let member = world.tokens.member(authorization(&parts.headers))?;
            let quota_project = parts.headers.get("x-goog-user-project").is_some();
            if member.starts_with("user:") && !quota_project {
                let message =
                    "The secretmanager.googleapis.com API requires a quota project, which is not set by default.";
                return Err(Refusal::forbidden("SERVICE_DISABLED", message));
            }
            secret_manager::answer(&world, &cloud.settings, member, question, &query(&parts.uri)?)
        }
        Target::Sts => login::exchange(cloud, &parts.headers, body).await,
        Target::AwsMetadata | Target::Metadata | Target::Unknown => Err(Refusal::Page(StatusCode::NOT_FOUND)),
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization")?.to_str().ok()
}

/// The parameters of a request, each at most once.
fn query(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    pairs(uri.query().unwrap_or_default()).ok_or_else(|| Refusal::invalid("Invalid query."))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn every_path_has_its_operation() {
        for (path, operation) in [
            ("/token", "RequestToken"),
            ("/v1/token", "ExchangeToken"),
            ("/v1/identitybindingtoken", "GenerateIDBindToken"),
            ("/v1/projects/-/serviceAccounts/a@b:generateAccessToken", "GenerateAccessToken"),
            ("/v1/projects/-/serviceAccounts/a@b:signJwt", "unknown"),
            ("/computeMetadata/v1/project/project-id", "GetMetadata"),
            ("/latest/api/token", "GetAwsMetadata"),
            ("/v1/projects/p/secrets", "ListSecrets"),
            ("/v1/projects/p/secrets/a", "GetSecret"),
            ("/v1/projects/p/secrets/a/versions", "ListSecretVersions"),
            ("/v1/projects/p/secrets/a/versions/latest:access", "AccessSecretVersion"),
            ("/v1/projects/p/locations/l/secrets/a/versions/1:access", "AccessSecretVersion"),
            ("/v1/projects/p/locations/l/secrets", "ListSecrets"),
            ("/v1beta1/projects/p/secrets", "unknown"),
            ("/v1/projects/p/secrets/a/versions/latest", "unknown"),
            ("/", "unknown"),
        ] {
            assert_eq!(Target::of(path).operation(), operation, "{path}");
        }
    }
}
