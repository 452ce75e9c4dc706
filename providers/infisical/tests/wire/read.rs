//! Reading single secrets.

use keyferry_core::{ErrorKind, Version};
use keyferry_fakes::infisical::{Import, Place, Secret};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::fixtures::{
    PROJECT, at, calls, config, dev, fetch_one, metadata, put, refused, scoped, server, store, text, value, version,
};

#[tokio::test]
async fn a_key_is_read_relative_to_the_scope_or_by_its_folder() {
    let server = server();
    for (path, name) in [("/app", "A"), ("/app/db", "A"), ("/shared", "A"), ("/", "A")] {
        put(&server, path, name, &format!("in {path}"));
    }
    let store = scoped(server.url(), "app/", false);
    for (key, path) in
        [("A", "/app"), ("db/A", "/app/db"), ("../shared/A", "/shared"), ("/shared/A", "/shared"), ("/A", "/")]
    {
        assert_eq!(value(&store, key).await, format!("in {path}"), "{key}");
    }
    assert_eq!(calls(&server), [1, 0, 5]);
}

#[tokio::test]
async fn the_request_is_the_public_apis() {
    let server = ScriptedServer::expecting([
        (
            "POST /vault/api/v1/auth/universal-auth/login",
            Reply::json(200, &json!({"accessToken": "t", "expiresIn": 60})),
        ),
        (
            "GET /vault/api/v3/secrets/raw/a%20b%3Fc?workspaceSlug=web-x1y2&environment=dev&secretPath=%2Fx&type=shared\
             &include_imports=true&expandSecretReferences=true&viewSecretValue=true",
            Reply::json(200, &json!({"secret": {"secretKey": "a b?c", "secretValue": "v", "version": 3}})),
        ),
    ])
    .await;
    let store = scoped(&format!("{}/vault/", server.url()), "/x", true);
    let fetched = fetch_one(&store, at("a b?c")).await.expect("a value");
    assert_eq!((&fetched.value, &fetched.version), (&"v".into(), &Version::new("3").ok()));
    let requests = server.finish();
    assert_eq!(requests[0].json(), json!({"clientId": "client-id", "clientSecret": "client-secret"}));
    assert_eq!(requests[1].header("authorization"), "Bearer t");
}

#[tokio::test]
async fn empty_and_odd_values_are_read_as_they_are() {
    let server = server();
    let store = store(config(server.url()));
    for odd in ["", " ", "{\"port\": 5432}", "42", "null", "\u{0}\u{7f}", "zeile\r\nzwei\n", "${"] {
        put(&server, "/", "ODD", odd);
        assert_eq!(value(&store, "ODD").await, odd, "{odd:?}");
    }
}

#[tokio::test]
async fn versions_are_numbers() {
    let server = server();
    put(&server, "/", "A", "one");
    put(&server, "/", "A", "two");
    let store = store(config(server.url()));
    assert_eq!(text(&fetch_one(&store, version("A", "1")).await), "one");
    let newest = fetch_one(&store, at("A")).await.expect("a value");
    assert_eq!((&newest.value, &newest.version), (&"two".into(), &Version::new("2").ok()));
    let absent = fetch_one(&store, version("A", "3")).await.expect_err("no such version");
    assert_eq!(absent.kind, ErrorKind::NotFound);
    assert_eq!(
        absent.message,
        "there is no version 3 of the secret A in folder / of environment dev of project web-x1y2"
    );
    assert_eq!(text(&fetch_one(&store, version("A", "latest")).await), "two");
    for wrong in ["newest", "0", "-1", "1.0"] {
        let error = fetch_one(&store, version("A", wrong)).await.expect_err("no number");
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{wrong}");
        assert_eq!(
            error.message,
            "the version of the key A is neither latest nor a whole number from 1 on, which is how Infisical counts them"
        );
    }
}

