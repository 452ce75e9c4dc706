//! The calls to Secret Manager.

use std::{fmt, sync::Arc};

use google_cloud_auth::credentials::{CacheableResource, CredentialsProvider, EntityTag};
use google_cloud_gax::{
    error::{CredentialsError, Error as GaxError},
    options::RequestOptionsBuilder,
    retry_policy::NeverRetry,
};
use google_cloud_secretmanager_v1::{
    client::SecretManagerService,
    model::{AccessSecretVersionResponse, ListSecretsResponse, Secret},
};
use http::{
    Extensions, HeaderMap, HeaderValue,
    header::{AUTHORIZATION, HeaderName},
};
use keyferry_clouds::google::AccessToken;
use keyferry_core::{CallObserver, CallReport, Error, ErrorKind, Fetched, Result, SecretBytes, Version};
use keyferry_rest::Session;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    PROVIDER,
    auth::GoogleLogin,
    failure::{Failure, failure},
    name::{Parent, last},
    services::invalid,
};

/// Secret Manager for one store.
pub(crate) struct SecretManager {
    observer: Arc<dyn CallObserver>,
    endpoint: String,
    session: Arc<Session<GoogleLogin>>,
    stub: OnceCell<SecretManagerService>,
}

/// What a call is about.
#[derive(Clone, Copy)]
struct About<'a> {
    operation: &'static str,
    parent: &'a Parent,
    /// For people: `the secret a`.
    what: &'a str,
}

const USER_AGENT: &str = concat!("keyferry/", env!("CARGO_PKG_VERSION"));

/// Google's client looks at this variable itself.
const NO_CLIENT: &str = "Google's client cannot be set up; GOOGLE_CLOUD_UNIVERSE_DOMAIN must not name another domain \
                         than googleapis.com";

/// Enough for most projects in one answer, and little enough that an answer does not weigh on the process.
const SECRETS_PER_PAGE: i32 = 1_000;

/// Versions are listed newest first, so the one that is looked for is the first that matches.
const VERSIONS_PER_PAGE: i32 = 10;

impl SecretManager {
    pub(crate) fn new(endpoint: String, session: Arc<Session<GoogleLogin>>, observer: Arc<dyn CallObserver>) -> Self {
        Self { observer, endpoint, session, stub: OnceCell::new() }
    }

    /// The value of the version at `path`.
    pub(crate) async fn access(&self, parent: &Parent, path: &str, what: &str) -> Result<Fetched, Failure> {
        let about = About { operation: "AccessSecretVersion", parent, what };
        let send = |stub: &SecretManagerService| {
            stub.access_secret_version().set_name(path).with_user_agent(USER_AGENT).send()
        };
        self.call(about, send, |answer| value(about, answer)).await
    }

    /// The path of the newest version of `secret` that is enabled.
    pub(crate) async fn newest_enabled(&self, parent: &Parent, secret: &str, what: &str) -> Result<Option<String>> {
        let about = About { operation: "ListSecretVersions", parent, what };
        let mut page = String::new();
        loop {
            let send = |stub: &SecretManagerService| {
                stub.list_secret_versions()
                    .set_parent(secret)
                    .set_filter("state:ENABLED")
                    .set_page_size(VERSIONS_PER_PAGE)
                    .set_page_token(&page)
                    .with_user_agent(USER_AGENT)
                    .send()
            };
            let answer = self.call(about, send, Ok).await.map_err(|failure| failure.error)?;
            let newest = answer
                .versions
                .into_iter()
                .max_by_key(|version| version.create_time.map(|created| (created.seconds(), created.nanos())));
            match newest {
                Some(version) => return Ok(Some(version.name)),
                // A page may be empty although there are more: a filter is applied after the cut.
                None if answer.next_page_token.is_empty() => return Ok(None),
                None => page = answer.next_page_token,
            }
        }
    }

    /// What is known about the secret at `path`, except its value.
    pub(crate) async fn describe(&self, parent: &Parent, path: &str, what: &str) -> Result<Secret> {
        let about = About { operation: "GetSecret", parent, what };
        let send = |stub: &SecretManagerService| stub.get_secret().set_name(path).with_user_agent(USER_AGENT).send();
        let is_asked_for = |secret: &Secret| last(&secret.name) == last(path);
        let read = |secret: Secret| Some(secret).filter(is_asked_for).ok_or_else(|| about.malformed());
        self.call(about, send, read).await.map_err(|failure| failure.error)
    }

    /// One page of the secrets in `parent` that match `filter`, after the page that gave `page`.
    pub(crate) async fn list(&self, parent: &Parent, filter: &str, page: &str) -> Result<ListSecretsResponse> {
        let what = format!("the secrets of project {}", parent.project());
        let about = About { operation: "ListSecrets", parent, what: &what };
        let send = |stub: &SecretManagerService| {
            stub.list_secrets()
                .set_parent(parent.path())
                .set_filter(filter)
                .set_page_size(SECRETS_PER_PAGE)
                .set_page_token(page)
                .with_user_agent(USER_AGENT)
                .send()
        };
        let listed = self.call(about, send, Ok).await;
        listed.map_err(|failure| match failure.error {
            // Where there is nothing to list, no secret is known to be gone.
            error if error.kind == ErrorKind::NotFound => Error {
                kind: ErrorKind::InvalidConfig,
                message: format!("Secret Manager does not know {}; check projectID and location", parent.path()),
                ..error
            },
            error => error,
        })
    }

