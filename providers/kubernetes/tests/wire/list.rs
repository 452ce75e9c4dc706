//! Listing names.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Provider, Query, Retry};
use keyferry_testkit::Reply;
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{LIST, Rig, status};

fn page(names: &[&str], next: &str) -> Reply {
    let items: Vec<_> =
        names.iter().map(|name| json!({"metadata": {"name": name, "labels": {"team": "blue"}}})).collect();
    let metadata = json!({"continue": next, "resourceVersion": "1"});
    Reply::json(200, &json!({"kind": "PartialObjectMetadataList", "metadata": metadata, "items": items}))
}

#[tokio::test]
async fn pages_follow_each_other_and_hold_no_values() {
    let next = format!("{LIST}&continue=abc%3D");
    let rig = Rig::expecting([(LIST, page(&["a", "b"], "abc=")), (&next, page(&["c"], ""))]).await;
    let first = rig.store.list(&Query::default(), Instant::now()).await.expect("a page");
    assert_eq!(first.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(first.items[0].tags["team"], "blue");
    let last =
        rig.store.list(&Query { after: first.next.clone(), ..Query::default() }, Instant::now()).await.expect("a page");
    assert_eq!((last.items.len(), &last.next), (1, &None));
    assert!(rig.finish()[0].header("accept").contains("as=PartialObjectMetadataList"));
}

#[tokio::test]
async fn tags_are_labels() {
    let tags = BTreeMap::from([("app".to_owned(), "web".to_owned()), ("team".to_owned(), "blue".to_owned())]);
    let line = format!("{LIST}&labelSelector=app%3Dweb%2Cteam%3Dblue");
    let rig = Rig::expecting([(line.as_str(), page(&["a"], ""))]).await;
    let found = rig.store.list(&Query { tags, ..Query::default() }, Instant::now()).await.expect("a page");
    assert_eq!(found.items.len(), 1);
    rig.finish();
}

#[tokio::test]
async fn a_tag_that_is_no_label_and_a_path_are_refused() {
    let rig = Rig::expecting([]).await;
    let tags = BTreeMap::from([("app".to_owned(), "web,x!=y".to_owned())]);
    let error = rig.store.list(&Query { tags, ..Query::default() }, Instant::now()).await.expect_err("no label");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("the tag \"app\" in `find.tags`"), "{error}");
    let error = rig
        .store
        .list(&Query { path: Some("x".into()), ..Query::default() }, Instant::now())
        .await
        .expect_err("no paths");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("remove `find.path`"), "{error}");
}

#[tokio::test]
async fn a_listing_that_took_too_long_ends() {
    let rig = Rig::expecting([(LIST, status(410, "Expired", "")), (LIST, status(403, "Forbidden", "secrets"))]).await;
    let error = rig.store.list(&Query::default(), Instant::now()).await.expect_err("expired");
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Never));
    let error = rig.store.list(&Query::default(), Instant::now()).await.expect_err("denied");
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.contains("may not read Secrets in namespace team"), "{error}");
}
