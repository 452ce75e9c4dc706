//! Secret Manager as a [`Provider`].

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use keyferry_core::{
    CallObserver, Capabilities, Error, ErrorKind, Fetched, Listed, Locator, Page, Provider, Query, RemoteName, Result,
    SecretBytes, Want, canonical_json,
};
use keyferry_rest::Session;
use serde_json::json;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    Auth, GcpConfig, PROVIDER, VersionSelection,
    auth::GoogleLogin,
    client::SecretManager,
    name::{Parent, check_location, check_project, filter, last},
    services::{Services, invalid},
};

/// A store of Google Cloud Secret Manager.
#[derive(Debug)]
pub struct Gcp {
    client: SecretManager,
    location: Option<String>,
    parent: OnceCell<Parent>,
    /// `None`: the metadata server tells.
    project: Option<String>,
    services: Services,
    session: Arc<Session<GoogleLogin>>,
    version_selection: VersionSelection,
}

/// Calls that one `fetch` makes at a time. Google's client opens a connection for each.
const CONCURRENCY: usize = 64;

impl Gcp {
    /// Checks `config` as far as it can be checked without asking anybody; nothing is sent.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`], naming the field that is wrong.
    pub fn new(config: GcpConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let GcpConfig { auth, environment, location, project, version_selection } = config;
        let present = |text: &String| !text.is_empty();
        let location = location.filter(present);
        location.as_deref().map(check_location).transpose()?;
        let of_cluster = match &auth {
            Auth::WorkloadIdentity(identity) => identity.cluster_project.clone(),
            Auth::Ambient | Auth::Federation(_) | Auth::ServiceAccountKey(_) => None,
        };
        let project = project.filter(present).or(of_cluster.filter(present));
        match (&project, &auth) {
            (Some(project), _) => check_project(project)?,
            // The machine's project says nothing about a key that was made anywhere.
            (None, Auth::ServiceAccountKey(_)) => {
                return Err(invalid("Configure", "projectID is missing; name the project that holds the secrets"));
            }
            (None, _) => {}
        }
        let endpoint = match (&environment.endpoints.secret_manager, &location) {
            (Some(other), _) => other.to_string(),
            (None, None) => "https://secretmanager.googleapis.com".to_owned(),
            (None, Some(location)) => format!("https://secretmanager.{location}.rep.googleapis.com"),
        };
        let services = Services::new(environment, observer)?;
        let session = Arc::new(Session::new(GoogleLogin::new(auth, services.clone())?));
        let client = SecretManager::new(endpoint, Arc::clone(&session), services.google.http.observer());
        Ok(Self { client, location, parent: OnceCell::new(), project, services, session, version_selection })
    }

    /// Where the secrets are.
    async fn parent(&self) -> Result<&Parent> {
        let find = async || {
            let project = match &self.project {
                Some(project) => project.clone(),
                None => self.find_project().await?,
            };
            Ok(Parent::new(&project, self.location.as_deref()))
        };
        self.parent.get_or_try_init(find).await
    }

    async fn find_project(&self) -> Result<String> {
        let project = self.services.google.project().await.map_err(|mut error| {
            error.message = format!("projectID is missing, and {}; name the project in the store", error.message);
            error
        })?;
        check_project(&project).map(|()| project)
    }

    async fn fetch_one(&self, at: &Locator) -> Result<Arc<Fetched>> {
        let parent = self.parent().await?;
        match at.want {
            Want::Metadata => self.metadata(parent, at).await,
            Want::Value => self.value(parent, at).await,
        }
        .map(Arc::new)
    }

    async fn value(&self, parent: &Parent, at: &Locator) -> Result<Fetched> {
        const OPERATION: &str = "AccessSecretVersion";
        let secret = parent.secret(OPERATION, at)?;
        let version = Parent::version(OPERATION, &secret, at.version.as_ref())?;
        let what = match &at.version {
            None => format!("the latest version of the secret {}", at.name),
            Some(version) => format!("version {version} of the secret {}", at.name),
        };
        let failure = match self.client.access(parent, &version, &what).await {
            Ok(fetched) => return Ok(fetched),
            Err(failure) => failure,
        };
        let selects = self.version_selection == VersionSelection::LatestOrFetch && at.version.is_none();
        if !(failure.is_not_enabled && selects) {
            return Err(failure.error);
        }
        let versions = format!("the enabled versions of the secret {}", at.name);
        match self.client.newest_enabled(parent, &secret, &versions).await? {
            None => {
                let text = format!("the secret {} has no version that is enabled; add or enable one", at.name);
                Err(Error::new(ErrorKind::AccessDenied, PROVIDER, "ListSecretVersions", text))
            }
            Some(path) => {
                let version = format!("{secret}/versions/{}", last(&path));
                self.client.access(parent, &version, &versions).await.map_err(|failure| failure.error)
            }
        }
    }

