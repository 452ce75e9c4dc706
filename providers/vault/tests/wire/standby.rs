//! Servers that send their clients on to the active node.

use keyferry_core::{ErrorKind, Provider, Query};
use keyferry_testkit::{Reply, ScriptedServer};
use keyferry_vault::VaultConfig;
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{LOGIN, READ, Rig, app_role, granted, secret, token};

fn moved(location: &str) -> Reply {
    Reply::text(307, "").header("Location", location)
}

/// A standby that sends everything to `active`.
async fn standby(config: VaultConfig, active: &ScriptedServer) -> Rig {
    let active = active.url();
    Rig::answering(config, move |request| moved(&format!("{active}{}?{}", request.path, request.query))).await
}

#[tokio::test]
async fn the_active_node_is_asked_the_same() {
    let list = "GET /v1/kv/metadata/?list=true";
    let keys = Reply::json(200, &json!({"data": {"keys": ["a"]}}));
    let script = [(LOGIN, granted("t-1", 3600)), (READ, secret(&json!({"k": "v"}), 1)), (list, keys)];
    let active = ScriptedServer::expecting(script).await;
    let config = VaultConfig {
        namespace: Some("team".into()),
        headers: [("X-Extra".to_owned(), "e".into())].into(),
        ..app_role()
    };
    let rig = standby(config, &active).await;
    assert_eq!(rig.value("a").await, Ok(r#"{"k":"v"}"#.into()));
    assert_eq!(rig.vault.list(&Query::default(), Instant::now()).await.expect("a page").items.len(), 1);
    assert!(rig.heard.calls().iter().all(|(_, outcome)| outcome.is_ok()), "{:?}", rig.heard.calls());
    let [login, read, _] = active.finish().try_into().expect("three requests");
    assert_eq!(login.json(), json!({"role_id": "r-1", "secret_id": "hunter2"}));
    let carried = ["x-vault-token", "x-vault-namespace", "x-extra"].map(|name| read.header(name).to_owned());
    assert_eq!(carried, ["t-1", "team", "e"]);
}

#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let elsewhere = ScriptedServer::expecting([]).await;
    for path in ["/login", "/v1/kv/data/b", "/v1/sys/mounts", ""] {
        let location = format!("{}{path}", elsewhere.url());
        let rig = Rig::expecting(token(), [(READ, moved(&location))]).await;
        let error = rig.failure("a").await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains("redirects kv/data/a to another address; name the final address"), "{error}");
        rig.finish();
    }
    assert!(elsewhere.finish().is_empty());
}

#[tokio::test]
async fn a_circle_is_left_after_one_round() {
    let rig = Rig::answering(token(), |_| moved("/v1/kv/data/a")).await;
    assert_eq!(rig.failure("a").await.kind, ErrorKind::InvalidConfig);
    assert_eq!(rig.server.requests().len(), 2);
}