#[tokio::test]
async fn a_version_is_never_answered_by_an_import() {
    let server = server();
    let shared = Place::new(PROJECT, "prod", "/shared");
    assert!(server.put(Secret::new(&shared, "A", "of the import")).is_some());
    assert!(server.import(Import { into: dev("/"), from_environment: "prod".into(), from_path: "/shared".into() }));
    let store = store(config(server.url()));
    assert_eq!(value(&store, "A").await, "of the import");
    assert_eq!(fetch_one(&store, version("A", "7")).await.expect_err("no such version").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_server_that_does_not_heed_versions_is_found_out() {
    let server = answering(json!({"secret": {"secretKey": "A", "secretValue": "newest", "version": 9}})).await;
    let store = store(config(&server.url()));
    let error = fetch_one(&store, version("A", "2")).await.expect_err("another version");
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.starts_with("the server answered with another version of the secret A"), "{error}");
}

#[tokio::test]
async fn metadata_and_tags_are_one_object() {
    let server = server();
    let secret = Secret::new(&dev("/"), "A", "value").tagged(&["blue"]).described("team", "x");
    assert!(server.put(secret).is_some());
    put(&server, "/", "B", "value");
    let store = store(config(server.url()));
    assert_eq!(text(&fetch_one(&store, metadata("A")).await), r#"{"blue":"","team":"x"}"#);
    assert_eq!(text(&fetch_one(&store, metadata("B")).await), "{}");
    let absent = fetch_one(&store, metadata("C")).await.expect_err("no secret");
    assert_eq!(absent.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn references_are_expanded_unless_the_scope_says_no() {
    let server = server();
    put(&server, "/", "HOST", "db.example");
    put(&server, "/", "URL", "postgres://${HOST}/${dev.NAME}");
    put(&server, "/", "NAME", "app");
    assert_eq!(value(&store(config(server.url())), "URL").await, "postgres://db.example/app");
    let mut plain = config(server.url());
    plain.scope.expand_secret_references = false;
    assert_eq!(value(&store(plain), "URL").await, "postgres://${HOST}/${dev.NAME}");
}

#[tokio::test]
async fn a_missing_secret_is_not_found() {
    let server = server();
    put(&server, "/app", "A", "x");
    let store = store(config(server.url()));
    let error = refused(&store, "app/B").await;
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, Some(404)));
    assert_eq!(error.message, "there is no secret B in folder /app of environment dev of project web-x1y2");
    let error = refused(&store, "none/B").await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.message, "there is no folder /none in environment dev of project web-x1y2");
}

#[tokio::test]
async fn a_key_without_a_name_is_a_mistake() {
    let server = server();
    let error = refused(&store(config(server.url())), "app/").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(error.message, "the key app/ names no secret; the secret's name must follow its last slash");
    assert_eq!(calls(&server), [0, 0, 0]);
}

#[tokio::test]
async fn a_placeholder_is_never_taken_for_a_value() {
    let hidden = json!({"secretKey": "A", "secretValue": "<hidden-by-infisical>", "secretValueHidden": true});
    let server = answering(json!({"secret": hidden})).await;
    let error = refused(&store(config(&server.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert_eq!(
        error.message,
        "the machine identity may see that there is a secret A in folder /, but not its value; grant it a role that may \
         read values there"
    );
}

#[tokio::test]
async fn answers_of_another_shape_are_malformed() {
    for odd in [json!({}), json!({"secret": {}}), json!([]), json!({"secret": {"secretKey": "A", "secretValue": 1}})] {
        let server = answering(odd.clone()).await;
        assert_eq!(refused(&store(config(&server.url())), "A").await.kind, ErrorKind::Malformed, "{odd}");
    }
    let server = answering(json!({"secret": {"secretKey": "A"}})).await;
    let error = refused(&store(config(&server.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert_eq!(error.message, "the answer about the secret A in folder / holds no value");
}

/// A server that accepts every login and answers every read alike.
async fn answering(body: serde_json::Value) -> ScriptedServer {
    ScriptedServer::answering(move |request| match request.method.as_str() {
        "POST" => Reply::json(200, &json!({"accessToken": "t", "expiresIn": 3600})),
        _ => Reply::json(200, &body),
    })
    .await
}
