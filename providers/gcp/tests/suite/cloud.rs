//! A fake cloud with one project and one reader, and a store that reads it.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use keyferry_core::{
    Call, CallObserver, ErrorKind, Fetched, Locator, Provider, RemoteName, Result, SecretBytes, ServiceAccountToken,
    TokenSource, Version, Want,
};
use keyferry_fakes::{
    gcp::{Account, Contents, GoogleCloud, Grant, Role, Secret, Settings},
    keys::Issuer,
};
use keyferry_gcp::{Auth, Endpoints, Environment, Gcp, GcpConfig, VersionSelection};
use keyferry_rest::BaseUrl;
use serde_json::json;
use tokio::time::Instant;

pub(crate) const PROJECT: &str = "p-1";
pub(crate) const READER: &str = "reader@p-1.iam.gserviceaccount.com";

/// What a member has, who may read everything in the project.
pub(crate) fn all_roles(member: &str) -> [Grant; 2] {
    [Grant::new(member, Role::Accessor, PROJECT), Grant::new(member, Role::Viewer, PROJECT)]
}

pub(crate) fn cloud() -> GoogleCloud {
    cloud_with(Settings::default())
}

/// A cloud in which the reader may read the secret `a`.
pub(crate) fn cloud_with(settings: Settings) -> GoogleCloud {
    let contents = Contents {
        accounts: vec![Account::new(READER)],
        grants: all_roles(&format!("serviceAccount:{READER}")).into(),
        secrets: vec![Secret::new(PROJECT, "a", b"value of a")],
        ..Contents::default()
    };
    GoogleCloud::start_with(keyferry_fakes::server::Listen::default(), settings, contents).expect("a free port")
}

/// The surroundings of a process that finds all of Google's services at `cloud`.
pub(crate) fn environment(cloud: &GoogleCloud) -> Environment {
    let at = || Some(BaseUrl::parse(cloud.url()).expect("a URL"));
    let endpoints = Endpoints {
        aws_metadata: at(),
        iam_credentials: at(),
        metadata: at(),
        oauth2: at(),
        secret_manager: at(),
        secure_token: at(),
        sts: at(),
    };
    Environment { endpoints, ..Environment::default() }
}

/// A store of the project with this login.
pub(crate) fn config(cloud: &GoogleCloud, auth: Auth) -> GcpConfig {
    GcpConfig {
        auth,
        environment: environment(cloud),
        location: None,
        project: Some(PROJECT.to_owned()),
        version_selection: VersionSelection::LatestOrFail,
    }
}

/// The reader's key.
pub(crate) fn key(cloud: &GoogleCloud) -> Auth {
    let key = cloud.make_key(READER).expect("the reader is there");
    Auth::ServiceAccountKey(SecretBytes::from(key.to_string()))
}

pub(crate) fn store(config: GcpConfig) -> Gcp {
    Gcp::new(config, Arc::new(Heard::default())).expect("a valid store")
}

/// A store with the reader's key.
pub(crate) fn reader(cloud: &GoogleCloud) -> Gcp {
    store(config(cloud, key(cloud)))
}

pub(crate) fn latest(name: &str) -> Locator {
    Locator::latest(RemoteName::new(name).expect("a name"))
}

pub(crate) fn at_version(name: &str, version: &str) -> Locator {
    Locator { version: Some(Version::new(version).expect("a version")), ..latest(name) }
}

pub(crate) fn metadata(name: &str) -> Locator {
    Locator { want: Want::Metadata, ..latest(name) }
}

pub(crate) async fn fetch(store: &Gcp, at: Locator) -> Result<Arc<Fetched>> {
    store.fetch(&[at], Instant::now()).await.remove(0)
}

/// The value as text.
pub(crate) async fn read(store: &Gcp, at: Locator) -> String {
    let fetched = fetch(store, at).await.expect("a value");
    fetched.value.expose_str().expect("text").to_owned()
}

/// Who hears of the requests of a store.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Call>>);

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("no panic before").push(call);
    }
}

impl Heard {
    pub(crate) fn calls(&self) -> Vec<(&'static str, Result<(), ErrorKind>)> {
        self.0.lock().expect("no panic before").iter().map(|call| (call.operation, call.outcome)).collect()
    }
}

/// The issuer of ServiceAccount tokens.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The issuer itself.
pub(crate) static CLUSTER: LazyLock<Issuer> = LazyLock::new(Issuer::default);

/// A token of the ServiceAccount `apps/reader`.
pub(crate) fn service_account_jwt(issuer: &str, audiences: &[String]) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let subject = "system:serviceaccount:apps:reader";
    CLUSTER.sign(&json!({"iss": issuer, "aud": audiences, "sub": subject, "iat": now, "exp": now + 900}))
}

/// The ServiceAccount `apps/reader`.
#[derive(Debug)]
pub(crate) struct ServiceAccount {
    pub(crate) annotation: Option<String>,
    pub(crate) issuer: &'static str,
}

impl ServiceAccount {
    pub(crate) fn plain() -> Arc<Self> {
        Arc::new(Self { annotation: None, issuer: ISSUER })
    }

    pub(crate) fn acting_as(email: &str) -> Arc<Self> {
        Arc::new(Self { annotation: Some(email.to_owned()), issuer: ISSUER })
    }
}

#[async_trait]
impl TokenSource for ServiceAccount {
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken> {
        let token = SecretBytes::from(service_account_jwt(self.issuer, audiences));
        Ok(ServiceAccountToken { token, valid_for: ttl })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotation.as_deref().filter(|_| key == "iam.gke.io/gcp-service-account")
    }
}
