//! What is made of answers.

use std::time::Duration;

use keyferry_core::{ErrorKind, Locator, Provider, Query, Retry, Want};
use keyferry_testkit::Reply;
use keyferry_webhook::WebhookConfig;
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{READ, Rig, config, latest};

fn whole() -> WebhookConfig {
    WebhookConfig { json_path: None, ..config() }
}

#[tokio::test]
async fn a_path_takes_the_value_digit_by_digit() {
    let script = [
        (READ, Reply::text(200, r#"{"value": 12345678901234567890.10}"#)),
        (READ, Reply::json(200, &json!({"value": {"b": 1, "a": "<"}}))),
        (READ, Reply::json(200, &json!({"value": null}))),
    ];
    let rig = Rig::expecting(config(), script).await;
    for expected in ["12345678901234567890.10", r#"{"a":"\u003c","b":1}"#, ""] {
        assert_eq!(rig.value("a").await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn without_a_path_the_answer_is_the_value() {
    let rig =
        Rig::expecting(whole(), [(READ, Reply::text(200, " hunter2\n")), (READ, Reply::text(200, "{\"b\": 1}"))]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok(" hunter2\n"));
    assert_eq!(rig.value("a").await.as_deref(), Ok("{\"b\": 1}"));
}

#[tokio::test]
async fn what_holds_no_value_does_not_become_one() {
    for (config, reply, words) in [
        (whole(), Reply::text(200, ""), "the answer about the key a is empty"),
        (whole(), Reply::text(200, " \n"), "the answer about the key a is empty"),
        (whole(), Reply::text(204, ""), "the answer about the key a is empty"),
        (whole(), Reply::text(200, "\n<!DOCTYPE html><p>hunter2"), "is a web page; check `url` and the login"),
        (config(), Reply::text(200, ""), "the answer about the key a is empty"),
        (config(), Reply::text(200, "hunter2"), "is not JSON"),
        (config(), Reply::text(200, "{\"value\": \"hunter2"), "ends half way"),
        (config(), Reply::text(200, "{\"other\": \"hunter2\"}"), "has nothing at result.jsonPath"),
        (config(), Reply::text(200, "{\"value\": []}"), "has an empty list at result.jsonPath"),
    ] {
        let rig = Rig::expecting(config, [(READ, reply)]).await;
        let error = rig.failure("a").await;
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_kind() {
    for (reply, kind, words) in [
        (Reply::json(404, &json!({"error": "hunter2"})), ErrorKind::NotFound, "the server does not know the key a"),
        (Reply::text(404, "404 page not found\n"), ErrorKind::NotFound, "the server does not know the key a"),
        (Reply::text(404, "<html>hunter2</html>"), ErrorKind::InvalidConfig, "a web page says that the key a is not"),
        (Reply::text(401, "hunter2"), ErrorKind::Unauthenticated, "the login was not accepted for the key a"),
        (Reply::text(403, "hunter2"), ErrorKind::AccessDenied, "the login may not use the key a"),
        (Reply::text(302, "").header("Location", "/x"), ErrorKind::InvalidConfig, "name the final address"),
        (Reply::text(500, "hunter2"), ErrorKind::Unavailable, "the server failed on the key a"),
    ] {
        let rig = Rig::expecting(config(), [(READ, reply)]).await;
        let error = rig.failure("a").await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
        rig.finish();
    }
    let rig = Rig::expecting(config(), [(READ, Reply::text(429, "").header("Retry-After", "2"))]).await;
    let error = rig.failure("a").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Throttled, Retry::After(Duration::from_secs(2))));
}

#[tokio::test]
async fn a_store_can_have_less_patience_than_others() {
    let config = WebhookConfig { timeout: Some(Duration::from_millis(50)), ..config() };
    let rig = Rig::expecting(config, [(READ, Reply::hang())]).await;
    let error = rig.failure("a").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::TimedOut, Retry::Backoff));
    assert!(error.message.contains("did not answer within 50ms, the store's `timeout`"), "{error}");
}

#[tokio::test]
async fn metadata_and_listings_are_refused() {
    let rig = Rig::expecting(config(), []).await;
    let error = rig.read(Locator { want: Want::Metadata, ..latest("a") }).await.expect_err("no metadata");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("remove `metadataPolicy: Fetch`"), "{error}");
    let error = rig.store.list(&Query::default(), Instant::now()).await.expect_err("no listing");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("without `dataFrom.find`"), "{error}");
    rig.finish();
}