    async fn metadata(&self, parent: &Parent, at: &Locator) -> Result<Fetched> {
        let path = parent.secret("GetSecret", at)?;
        let secret = self.client.describe(parent, &path, &format!("the secret {}", at.name)).await?;
        let json = json!({"annotations": secret.annotations, "labels": secret.labels}).to_string();
        let value = canonical_json(json.as_bytes()).unwrap_or_else(|_| SecretBytes::from(json));
        Ok(Fetched::new(value, None))
    }
}

#[async_trait]
impl Provider for Gcp {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: NonZeroUsize::MIN,
            find_by_path: true,
            find_by_tags: true,
            list: true,
            metadata: true,
            properties: false,
            versions: true,
        }
    }

    /// Finds the project and logs in. That needs no permission on any secret.
    async fn check(&self) -> Result<()> {
        self.parent().await?;
        self.session.grant().await.map(drop)
    }

    async fn fetch(&self, at: &[Locator], _since: Instant) -> Vec<Result<Arc<Fetched>>> {
        let calls: Vec<_> = at.iter().map(|at| self.fetch_one(at)).collect();
        stream::iter(calls).buffered(CONCURRENCY).collect().await
    }

    /// The path narrows the listing to names that begin with it, the tags to secrets with exactly these labels.
    async fn list(&self, query: &Query, _since: Instant) -> Result<Arc<Page>> {
        let parent = self.parent().await?;
        let after = query.after.as_deref().unwrap_or_default();
        let answer = self.client.list(parent, &filter(query)?, after).await?;
        let prefix = query.path.as_deref().unwrap_or_default();
        let items = answer
            .secrets
            .into_iter()
            .filter(|secret| last(&secret.name).starts_with(prefix))
            .filter(|secret| query.tags.iter().all(|(key, value)| secret.labels.get(key) == Some(value)))
            .filter_map(|secret| {
                let name = RemoteName::new(last(&secret.name)).ok()?;
                Some(Listed { name, alias: None, tags: secret.labels.into_iter().collect() })
            })
            .collect();
        Ok(Arc::new(Page { items, next: Some(answer.next_page_token).filter(|next| !next.is_empty()) }))
    }

    /// Google revokes no tokens of service accounts: the token is forgotten, and ends within the hour.
    async fn close(&self) {
        drop(self.session.leave());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyferry_core::{ErrorKind, SecretBytes, Unobserved};

    use super::Gcp;
    use crate::{Auth, Environment, GcpConfig, VersionSelection, auth::fixtures::key_file};

    fn config() -> GcpConfig {
        GcpConfig {
            auth: Auth::ServiceAccountKey(SecretBytes::from(key_file().to_string())),
            environment: Environment::default(),
            location: None,
            project: Some("p-1".to_owned()),
            version_selection: VersionSelection::default(),
        }
    }

    fn new(config: GcpConfig) -> keyferry_core::Result<Gcp> {
        Gcp::new(config, Arc::new(Unobserved))
    }

    #[test]
    fn regional_secrets_have_their_own_address() {
        let endpoint = |location: Option<&str>| {
            let gcp = new(GcpConfig { location: location.map(str::to_owned), ..config() }).unwrap();
            format!("{gcp:?}")
        };
        assert!(endpoint(None).contains("\"https://secretmanager.googleapis.com\""));
        assert!(endpoint(Some("europe-west1")).contains("\"https://secretmanager.europe-west1.rep.googleapis.com\""));
    }

    #[test]
    fn wrong_settings_are_refused_by_field() {
        let key = |text: &str| GcpConfig { auth: Auth::ServiceAccountKey(SecretBytes::from(text)), ..config() };
        for (config, expected) in [
            (GcpConfig { project: None, ..config() }, "projectID is missing"),
            (GcpConfig { project: Some(String::new()), ..config() }, "projectID is missing"),
            (GcpConfig { project: Some("p/q".to_owned()), ..config() }, "projectID: \"p/q\" is no id"),
            (GcpConfig { location: Some("a.b".to_owned()), ..config() }, "location: \"a.b\" is no region"),
            (
                key("hunter2"),
                "the service account key of auth.secretRef.secretAccessKeySecretRef: it is not a JSON key",
            ),
        ] {
            let error = new(config).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert!(error.message.starts_with(expected) && !error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?} {:?}", config(), new(config()).unwrap());
        assert!(!shown.contains("PRIVATE KEY") && !shown.contains("private_key"), "{shown}");
    }
}
