//! Listing names.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Provider, Query};
use keyferry_testkit::{Reply, Request};
use keyferry_vault::{KvVersion, VaultConfig};
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{Rig, refused, token};

fn keys(keys: &[&str]) -> Reply {
    Reply::json(200, &json!({"data": {"keys": keys}}))
}

/// A mount with a few folders.
fn tree(request: &Request) -> Reply {
    let tags = |tags| Reply::json(200, &json!({"data": {"custom_metadata": tags, "current_version": 1}}));
    match request.line().as_str() {
        "GET /v1/kv/metadata/?list=true" => keys(&["a", "team/", "empty/"]),
        "GET /v1/kv/metadata/team/?list=true" => keys(&["b", "deep/", "c"]),
        "GET /v1/kv/metadata/team/deep/?list=true" => keys(&["d e"]),
        "GET /v1/kv/metadata/a" | "GET /v1/kv/metadata/team/deep/d%20e" => tags(json!({"env": "prod", "own": "me"})),
        "GET /v1/kv/metadata/team/b" => tags(json!({"env": "dev"})),
        _ => refused(404, &[]),
    }
}

async fn names(rig: &Rig, mut query: Query) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = rig.vault.list(&query, Instant::now()).await.expect("a page");
        names.extend(page.items.iter().map(|listed| listed.name.to_string()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    names.sort();
    names
}

fn below(path: &str) -> Query {
    Query { path: Some(path.into()), ..Query::default() }
}

#[tokio::test]
async fn all_folders_are_looked_into() {
    let rig = Rig::answering(token(), tree).await;
    assert_eq!(names(&rig, Query::default()).await, ["a", "team/b", "team/c", "team/deep/d e"]);
    assert!(rig.heard.calls().iter().all(|(operation, _)| *operation == "ListSecrets"));
}

#[tokio::test]
async fn a_path_narrows_the_search() {
    let rig = Rig::answering(token(), tree).await;
    for path in ["team", "team/", "kv/team", "/kv/team/"] {
        assert_eq!(names(&rig, below(path)).await, ["team/b", "team/c", "team/deep/d e"], "{path}");
    }
}

#[tokio::test]
async fn without_a_mount_names_begin_with_it() {
    let rig = Rig::answering(VaultConfig { path: None, ..token() }, tree).await;
    assert_eq!(names(&rig, below("kv/team")).await, ["kv/team/b", "kv/team/c", "kv/team/deep/d e"]);
    let error = rig.vault.list(&Query::default(), Instant::now()).await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("path"), "{error}");
}

#[tokio::test]
async fn tags_are_custom_metadata() {
    let rig = Rig::answering(token(), tree).await;
    let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    assert_eq!(names(&rig, Query { tags: tags.clone(), ..Query::default() }).await, ["a", "team/deep/d e"]);
    let page = rig.vault.list(&Query { tags, ..Query::default() }, Instant::now()).await.expect("a page");
    assert_eq!(page.items[0].tags.get("own").map(String::as_str), Some("me"));
}

#[tokio::test]
async fn version_1_lists_without_metadata_and_knows_no_tags() {
    let config = VaultConfig { version: KvVersion::V1, ..token() };
    let rig = Rig::expecting(config, [("GET /v1/kv/?list=true", keys(&["x"]))]).await;
    assert_eq!(names(&rig, Query::default()).await, ["x"]);
    let tagged = Query { tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..Query::default() };
    assert_eq!(rig.vault.list(&tagged, Instant::now()).await.map_err(|error| error.kind), Err(ErrorKind::Unsupported));
    rig.finish();
}

#[tokio::test]
async fn only_a_missing_beginning_is_not_found() {
    let rig = Rig::answering(token(), tree).await;
    assert_eq!(
        rig.vault.list(&below("nothing"), Instant::now()).await.map_err(|error| error.kind),
        Err(ErrorKind::NotFound)
    );
    let mut page = rig.vault.list(&Query::default(), Instant::now()).await.expect("a page");
    while let Some(next) = page.next {
        let query = Query { after: Some(next), ..Query::default() };
        page = rig.vault.list(&query, Instant::now()).await.expect("the empty folder is no failure");
    }
}

#[tokio::test]
async fn a_denied_folder_fails_the_search() {
    let rig = Rig::answering(token(), |request| match request.line().as_str() {
        "GET /v1/kv/metadata/?list=true" => keys(&["secret/"]),
        "GET /v1/auth/token/lookup-self" => Reply::json(200, &json!({"data": {}})),
        _ => refused(403, &["permission denied"]),
    })
    .await;
    let page = rig.vault.list(&Query::default(), Instant::now()).await.expect("a page");
    let next = Query { after: page.next, ..Query::default() };
    let error = rig.vault.list(&next, Instant::now()).await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.contains("kv/metadata/secret/"), "{error}");
}
