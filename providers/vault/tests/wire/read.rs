//! Reading values and metadata.

use keyferry_core::{Error, ErrorKind, Provider, Query, Retry, Version};
use keyferry_testkit::Reply;
use keyferry_vault::{Auth, KvVersion, Vault, VaultConfig};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::rig::{MOUNT, READ, Rig, latest, metadata, mounted, refused, secret, token, version};

#[tokio::test]
async fn version_2_yields_canonical_json_and_the_version() {
    let body = r#"{"data": {"data": {"b": 9007199254740993123, "a": "<x>"}, "metadata": {"version": 7}}}"#;
    let rig = Rig::expecting(token(), [(READ, Reply::text(200, body))]).await;
    let fetched = rig.fetch(latest("a")).await.expect("a value");
    assert_eq!(fetched.value.expose_str(), Some(r#"{"a":"\u003cx\u003e","b":9007199254740993123}"#));
    assert_eq!(fetched.version.as_ref().map(Version::as_str), Some("7"));
    assert_eq!(rig.heard.calls(), [("ReadSecretData", Ok(()))]);
    let [request] = rig.finish().try_into().expect("one request");
    assert_eq!(request.header("x-vault-token"), "t-static");
    assert_eq!(request.header("x-vault-request"), "true");
    assert_eq!(request.header("x-vault-namespace"), "");
}

#[tokio::test]
async fn version_1_reads_without_data_in_the_path() {
    let config = VaultConfig { version: KvVersion::V1, ..token() };
    let reply = Reply::json(200, &json!({"data": {"user": "u", "n": 1}, "lease_duration": 2_764_800}));
    let rig = Rig::expecting(config, [("GET /v1/kv/a/b", reply)]).await;
    assert_eq!(rig.value("a/b").await, Ok(r#"{"n":1,"user":"u"}"#.into()));
    rig.finish();
}

#[tokio::test]
async fn a_version_is_asked_for() {
    let rig = Rig::expecting(token(), [("GET /v1/kv/data/a?version=3", secret(&json!({"k": "old"}), 3))]).await;
    let fetched = rig.fetch(version("a", "3")).await.expect("a value");
    assert_eq!(fetched.value.expose_str(), Some(r#"{"k":"old"}"#));
    for wrong in ["latest", "-1", "1.5", "1 "] {
        let error = rig.fetch(version("a", wrong)).await.expect_err(wrong);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        let text =
            "the key a has a `version` that is not a number; name one that the secret has, or none for the newest";
        assert_eq!(error.message, text);
    }
    rig.finish();
}

#[tokio::test]
async fn several_keys_are_read_at_once_and_answered_in_order() {
    let rig = Rig::answering(token(), |request| match request.path.as_str() {
        "/v1/kv/data/bad" => refused(404, &[]),
        path => secret(&json!({"at": path}), 1),
    })
    .await;
    let keys: Vec<_> = ["a", "bad", "c"].map(latest).into();
    let answers = rig.vault.fetch(&keys, Instant::now()).await;
    let texts: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|fetched| fetched.value.expose_str().map(str::to_owned)).map_err(|error| error.kind))
        .collect();
    let value = |key| Ok(Some(format!(r#"{{"at":"/v1/kv/data/{key}"}}"#)));
    assert_eq!(texts, [value("a"), Err(ErrorKind::NotFound), value("c")]);
}

#[tokio::test]
async fn names_are_encoded() {
    for (key, path) in [
        ("a b/c?d#e", "a%20b/c%3Fd%23e"),
        ("50%/%2e%2e/x", "50%25/%252e%252e/x"),
        ("ü/日本", "%C3%BC/%E6%97%A5%E6%9C%AC"),
        ("/a//b/", "a/b"),
        ("a+b;c&d=e:@", "a+b;c&d=e:@"),
        (r"a\..\b", "a%5C..%5Cb"),
    ] {
        let line = format!("GET /v1/kv/data/{path}");
        let rig = Rig::expecting(token(), [(line.as_str(), secret(&json!({}), 1))]).await;
        assert_eq!(rig.value(key).await, Ok("{}".into()), "{key}");
        rig.finish();
    }
}

/// What is left of a tab in a URL is nothing, and of `.<tab>.` a segment `..`.
#[tokio::test]
async fn no_key_leads_out_of_its_mount() {
    let rig = Rig::expecting(token(), []).await;
    for key in ["../../sys/policy", "a/../../../sys/mounts", "a/./b", ".\t./.\t./sys/mounts", "a\n", ".\r./b"] {
        let error = rig.failure(key).await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{key:?}");
        assert!(error.message.starts_with("the path \"kv/data/"), "{error}");
        assert!(error.message.contains("must not have a") && !error.message.contains('\n'), "{error}");
    }
    rig.finish();
}

#[tokio::test]
async fn namespace_and_further_headers_are_sent() {
    let headers = [("X-Extra".to_owned(), "e".into()), ("X-Vault-Namespace".to_owned(), "mistake".into())];
    let config = VaultConfig { namespace: Some("team/a".into()), headers: headers.into(), ..token() };
    let rig = Rig::expecting(config, [(READ, secret(&json!({}), 1))]).await;
    assert!(rig.value("a").await.is_ok());
    let [request] = rig.finish().try_into().expect("one request");
    assert_eq!([request.header("x-extra"), request.header("x-vault-namespace")], ["e", "team/a"]);
}

#[tokio::test]
async fn metadata_is_one_object_of_strings() {
    let data = json!({
        "created_time": "2026-01-02T03:04:05Z", "current_version": 4, "delete_version_after": "0s",
        "custom_metadata": {"owner": "me", "created_time": "mine"}, "versions": {"4": {}},
    });
    let rig = Rig::expecting(token(), [("GET /v1/kv/metadata/a", Reply::json(200, &json!({"data": data})))]).await;
    let fetched = rig.fetch(metadata("a")).await.expect("metadata");
    let expected = r#"{"created_time":"mine","current_version":"4","delete_version_after":"0s","owner":"me"}"#;
    assert_eq!(fetched.value.expose_str(), Some(expected));
    rig.finish();
}

#[tokio::test]
async fn version_1_has_neither_versions_nor_metadata() {
    let rig = Rig::expecting(VaultConfig { version: KvVersion::V1, ..token() }, []).await;
    for locator in [version("a", "1"), metadata("a")] {
        assert_eq!(rig.fetch(locator).await.map_err(|error| error.kind), Err(ErrorKind::Unsupported));
    }
    let can = rig.vault.capabilities();
    assert!(!can.versions && !can.metadata && !can.find_by_tags && can.find_by_path);
    rig.finish();
}

async fn failure(reply: Reply) -> Error {
    let config = VaultConfig { auth: Auth::None, ..token() };
    let rig = Rig::answering(config, move |request| match request.line().as_str() {
        READ => reply.clone(),
        _ => mounted(2),
    })
    .await;
    let error = rig.failure("a").await;
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert_eq!(rig.heard.calls()[0], ("ReadSecretData", Err(error.kind)));
    error
}

async fn kind(reply: Reply) -> (ErrorKind, Retry) {
    let error = failure(reply).await;
    (error.kind, error.retry)
}

fn deleted(data: &Value) -> Value {
    json!({"data": {"data": data, "metadata": {"version": 2, "deletion_time": "2026-01-02T03:04:05Z", "destroyed": false}}})
}

#[tokio::test]
async fn only_two_answers_mean_that_a_secret_is_gone() {
    assert_eq!(kind(refused(404, &[])).await.0, ErrorKind::NotFound);
    assert_eq!(kind(Reply::json(404, &deleted(&Value::Null))).await.0, ErrorKind::NotFound);
    assert_eq!(kind(Reply::json(200, &deleted(&Value::Null))).await.0, ErrorKind::NotFound);
    for reply in [
        refused(404, &["no handler for route \"kv/data/a\". route entry not found."]),
        refused(404, &["namespace not found"]),
        refused(404, &["hunter2"]),
        Reply::json(404, &json!({"data": null, "warnings": ["Invalid path for a versioned K/V secrets engine."]})),
        Reply::json(404, &json!({})),
        Reply::text(404, "404 page not found"),
        Reply::text(404, ""),
    ] {
        assert_eq!(kind(reply.clone()).await.0, ErrorKind::InvalidConfig, "{reply:?}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_named() {
    let script = [("GET /v1/kv/data/a?version=9", refused(404, &[])), (MOUNT, mounted(2))];
    let rig = Rig::expecting(token(), script).await;
    let error = rig.fetch(version("a", "9")).await.expect_err("no such version");
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "there is no version 9 of kv/data/a"));
    rig.finish();
}

#[tokio::test]
async fn an_engine_without_versions_is_not_believed() {
    let list = "GET /v1/kv/metadata/?list=true";
    let metadata_of = "GET /v1/kv/metadata/a";
    let absent = || refused(404, &[]);
    let script = [
        (READ, absent()),
        (MOUNT, mounted(1)),
        (metadata_of, absent()),
        (MOUNT, mounted(1)),
        (list, absent()),
        (MOUNT, mounted(1)),
    ];
    let rig = Rig::expecting(token(), script).await;
    let read = rig.failure("a").await;
    let described = rig.fetch(metadata("a")).await.expect_err("no metadata");
    let listed = rig.vault.list(&Query::default(), Instant::now()).await.expect_err("no names");
    for error in [read, described, listed] {
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        let text = "the engine at kv is not KV version 2; set `version: v1` in the store, or correct `path`";
        assert_eq!(error.message, text);
    }
    rig.finish();
}

#[tokio::test]
async fn an_engine_is_asked_for_once_and_believed_where_nobody_tells() {
    for told in [mounted(2), refused(403, &["preflight capability check returned 403"]), refused(404, &[])] {
        let script = [(READ, refused(404, &[])), (MOUNT, told), (READ, refused(404, &[]))];
        let rig = Rig::expecting(token(), script).await;
        for _ in 0..2 {
            assert_eq!(rig.failure("a").await.kind, ErrorKind::NotFound);
        }
        rig.finish();
    }
    let script =
        [(READ, refused(404, &[])), (MOUNT, refused(500, &[])), (READ, refused(404, &[])), (MOUNT, mounted(2))];
    let rig = Rig::expecting(token(), script).await;
    assert_eq!(rig.failure("a").await.kind, ErrorKind::Unavailable, "nothing is certain yet");
    assert_eq!(rig.failure("a").await.kind, ErrorKind::NotFound);
    rig.finish();
}

#[tokio::test]
async fn a_version_that_will_be_deleted_later_can_be_read() {
    let rig = Rig::expecting(token(), [(READ, Reply::json(200, &deleted(&json!({"k": "v"}))))]).await;
    assert_eq!(rig.value("a").await, Ok(r#"{"k":"v"}"#.into()));
    rig.finish();
}

#[tokio::test]
async fn each_refusal_has_its_kind() {
    for (reply, expected) in [
        (refused(400, &["hunter2"]), (ErrorKind::InvalidConfig, Retry::Never)),
        (refused(400, &["missing client token"]), (ErrorKind::Unauthenticated, Retry::Never)),
        (
            refused(400, &["Upgrading from non-versioned to versioned data. This backend will be unavailable"]),
            (ErrorKind::Unavailable, Retry::Backoff),
        ),
        (refused(403, &["permission denied"]), (ErrorKind::AccessDenied, Retry::Never)),
        (
            refused(403, &["2 errors occurred: permission denied, invalid token"]),
            (ErrorKind::Unauthenticated, Retry::Never),
        ),
        (refused(412, &["required index state not present"]), (ErrorKind::Unavailable, Retry::Backoff)),
        (refused(429, &["quota"]), (ErrorKind::Throttled, Retry::Backoff)),
        (refused(472, &[]), (ErrorKind::Unavailable, Retry::Backoff)),
        (refused(473, &[]), (ErrorKind::Unavailable, Retry::Backoff)),
        (refused(500, &["hunter2"]), (ErrorKind::Unavailable, Retry::Backoff)),
        (refused(503, &["Vault is sealed"]), (ErrorKind::Unavailable, Retry::Backoff)),
    ] {
        assert_eq!(kind(reply.clone()).await, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn an_answer_without_data_is_malformed() {
    let live = json!({"version": 1, "deletion_time": "", "destroyed": false});
    for body in [
        json!({}),
        json!({"data": null}),
        json!({"data": {}}),
        json!({"data": {"data": null, "metadata": live}}),
        json!({"data": {"data": "hunter2", "metadata": live}}),
        json!({"data": {"data": ["hunter2"], "metadata": live}}),
    ] {
        assert_eq!(kind(Reply::json(200, &body)).await.0, ErrorKind::Malformed, "{body}");
    }
    assert_eq!(kind(Reply::text(200, "")).await.0, ErrorKind::Malformed);
    assert_eq!(kind(secret(&json!({"k": "hunter2"}), 1).truncated()).await, (ErrorKind::Malformed, Retry::Backoff));
}

fn refused_at_once(config: VaultConfig) -> Error {
    Vault::new(config, std::sync::Arc::new(keyferry_core::Unobserved)).expect_err("cannot work")
}

#[test]
fn a_wrong_address_is_named() {
    for server in ["", "vault:8200", "ftp://vault", "https://user:hunter2@vault"] {
        let config = VaultConfig { server: server.into(), ..VaultConfig::default() };
        let error = refused_at_once(config);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("server: ") && !error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn settings_that_cannot_be_sent_are_named_before_anything_is() {
    let address = || VaultConfig { server: "http://vault.example".into(), ..token() };
    let static_token = |token: &str| VaultConfig { auth: Auth::Token(token.into()), ..address() };
    let header = |name: &str| [(name.to_owned(), "hunter2".into())].into();
    for (config, told) in [
        (static_token(" \n"), "auth.tokenSecretRef: the token in the Secret is empty; put one there"),
        (static_token("hunter2\nhunter3"), "auth.tokenSecretRef: the token in the Secret has a line break or another"),
        (VaultConfig { headers: header("X Y"), ..address() }, "headers: \"X Y\" is not a name of an HTTP header"),
        (VaultConfig { headers: header("Connection"), ..address() }, "headers: Connection is about the connection"),
        (VaultConfig { namespace: Some("a\nb".into()), ..address() }, "namespace: the name has a line break"),
    ] {
        let error = refused_at_once(config);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with(told) && !error.to_string().contains("hunter"), "{error}");
    }
}
