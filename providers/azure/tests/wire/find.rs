//! Listings.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Listed, Provider, Query};
use keyferry_fakes::{
    azure::{Application, Content, Contents, Object, Settings},
    faults::Fault,
};
use keyferry_testkit::Reply;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    astray::stranger,
    fixtures::{CLIENT, TENANT, at, cloud, cloud_with, config, fetch_one, pages, store, text},
    read::scripted,
};

fn names(pages: &[Vec<Listed>]) -> Vec<&str> {
    pages.iter().flatten().map(|item| item.name.as_str()).collect()
}

#[tokio::test]
async fn only_secrets_that_can_be_read_are_listed() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "1"));
    cloud.put(Object::secret("b", "2").disabled());
    cloud.put(Object::new("c", Content::Certificate("MQ==".into())));
    let store = store(config(cloud.url()));
    let listed = pages(&store, Query::default()).await;
    assert_eq!(names(&listed), ["a"]);
    assert!(listed[0][0].name.is_whole());
}

#[tokio::test]
async fn all_tags_must_be_there() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "1").tagged(&[("team", "red"), ("stage", "prod")]));
    cloud.put(Object::secret("b", "2").tagged(&[("team", "red")]));
    cloud.put(Object::secret("c", "3"));
    let store = store(config(cloud.url()));
    let with = |tags: &[(&str, &str)]| Query {
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Query::default()
    };
    assert_eq!(names(&pages(&store, with(&[("team", "red")])).await), ["a", "b"]);
    let both = pages(&store, with(&[("team", "red"), ("stage", "prod")])).await;
    assert_eq!(names(&both), ["a"]);
    let tags: BTreeMap<_, _> = [("stage".to_owned(), "prod".to_owned()), ("team".to_owned(), "red".to_owned())].into();
    assert_eq!(both[0][0].tags, tags);
}

#[tokio::test]
async fn pages_are_followed_one_call_each() {
    let application = Application { secrets: vec!["client-secret".into()], ..Application::new(TENANT, CLIENT) };
    let objects = (0..7).map(|number| Object::secret(&format!("s-{number}"), "x")).collect();
    let contents = Contents { applications: vec![application], objects, ..Contents::default() };
    let cloud = cloud_with(Settings { page: 3, ..Settings::default() }, contents);
    let store = store(config(cloud.url()));
    let listed = pages(&store, Query::default()).await;
    let sizes: Vec<_> = listed.iter().map(Vec::len).collect();
    assert_eq!((sizes, cloud.counts().of("GetSecrets")), (vec![3, 3, 1], 3));
    assert_eq!(names(&listed), ["s-0", "s-1", "s-2", "s-3", "s-4", "s-5", "s-6"]);
    assert_eq!(text(&fetch_one(&store, at(names(&listed)[6])).await), "x");
}

#[tokio::test]
async fn a_listing_that_goes_on_elsewhere_is_not_followed() {
    let stranger = stranger().await;
    for link in [
        format!("{}/secrets?api-version=7.0&$skiptoken=a", stranger.url()),
        "https://evil.example/secrets?api-version=7.0&$skiptoken=a".to_owned(),
        "/deletedsecrets?api-version=7.0".to_owned(),
        "/secrets".to_owned(),
    ] {
        let server = scripted(move || Reply::json(200, &json!({"value": [], "nextLink": link}))).await;
        let store = store(config(&server.url()));
        let error = store.list(&Query::default(), Instant::now()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert_eq!(error.message, "the vault's list of secrets goes on at an address that is not the vault's");
        assert_eq!(server.requests().len(), 2);
    }
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn a_next_page_asks_this_vault_whatever_stands_in_the_query() {
    let server = scripted(|| Reply::json(200, &json!({"value": [], "nextLink": null}))).await;
    let store = store(config(&server.url()));
    let after = Some("$skiptoken=a%2Fb&maxresults=25&api-version=7.0".to_owned());
    store.list(&Query { after, ..Query::default() }, Instant::now()).await.unwrap();
    let request = server.requests().remove(1);
    assert_eq!(request.path, "/secrets");
    assert!(
        request.query.contains("skiptoken=a%2Fb") && request.query.contains("api-version=7.0"),
        "{}",
        request.query
    );
}

#[tokio::test]
async fn a_listing_without_ids_is_malformed() {
    let server = scripted(|| Reply::json(200, &json!({"value": [{"attributes": {"enabled": true}}]}))).await;
    let error = store(config(&server.url())).list(&Query::default(), Instant::now()).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (ErrorKind::Malformed, "GetSecrets"));
}

#[tokio::test]
async fn a_listing_that_is_refused_names_the_role() {
    let cloud = cloud();
    cloud.faults().set("GetSecrets", Fault::Status { status: 403, retry_after: None });
    let error = store(config(cloud.url())).list(&Query::default(), Instant::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    let expected = "the login may not read the vault's list of secrets; assign it the role Key Vault Secrets User";
    assert!(error.message.starts_with(expected), "{error}");
}
