//! Finding secrets by name and label.

use keyferry_core::{ErrorKind, Provider, Query};
use keyferry_fakes::{
    faults::Fault,
    gcp::{GoogleCloud, Secret, Settings},
};
use keyferry_gcp::{Gcp, GcpConfig};
use keyferry_rest::BaseUrl;
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;
use tokio::time::Instant;

use crate::cloud::{PROJECT, cloud, cloud_with, config, key, reader, store};

fn labelled(cloud: &GoogleCloud, location: Option<&str>, name: &str, env: &str) {
    let labels = [("env".to_owned(), env.to_owned())].into();
    let location = location.map(str::to_owned);
    cloud.put(Secret { labels, location, ..Secret::new(PROJECT, name, b"x") });
}

async fn names(store: &Gcp, mut query: Query) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = store.list(&query, Instant::now()).await.expect("a page");
        names.extend(page.items.iter().map(|item| item.name.to_string()));
        query.after.clone_from(&page.next);
        if query.after.is_none() {
            return names;
        }
    }
}

fn query(path: &str, env: &str) -> Query {
    let tags = if env.is_empty() { [].into() } else { [("env".to_owned(), env.to_owned())].into() };
    Query { path: Some(path.to_owned()).filter(|path| !path.is_empty()), tags, after: None }
}

#[tokio::test]
async fn all_pages_are_read_in_order() {
    let cloud = cloud_with(Settings { page: 2, ..Settings::default() });
    for name in ["b", "c", "d", "e"] {
        cloud.put(Secret::new(PROJECT, name, b"x"));
    }
    let store = reader(&cloud);
    assert_eq!(names(&store, Query::default()).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(cloud.counts().of("ListSecrets"), 3);
}

#[tokio::test]
async fn path_and_labels_narrow_together() {
    let cloud = cloud();
    for (name, env) in [("team-a-1", "prod"), ("team-a-2", "dev"), ("other-team-a", "prod"), ("team-b", "prod")] {
        labelled(&cloud, None, name, env);
    }
    let store = reader(&cloud);
    assert_eq!(names(&store, query("team-a", "")).await, ["team-a-1", "team-a-2"]);
    assert_eq!(names(&store, query("", "prod")).await, ["other-team-a", "team-a-1", "team-b"]);
    assert_eq!(names(&store, query("team-a", "prod")).await, ["team-a-1"]);
    let page = store.list(&query("team-a", "prod"), Instant::now()).await.unwrap();
    assert_eq!(page.items[0].tags.get("env").map(String::as_str), Some("prod"));
}

#[tokio::test]
async fn a_regional_store_lists_its_own_secrets() {
    let cloud = cloud();
    labelled(&cloud, None, "global", "prod");
    labelled(&cloud, Some("europe-west1"), "regional", "prod");
    let location = Some("europe-west1".to_owned());
    let store = store(GcpConfig { location, ..config(&cloud, key(&cloud)) });
    assert_eq!(names(&store, query("", "prod")).await, ["regional"]);
    assert_eq!(names(&store, query("reg", "")).await, ["regional"]);
}

#[tokio::test]
async fn a_page_token_of_another_question_is_refused() {
    let cloud = cloud_with(Settings { page: 1, ..Settings::default() });
    cloud.put(Secret::new(PROJECT, "b", b"x"));
    let store = reader(&cloud);
    let next = store.list(&Query::default(), Instant::now()).await.unwrap().next.clone();
    let error = store.list(&Query { after: next, ..query("b", "") }, Instant::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
}

/// Deleting needs a positive answer about a secret, which this is not.
#[tokio::test]
async fn a_project_that_is_not_found_is_no_missing_secret() {
    let cloud = cloud();
    cloud.faults().set("ListSecrets", Fault::Status { status: 404, retry_after: None });
    for (location, path) in [(None, "projects/p-1"), (Some("europe-west1"), "projects/p-1/locations/europe-west1")] {
        let location = location.map(str::to_owned);
        let store = store(GcpConfig { location, ..config(&cloud, key(&cloud)) });
        let error = store.list(&Query::default(), Instant::now()).await.unwrap_err();
        let expected = format!("Secret Manager does not know {path}; check projectID and location");
        assert_eq!((error.kind, error.message), (ErrorKind::InvalidConfig, expected));
    }
}

#[tokio::test]
async fn labels_are_compared_exactly_whatever_the_filter_lets_through() {
    let cloud = cloud();
    let secret = |name: &str, env: &str| json!({"name": format!("projects/1/secrets/{name}"), "labels": {"env": env}});
    let listed = json!({"secrets": [secret("a", "prod"), secret("b", "production"), {"name": "projects/1/secrets/c"}]});
    let lenient = ScriptedServer::answering(move |_| Reply::json(200, &listed)).await;
    let mut config = config(&cloud, key(&cloud));
    config.environment.endpoints.secret_manager = BaseUrl::parse(&lenient.url()).ok();
    assert_eq!(names(&store(config), query("", "prod")).await, ["a"]);
}
