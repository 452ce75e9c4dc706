//! What a request looks like.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{ErrorKind, Locator, Version};
use keyferry_testkit::{Reply, ScriptedServer};
use keyferry_webhook::WebhookConfig;
use serde_json::json;

use crate::rig::{READ, Rig, config, latest};

fn answer() -> Reply {
    Reply::json(200, &json!({"value": "v"}))
}

fn headers(headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn a_plain_store_sends_a_plain_get() {
    let rig = Rig::expecting(config(), [(READ, answer())]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok("v"));
    let request = &rig.finish()[0];
    assert_eq!((request.header("authorization"), request.body.len()), ("", 0));
}

#[tokio::test]
async fn all_parts_are_templates_and_only_the_url_is_escaped() {
    let reference =
        "{{ .remoteRef.key }}|{{ .remoteRef.version }}|{{ .remoteRef.property }}|{{ .remoteRef.namespace }}";
    let config = WebhookConfig {
        url: format!("/s?q={reference}"),
        method: Some("post".into()),
        headers: headers(&[
            ("Authorization", "Basic {{ print .auth.user \":\" .auth.password | b64enc }}"),
            ("X-Key", reference),
            ("content-type", "text/x-{{ .auth.user }}"),
        ]),
        body: Some(format!("{{\"k\": {{{{ .remoteRef.key | quote }}}}, \"all\": \"{reference}\"}}")),
        ..config()
    };
    let line = "POST /s?q=a%2Fb+%26|2|p.q|team";
    let rig = Rig::expecting(config, [(line, answer())]).await;
    let locator = Locator { version: Version::new("2").ok(), property: Some(Arc::from("p.q")), ..latest("a/b &") };
    assert_eq!(rig.read(locator).await.as_deref(), Ok("v"));
    let request = &rig.finish()[0];
    assert_eq!(request.header("authorization"), "Basic YW5uOmh1bnRlcjI=");
    assert_eq!(request.header("x-key"), "a/b &|2|p.q|team");
    assert_eq!(request.header("content-type"), "text/x-ann");
    assert_eq!(request.text(), r#"{"k": "a/b &", "all": "a/b &|2|p.q|team"}"#);
}

#[tokio::test]
async fn a_body_is_json_unless_a_header_says_otherwise() {
    let config = WebhookConfig { method: Some("PUT".into()), body: Some("{}".into()), ..config() };
    let rig = Rig::expecting(config, [("PUT /s/a", answer())]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok("v"));
    assert_eq!(rig.finish()[0].header("content-type"), "application/json");
}

#[tokio::test]
async fn a_key_cannot_leave_its_place_in_the_url() {
    let script = [("GET /s/..%2Fadmin", answer()), ("GET /s/a%3Fx%3D1%23y", answer())];
    let rig = Rig::expecting(config(), script).await;
    for key in ["../admin", "a?x=1#y"] {
        assert_eq!(rig.value(key).await.as_deref(), Ok("v"), "{key}");
    }
    for key in ["..", "."] {
        let error = rig.failure(key).await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{key}");
        assert!(error.message.contains("the url that comes out must not have a path segment"), "{error}");
    }
    rig.finish();
}

#[tokio::test]
async fn what_cannot_be_sent_is_named_but_not_shown() {
    let server = || ScriptedServer::expecting([]);
    let broken = |text: &str| WebhookConfig { headers: headers(&[("X-Token", text)]), ..config() };
    for (config, words) in [
        (broken("{{ print .auth.password \"\\n\" \"x\" }}"), "the value for the header X-Token holds characters"),
        (
            broken("{{ index .auth.password 99 }}"),
            "the key a: the template in the header \"X-Token\" cannot be filled in",
        ),
        (
            WebhookConfig { headers: headers(&[("X Token", "a")]), ..config() },
            "\"X Token\" is not a name of an HTTP header",
        ),
        (
            WebhookConfig { body: Some("{{ range 5000 }}x{{ end }}".into()), ..config() },
            "the key a: the template in body loops more than 1000 times",
        ),
    ] {
        let rig = Rig::with(config, server().await);
        let error = rig.failure("a").await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
        rig.finish();
    }
}
