//! Reading Secrets.

use keyferry_core::{ErrorKind, Locator, Retry, Version, Want};
use keyferry_testkit::Reply;
use serde_json::json;

use crate::rig::{READ, Rig, latest, secret, status, text};

#[tokio::test]
async fn a_secret_is_one_object_of_strings() {
    let reply = secret(&[("password", b"<p&w>"), ("number", b"1"), ("user", "ännchen".as_bytes())]);
    let rig = Rig::expecting([(READ, reply)]).await;
    let value = rig.value("a").await.expect("a value");
    assert_eq!(value, r#"{"number":"1","password":"\u003cp\u0026w\u003e","user":"ännchen"}"#);
    assert_eq!(rig.finish()[0].header("authorization"), "Bearer hunter2");
}

#[tokio::test]
async fn a_secret_without_data_is_an_empty_object() {
    let none = Reply::json(200, &json!({"kind": "Secret", "metadata": {"name": "a"}}));
    let null = Reply::json(200, &json!({"kind": "Secret", "metadata": {"name": "a"}, "data": null}));
    let rig = Rig::expecting([(READ, none), (READ, null)]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok("{}"));
    assert_eq!(rig.value("a").await.as_deref(), Ok("{}"));
}

#[tokio::test]
async fn bytes_that_are_no_text_are_told_apart_and_kept() {
    let rig = Rig::expecting([(READ, secret(&[("keystore.jks", &[0xfe, 0xed, 0x00]), ("password", b"pw")]))]).await;
    let fetched = rig.fetch(latest("a")).await.expect("a value");
    assert_eq!(text(&fetched), r#"{"keystore.jks":"/u0A","password":"pw"}"#);
    assert_eq!(fetched.base64.iter().map(String::as_str).collect::<Vec<_>>(), ["keystore.jks"]);
}

#[tokio::test]
async fn metadata_are_read_without_values() {
    let metadata = json!({"name": "a", "labels": {"team": "blue"}, "annotations": {"note": "x"}});
    let reply = Reply::json(200, &json!({"kind": "PartialObjectMetadata", "metadata": metadata}));
    let bare = Reply::json(200, &json!({"kind": "PartialObjectMetadata", "metadata": {"name": "a"}}));
    let rig = Rig::expecting([(READ, reply), (READ, bare)]).await;
    let locator = Locator { want: Want::Metadata, ..latest("a") };
    let fetched = rig.fetch(locator.clone()).await.expect("metadata");
    assert_eq!(text(&fetched), r#"{"annotations":{"note":"x"},"labels":{"team":"blue"}}"#);
    assert_eq!(text(&rig.fetch(locator).await.expect("metadata")), r#"{"annotations":{},"labels":{}}"#);
    assert!(rig.finish()[0].header("accept").starts_with("application/json;as=PartialObjectMetadata;"));
}

#[tokio::test]
async fn only_a_secret_that_the_api_server_does_not_find_is_not_found() {
    let page = Reply::text(404, "404 page not found\n");
    let replies = [status(404, "NotFound", "secrets"), status(404, "NotFound", "namespaces"), page];
    let rig = Rig::expecting(replies.map(|reply| (READ, reply))).await;
    let absent = rig.failure("a").await;
    assert_eq!((absent.kind, absent.message.as_str()), (ErrorKind::NotFound, "there is no Secret a in namespace team"));
    for _ in 0..2 {
        let error = rig.failure("a").await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains("check that server.url is the address of an API server"), "{error}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_remedy() {
    for (reply, kind, words) in [
        (
            status(403, "Forbidden", "secrets"),
            ErrorKind::AccessDenied,
            "the login may not read Secret a in namespace team; bind it to a Role in namespace team",
        ),
        (status(401, "Unauthorized", ""), ErrorKind::Unauthenticated, "does not accept the login; check"),
        (status(500, "InternalError", ""), ErrorKind::Unavailable, "the server failed on Secret a"),
        (status(504, "Timeout", ""), ErrorKind::Unavailable, "the server failed on Secret a"),
        (status(400, "BadRequest", ""), ErrorKind::InvalidConfig, "did not accept the request for Secret a"),
        (Reply::text(200, ""), ErrorKind::Malformed, "the answer about Secret a in namespace team is empty"),
        (Reply::text(200, "<html>"), ErrorKind::Malformed, "is a web page"),
        (Reply::json(200, &json!({"kind": "Pod", "metadata": {}})), ErrorKind::Malformed, "is no Secret; check"),
        (
            Reply::json(200, &json!({"kind": "Secret", "metadata": {}, "data": {"k": "hunter2!"}})),
            ErrorKind::Malformed,
            "Secret a in namespace team: the value of the key \"k\" is not base64",
        ),
    ] {
        let rig = Rig::expecting([(READ, reply)]).await;
        let error = rig.failure("a").await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn an_overloaded_server_is_left_alone_as_long_as_it_wishes() {
    let rig = Rig::expecting([(READ, status(429, "TooManyRequests", "").header("Retry-After", "3"))]).await;
    let error = rig.failure("a").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Throttled, Retry::After(std::time::Duration::from_secs(3))));
}

#[tokio::test]
async fn a_key_that_is_no_name_asks_for_nothing() {
    let rig = Rig::expecting([]).await;
    for key in ["a/b", "../pods", "A", "a b", "a?x", &"a".repeat(254)] {
        let error = rig.failure(key).await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{key}");
        assert!(error.message.contains("cannot be a name of a Secret; name the Secret in `key`"), "{error}");
    }
    rig.finish();
}

#[tokio::test]
async fn a_version_is_refused_since_there_are_none() {
    let rig = Rig::expecting([]).await;
    let error = rig.fetch(Locator { version: Version::new("1").ok(), ..latest("a") }).await.expect_err("none");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("remove `version`"), "{error}");
}
