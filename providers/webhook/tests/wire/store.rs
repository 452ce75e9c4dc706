//! What in a store cannot be used, and whether a store works.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{ErrorKind, Provider, Retry, Unobserved};
use keyferry_testkit::ScriptedServer;
use keyferry_webhook::{Webhook, WebhookConfig};

use crate::rig::{Rig, config};

#[test]
fn what_cannot_be_used_is_named() {
    let at = |url: &str| WebhookConfig { url: url.into(), ..config() };
    let good = || at("https://h/{{ .remoteRef.key }}");
    let header = |text: &str| WebhookConfig { headers: BTreeMap::from([("X-Token".into(), text.into())]), ..good() };
    for (config, words) in [
        (at("h/{{ .remoteRef.key }}"), "url is not a URL with a host; write it like https://host:port/path"),
        (at(""), "url is not a URL with a host"),
        (at("ftp://h/"), "url must begin with https:// or http://"),
        (at("https://me:hunter2@h/"), "url must not hold a user name or password"),
        (at("https://h/{{ .remoteRef.key"), "the template in url is not a Go template: something is wrong at line 1"),
        (at("https://h/{{ .auth.token }}"), "the template in url names \"token\", which is not there"),
        (header("hunter2 {{ .auth.token }}"), "the template in the header \"X-Token\" names \"token\""),
        (header("hunter2 {{ env \"A\" }}"), "calls the function \"env\", which there is not"),
        (WebhookConfig { body: Some("{{ if }}".into()), ..good() }, "the template in body is not a Go template"),
        (WebhookConfig { method: Some("GE T".into()), ..good() }, "method \"GE T\" is not a method of HTTP"),
        (WebhookConfig { json_path: Some("value".into()), ..good() }, "result.jsonPath \"value\" is not a JSONPath"),
        (WebhookConfig { roots: Some("hunter2".into()), ..good() }, "caBundle or caProvider"),
    ] {
        let error = Webhook::new(config, Arc::new(Unobserved)).expect_err(words);
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{error}");
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_check_connects_and_asks_for_nothing() {
    let rig = Rig::with(config(), ScriptedServer::expecting([]).await);
    assert_eq!(rig.store.check().await, Ok(()));
    rig.finish();
    let config = WebhookConfig { url: "{{ .auth.user }}".into(), ..config() };
    let open = Webhook::new(config, Arc::new(Unobserved)).expect("a provider");
    assert_eq!(open.check().await, Ok(()));
}

#[tokio::test]
async fn a_check_of_a_server_that_is_not_there_fails() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    for (url, words) in [
        (format!("http://127.0.0.1:{port}/x"), format!("127.0.0.1:{port} cannot be reached: connection refused")),
        ("https://nobody.invalid/x".into(), "nobody.invalid:443 cannot be reached: its name is not known".into()),
    ] {
        let config = WebhookConfig { url, ..WebhookConfig::default() };
        let error = Webhook::new(config, Arc::new(Unobserved)).expect("a provider").check().await.expect_err("nobody");
        assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff));
        assert!(error.message.contains(&words), "{error}");
    }
}

#[test]
fn nothing_of_a_store_is_shown() {
    let config = WebhookConfig {
        url: "https://h/hunter2".into(),
        headers: BTreeMap::from([("X-Token".to_owned(), "hunter2".to_owned())]),
        body: Some("hunter2".into()),
        ..config()
    };
    let shown = format!("{config:?}");
    let shown = format!("{shown} {:?}", Webhook::new(config, Arc::new(Unobserved)).expect("a provider"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