    /// Makes one call with the store's login, and with a new login when that one was refused.
    async fn call<A, T, F>(
        &self,
        about: About<'_>,
        send: impl Fn(&SecretManagerService) -> F,
        read: impl Fn(A) -> Result<T>,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<A, GaxError>>,
    {
        // The login comes first, so that its errors arrive as they are.
        let answer = self
            .session
            .with(async |_| {
                let stub = self.stub(about.operation).await?;
                let report = CallReport::begin(&*self.observer, PROVIDER, about.operation);
                let answer = match send(stub).await {
                    Ok(answer) => read(answer).map_err(Failure::from),
                    Err(error) => Err(failure(about.operation, about.what, about.parent, &error)),
                };
                report.end(answer.as_ref().map(drop).map_err(|failure| failure.error.kind));
                match answer {
                    Err(failure) if failure.is_not_enabled => Ok(Err(failure)),
                    settled => settled.map(Ok).map_err(|failure| failure.error),
                }
            })
            .await;
        answer.unwrap_or_else(|error| Err(error.into()))
    }

    async fn stub(&self, operation: &'static str) -> Result<&SecretManagerService> {
        let build = || async {
            let builder = SecretManagerService::builder()
                .with_endpoint(&self.endpoint)
                .with_credentials(Bearer(Arc::clone(&self.session)))
                .with_retry_policy(NeverRetry);
            builder.build().await.map_err(|_| invalid(operation, NO_CLIENT))
        };
        self.stub.get_or_try_init(build).await
    }
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretManager")
            .field("endpoint", &self.endpoint)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl About<'_> {
    fn malformed(&self) -> Error {
        let text = format!("the answer about {} is not what Secret Manager promises", self.what);
        Error::new(ErrorKind::Malformed, PROVIDER, self.operation, text)
    }
}

/// The value in `answer`, if it is whole.
fn value(about: About<'_>, answer: AccessSecretVersionResponse) -> Result<Fetched> {
    let payload = answer.payload.ok_or_else(|| about.malformed())?;
    match payload.data_crc32c {
        Some(sum) if i64::from(crc32c::crc32c(&payload.data)) != sum => {
            let text = format!("the value of {} does not match its checksum", about.what);
            return Err(Error::new(ErrorKind::Malformed, PROVIDER, about.operation, text));
        }
        // Without a sum, a value that was lost on the way looks like an empty one.
        None if payload.data.is_empty() => return Err(about.malformed()),
        _ => {}
    }
    let version = Version::new(last(&answer.name)).ok();
    Ok(Fetched::new(SecretBytes::new(Vec::from(payload.data)), version))
}

/// Shows Google's client the store's login.
#[derive(Debug)]
struct Bearer(Arc<Session<GoogleLogin>>);

impl CredentialsProvider for Bearer {
    async fn headers(&self, _: Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let grant = self.0.grant().await.map_err(|error| CredentialsError::from_source(false, error))?;
        let data = headers(&grant).ok_or_else(|| {
            let text = "the access token holds characters that a header cannot carry";
            let error = Error::new(ErrorKind::Malformed, PROVIDER, "Login", text);
            CredentialsError::from_source(false, error)
        })?;
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

fn headers(token: &AccessToken) -> Option<HeaderMap> {
    let bearer = Zeroizing::new([b"Bearer ".as_slice(), token.bearer.expose()].concat());
    let mut bearer = HeaderValue::from_bytes(&bearer).ok()?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    if let Some(project) = &token.quota_project {
        headers.insert(HeaderName::from_static("x-goog-user-project"), HeaderValue::from_str(project).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use google_cloud_secretmanager_v1::model::{AccessSecretVersionResponse, SecretPayload};
    use keyferry_clouds::google::AccessToken;
    use keyferry_core::{ErrorKind, SecretBytes, Version};

    use super::{About, headers, value};
    use crate::name::Parent;

    fn read(payload: Option<SecretPayload>) -> keyferry_core::Result<keyferry_core::Fetched> {
        let answer = AccessSecretVersionResponse::new()
            .set_name("projects/1/secrets/a/versions/7")
            .set_or_clear_payload(payload);
        let parent = Parent::new("p-1", None);
        value(About { operation: "AccessSecretVersion", parent: &parent, what: "the secret a" }, answer)
    }

    fn payload(data: &'static str) -> SecretPayload {
        SecretPayload::new().set_data(data)
    }

    #[test]
    fn a_whole_value_comes_with_its_version() {
        let sum = i64::from(crc32c::crc32c(b"hunter2"));
        let fetched = read(Some(payload("hunter2").set_data_crc32c(sum))).unwrap();
        assert_eq!(fetched.value, SecretBytes::from("hunter2"));
        assert_eq!(fetched.version, Version::new("7").ok());
        read(Some(payload("hunter2"))).unwrap();
        assert!(read(Some(payload("").set_data_crc32c(0))).unwrap().value.is_empty());
    }

    #[test]
    fn a_value_that_suffered_on_the_way_is_malformed() {
        for broken in [None, Some(payload("")), Some(payload("hunter2").set_data_crc32c(1))] {
            let error = read(broken).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Malformed);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_token_and_the_quotas_project_are_shown() {
        let token = |bearer: &str, project: Option<&str>| AccessToken {
            bearer: SecretBytes::from(bearer),
            quota_project: project.map(str::to_owned),
        };
        let shown = headers(&token("t", Some("p-2"))).unwrap();
        assert_eq!(
            (&shown["authorization"], &shown["x-goog-user-project"]),
            (&"Bearer t".parse().unwrap(), &"p-2".parse().unwrap())
        );
        assert!(shown["authorization"].is_sensitive());
        assert_eq!(headers(&token("t", None)).unwrap().len(), 1);
        assert!(headers(&token("t\n", None)).is_none());
    }
}
