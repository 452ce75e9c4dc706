//! Reading values and metadata.

use keyferry_core::{ErrorKind, Provider, Retry, Version};
use keyferry_testkit::Reply;
use keyferry_vault::{KvVersion, Vault, VaultConfig};
use serde_json::{Value, json};

use crate::rig::{READ, Rig, latest, metadata, refused, secret, token, version};

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
    assert_eq!(rig.fetch(version("a", "latest")).await.map_err(|error| error.kind), Err(ErrorKind::InvalidConfig));
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
    let answers = rig.vault.fetch(&keys, tokio::time::Instant::now()).await;
    let texts: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|fetched| fetched.value.expose_str().map(str::to_owned)).map_err(|error| error.kind))
        .collect();
    let value = |key| Ok(Some(format!(r#"{{"at":"/v1/kv/data/{key}"}}"#)));
    assert_eq!(texts, [value("a"), Err(ErrorKind::NotFound), value("c")]);
}

#[tokio::test]
async fn names_are_encoded_and_cannot_leave_the_mount() {
    let rig = Rig::expecting(token(), [("GET /v1/kv/data/a%20b/c%3Fd", secret(&json!({}), 1))]).await;
    assert_eq!(rig.value("a b/c?d").await, Ok("{}".into()));
    let error = rig.failure("../../sys/policy").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("path segment"), "{error}");
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

async fn kind(reply: Reply) -> (ErrorKind, Retry) {
    let rig = Rig::expecting(VaultConfig { auth: keyferry_vault::Auth::None, ..token() }, [(READ, reply)]).await;
    let error = rig.failure("a").await;
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert_eq!(rig.heard.calls(), [("ReadSecretData", Err(error.kind))]);
    rig.finish();
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
async fn a_version_that_will_be_deleted_later_can_be_read() {
    let rig = Rig::expecting(token(), [(READ, Reply::json(200, &deleted(&json!({"k": "v"}))))]).await;
    assert_eq!(rig.value("a").await, Ok(r#"{"k":"v"}"#.into()));
    rig.finish();
}

#[tokio::test]
async fn each_refusal_has_its_kind() {
    for (reply, expected) in [
        (refused(400, &["hunter2"]), (ErrorKind::InvalidConfig, Retry::Never)),
        (refused(403, &["permission denied"]), (ErrorKind::AccessDenied, Retry::Never)),
        (
            refused(403, &["2 errors occurred: permission denied, invalid token"]),
            (ErrorKind::Unauthenticated, Retry::Never),
        ),
        (refused(412, &["required index state not present"]), (ErrorKind::Unavailable, Retry::Backoff)),
        (refused(429, &["quota"]), (ErrorKind::Throttled, Retry::Backoff)),
        (refused(472, &[]), (ErrorKind::Unavailable, Retry::Backoff)),
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

#[test]
fn a_wrong_address_is_named() {
    for server in ["", "vault:8200", "ftp://vault", "https://user:hunter2@vault"] {
        let config = VaultConfig { server: server.into(), ..VaultConfig::default() };
        let error = Vault::new(config, std::sync::Arc::new(keyferry_core::Unobserved)).expect_err(server);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("server: ") && !error.message.contains("hunter2"), "{error}");
    }
}
