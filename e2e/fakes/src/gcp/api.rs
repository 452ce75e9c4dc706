//! From a request to a service and back.

use std::{
    future,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{
    Contents, admin, federation, login, machine,
    refusal::Refusal,
    secret_manager::{self, Question},
    world::{Settings, World},
};
use crate::{
    fake::Vendor,
    lock::lock,
    request::{bearer, pairs, whole},
    server::{Dialect, Listen},
};

/// What makes a cloud of a [`crate::fake::Fake`].
#[derive(Debug)]
pub struct Cloud {
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

    fn new(_: &Listen, settings: Settings, contents: Contents) -> Self {
        let Contents { accounts, clusters, grants, machine, pools, secrets, users } = contents;
        let mut world = World { machine, ..World::default() };
        let people = &mut world.people;
        for account in accounts {
            people.make_account(account);
        }
        for cluster in clusters {
            people.make_cluster(cluster);
        }
        for grant in grants {
            people.grant(grant);
        }
        for pool in pools {
            people.make_pool(pool);
        }
        for user in users {
            people.make_user(user);
        }
        for secret in secrets {
            world.secrets.put(secret);
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

async fn handle(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = whole(body).await else {
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
        Target::Metadata => machine::answer(&mut lock(&cloud.world), &cloud.settings, &path, &parts),
        Target::Unknown => Refusal::Page(StatusCode::NOT_FOUND).into_response(),
        target => {
            let answer = ask(&cloud, &target, &parts, &body).await;
            answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
        }
    }
}

async fn ask(cloud: &Cloud, target: &Target<'_>, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    let query = pairs(parts.uri.query().unwrap_or_default()).filter(|query| {
        // Only Secret Manager is asked by parameters.
        query.is_empty() || matches!(target, Target::Secret(_))
    });
    let query = query.ok_or_else(|| Refusal::of(target.operation(), StatusCode::BAD_REQUEST))?;
    match target {
        Target::AccessToken { account } => {
            login::generate_access_token(cloud, bearer(&parts.headers), account, &parts.headers, body)
        }
        Target::IdBindToken => federation::bind(cloud, &parts.headers, body).await,
        Target::OAuth2 => login::request_token(cloud, &parts.headers, body).await,
        Target::Secret(question) => {
            let hangs = lock(&cloud.world).black_holes.contains(question.project);
            if hangs {
                return future::pending().await;
            }
            let world = lock(&cloud.world);
            let member = world.member(bearer(&parts.headers))?;
            match parts.headers.get("x-goog-user-project").map(|project| project.to_str().unwrap_or_default()) {
                None if member.starts_with("user:") => {
                    let message =
                        "The secretmanager.googleapis.com API requires a quota project, which is not set by default.";
                    return Err(Refusal::forbidden("SERVICE_DISABLED", message));
                }
                Some(project) if !world.people.has_project(project) => {
                    let message = "Caller does not have required permission to use the quota project.";
                    return Err(Refusal::forbidden("USER_PROJECT_DENIED", message));
                }
                _ => {}
            }
            secret_manager::answer(&world, &cloud.settings, member, question, &query)
        }
        Target::Sts => federation::exchange(cloud, &parts.headers, body).await,
        Target::AwsMetadata | Target::Metadata | Target::Unknown => Err(Refusal::Page(StatusCode::NOT_FOUND)),
    }
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
