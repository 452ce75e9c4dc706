//! Listing names.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Listed, Provider, Query};
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

async fn listed(rig: &Rig, mut query: Query) -> Vec<Listed> {
    let mut listed = Vec::new();
    loop {
        let page = rig.vault.list(&query, Instant::now()).await.expect("a page");
        listed.extend_from_slice(&page.items);
        query.after.clone_from(&page.next);
        if query.after.is_none() {
            return listed;
        }
    }
}

async fn names(rig: &Rig, query: Query) -> Vec<String> {
    let mut names: Vec<_> = listed(rig, query).await.iter().map(|listed| listed.name.to_string()).collect();
    names.sort();
    names
}

async fn known_as(rig: &Rig, query: Query) -> Vec<String> {
    let mut names: Vec<_> = listed(rig, query).await.iter().map(|listed| listed.known_as().to_owned()).collect();
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

/// The names lead back to the secrets; what they are known as stays what it is elsewhere, letter by letter.
#[tokio::test]
async fn a_path_narrows_the_search() {
    let rig = Rig::answering(token(), tree).await;
    for path in ["team", "team/", "/team", "kv/team", "kv/data/team"] {
        assert_eq!(names(&rig, below(path)).await, ["team/b", "team/c", "team/deep/d e"], "{path}");
        let expected = ["b", "c", "deep/d e"].map(|name| format!("{path}/{name}"));
        assert_eq!(known_as(&rig, below(path)).await, expected, "{path}");
    }
}

#[tokio::test]
async fn without_a_mount_names_begin_with_it() {
    let rig = Rig::answering(VaultConfig { path: None, ..token() }, tree).await;
    for path in ["kv/team", "kv/data/team"] {
        assert_eq!(names(&rig, below(path)).await, ["kv/team/b", "kv/team/c", "kv/team/deep/d e"]);
        let expected = ["b", "c", "deep/d e"].map(|name| format!("{path}/{name}"));
        assert_eq!(known_as(&rig, below(path)).await, expected);
    }
    let error = rig.vault.list(&Query::default(), Instant::now()).await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("path"), "{error}");
}

/// A key that begins with the mount means the mount, so the name must say more.
#[tokio::test]
async fn a_folder_with_the_name_of_the_mount_is_found_as_such() {
    let rig = Rig::answering(token(), |request| match request.line().as_str() {
        "GET /v1/kv/metadata/?list=true" => keys(&["kv/"]),
        "GET /v1/kv/metadata/kv/?list=true" => keys(&["x"]),
        _ => refused(404, &[]),
    })
    .await;
    assert_eq!(names(&rig, Query::default()).await, ["kv/data/kv/x"]);
    assert_eq!(known_as(&rig, Query::default()).await, ["kv/x"]);
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
    while page.next.is_some() {
        let query = Query { after: page.next.clone(), ..Query::default() };
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
    let next = Query { after: page.next.clone(), ..Query::default() };
    let error = rig.vault.list(&next, Instant::now()).await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.contains("kv/metadata/secret/"), "{error}");
}

#[tokio::test]
async fn no_path_leads_out_of_the_mount() {
    let rig = Rig::expecting(token(), []).await;
    for path in ["..", "team/../../sys", ".\t./sys"] {
        let error = rig.vault.list(&below(path), Instant::now()).await.expect_err(path);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("the path \"kv/metadata/"), "{error}");
    }
    rig.finish();
}
