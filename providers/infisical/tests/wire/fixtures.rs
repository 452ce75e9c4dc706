//! A store, its fake server, and short ways to ask.

use std::sync::Arc;

use keyferry_core::{Error, Listed, Locator, Provider, Query, Result, Unobserved};
use keyferry_fakes::{
    infisical::{Contents, Identity, InfisicalServer, Place, Project, Secret, Settings},
    server::Listen,
};
use keyferry_infisical::{Ambient, Auth, Infisical, InfisicalConfig, Scope};
use keyferry_rest::Tls;
pub(crate) use keyferry_testkit::ask::{at, fetch, fetch_one, metadata, refused, text, value, version};
use tokio::time::Instant;

pub(crate) const PROJECT: &str = "web-x1y2";

/// The folder `path` of environment `dev`.
pub(crate) fn dev(path: &str) -> Place {
    Place::new(PROJECT, "dev", path)
}

/// A server with a project, and the identity of [`universal`].
pub(crate) fn server() -> InfisicalServer {
    server_with(Settings::default(), vec![universal_identity()])
}

/// The identity of [`universal`], which may read the whole project.
pub(crate) fn universal_identity() -> Identity {
    Identity::universal("client-id", "client-secret", PROJECT)
}

pub(crate) fn server_with(settings: Settings, identities: Vec<Identity>) -> InfisicalServer {
    let projects = vec![Project::new(PROJECT, &["dev", "prod"])];
    let contents = Contents { identities, projects, ..Contents::default() };
    InfisicalServer::start_with(Listen::default(), settings, contents).expect("a free port")
}

pub(crate) fn put(server: &InfisicalServer, path: &str, name: &str, value: &str) {
    assert!(server.put(Secret::new(&dev(path), name, value)).is_some());
}

pub(crate) fn universal() -> Auth {
    Auth::Universal { client_id: "client-id".into(), client_secret: "client-secret\n".into() }
}

pub(crate) fn config(url: &str) -> InfisicalConfig {
    InfisicalConfig {
        host_api: Some(url.to_owned()),
        auth: universal(),
        scope: Scope {
            project_slug: PROJECT.into(),
            environment_slug: "dev".into(),
            secrets_path: "/".into(),
            recursive: false,
            expand_secret_references: true,
            organization_slug: None,
        },
        tls: Tls::default(),
        ambient: Ambient::default(),
    }
}

/// A store with the folder `path`.
pub(crate) fn scoped(url: &str, path: &str, recursive: bool) -> Infisical {
    let mut config = config(url);
    (config.scope.secrets_path, config.scope.recursive) = (path.into(), recursive);
    store(config)
}

pub(crate) fn store(config: InfisicalConfig) -> Infisical {
    Infisical::new(config, Arc::new(Unobserved)).expect("good settings")
}

/// What is wrong with these settings.
pub(crate) fn wrong(config: InfisicalConfig) -> Error {
    Infisical::new(config, Arc::new(Unobserved)).expect_err("wrong settings")
}

pub(crate) async fn list(store: &Infisical, query: Query) -> Result<Vec<Listed>> {
    let page = store.list(&query, Instant::now()).await?;
    assert_eq!(page.next, None);
    Ok(page.items.clone())
}

pub(crate) async fn names(store: &Infisical, query: Query) -> Vec<String> {
    list(store, query).await.expect("a listing").into_iter().map(|item| item.name.to_string()).collect()
}

/// What a search comes to: what each secret is known as, and its value.
pub(crate) async fn found(store: &Infisical, query: Query) -> Vec<(String, String)> {
    let listed = list(store, query).await.expect("a listing");
    let locators: Vec<_> = listed.iter().map(|item| Locator::latest(item.name.clone())).collect();
    let answers = fetch(store, &locators).await;
    listed.iter().zip(&answers).map(|(item, answer)| (item.known_as().to_owned(), text(answer))).collect()
}

/// Calls so far: logins, listings, single reads.
pub(crate) fn calls(server: &InfisicalServer) -> [u64; 3] {
    ["login", "list-secrets", "get-secret"].map(|operation| server.counts().of(operation))
}
