//! Access tokens that end, and that are ended.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keyferry_core::{Call, CallObserver, ErrorKind, Provider};
use keyferry_fakes::{
    faults::Fault,
    infisical::{Expiry, Identity, Method, Settings},
};
use keyferry_infisical::{Auth, Infisical};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::fixtures::{PROJECT, at, calls, config, fetch, put, refused, server, server_with, store, value};

#[tokio::test]
async fn an_expired_token_is_renewed_whether_the_server_says_401_or_403() {
    for expiry in [Expiry::Forbidden, Expiry::Unauthorized] {
        let server = server();
        server.word_expiry(expiry);
        put(&server, "/", "A", "a");
        put(&server, "/", "B", "b");
        let store = store(config(server.url()));
        assert_eq!(value(&store, "A").await, "a");
        server.expire_tokens();
        assert_eq!(value(&store, "A").await, "a", "{expiry:?}");
        assert_eq!(calls(&server), [2, 0, 3], "{expiry:?}");
        server.expire_tokens();
        assert!(fetch(&store, &["A", "B"].map(at)).await.iter().all(Result::is_ok));
        server.expire_tokens();
        assert!(store.check().await.is_ok());
        assert_eq!(server.counts().of("login"), 4);
    }
}

#[tokio::test]
async fn a_login_is_shared_by_all_calls() {
    let server = server();
    put(&server, "/", "A", "a");
    let store = store(config(server.url()));
    let reads = futures::future::join_all((0..50).map(|_| value(&store, "A"))).await;
    assert_eq!(reads.len(), 50);
    store.check().await.expect("a good store");
    assert_eq!(calls(&server), [1, 1, 50]);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_believed() {
    let server = server();
    put(&server, "/", "A", "a");
    let store = store(config(server.url()));
    assert_eq!(value(&store, "A").await, "a");
    server.faults().set("get-secret", Fault::Status { status: 403, retry_after: None });
    let error = refused(&store, "A").await;
    assert_eq!((error.kind, error.status), (ErrorKind::Unauthenticated, Some(403)));
    assert_eq!(
        error.message,
        "the access token is not accepted for the secret A in folder / of environment dev of project web-x1y2; check the \
         trusted IP addresses and the limits of the machine identity's access tokens"
    );
    assert_eq!(calls(&server), [2, 0, 3]);
}

#[tokio::test]
async fn a_denial_costs_no_login() {
    let server =
        server_with(Settings::default(), vec![Identity::universal("client-id", "client-secret", "another-project")]);
    let store = store(config(server.url()));
    for _ in 0..3 {
        assert_eq!(refused(&store, "A").await.kind, ErrorKind::AccessDenied);
    }
    assert_eq!(calls(&server), [1, 0, 3]);
}

#[tokio::test]
async fn a_denial_that_speaks_of_a_token_is_still_a_denial() {
    let server = ScriptedServer::answering(|request| {
        let message = "You do not have permission to view secret value on secret with name 'API_TOKEN'";
        match request.method.as_str() {
            "POST" => Reply::json(200, &json!({"accessToken": "t", "expiresIn": 3600})),
            _ => Reply::json(403, &json!({"statusCode": 403, "error": "ForbiddenReadSecretError", "message": message})),
        }
    })
    .await;
    assert_eq!(refused(&store(config(&server.url())), "API_TOKEN").await.kind, ErrorKind::AccessDenied);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_used_too_often_is_renewed() {
    let server = ScriptedServer::answering(|request| {
        let used_up = json!({"statusCode": 400, "error": "BadRequest",
            "message": "Unable to renew because access token number of uses limit reached"});
        match (request.method.as_str(), request.header("authorization")) {
            ("POST", _) => Reply::json(200, &json!({"accessToken": "fresh", "expiresIn": 0})),
            (_, "Bearer fresh") if request.path.ends_with("/B") => Reply::json(400, &used_up),
            _ => Reply::json(200, &json!({"secret": {"secretKey": "A", "secretValue": "a"}})),
        }
    })
    .await;
    let store = store(config(&server.url()));
    assert_eq!(value(&store, "A").await, "a");
    assert_eq!(refused(&store, "B").await.kind, ErrorKind::Unauthenticated);
    let posts = server.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_its_end_and_never_where_it_has_none() {
    for (ttl, logins) in [(Duration::from_mins(10), 2), (Duration::ZERO, 1)] {
        let server = server_with(
            Settings { token_ttl: ttl, ..Settings::default() },
            vec![Identity::universal("client-id", "client-secret", PROJECT)],
        );
        put(&server, "/", "A", "a");
        let store = store(config(server.url()));
        assert_eq!(value(&store, "A").await, "a");
        tokio::time::advance(Duration::from_mins(9)).await;
        assert_eq!(value(&store, "A").await, "a");
        assert_eq!(calls(&server), [logins, 0, 2], "{ttl:?}");
    }
}

#[tokio::test]
async fn a_given_token_is_used_as_it_is_and_its_end_is_told() {
    let server = server();
    let identity = Identity::new("by-token", Method::Token { access_token: "given".into() }, PROJECT);
    server.grant(identity);
    put(&server, "/", "A", "a");
    let mut config = config(server.url());
    config.auth = Auth::Token { access_token: "given\n".into() };
    let store = store(config);
    assert_eq!(value(&store, "A").await, "a");
    server.revoke("by-token");
    let error = refused(&store, "A").await;
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(
        error.message.ends_with(
            "it has expired or been revoked: make a new one and put it where auth.tokenAuthCredentials.accessToken points"
        ),
        "{error}"
    );
    assert_eq!(server.counts().of("login"), 0);
}

#[tokio::test]
async fn what_a_login_gave_is_revoked_in_the_end() {
    let server = server();
    put(&server, "/", "A", "a");
    let store = store(config(server.url()));
    store.close().await;
    assert_eq!(server.counts().of("revoke-token"), 0, "there was no login");
    assert_eq!(value(&store, "A").await, "a");
    store.close().await;
    store.close().await;
    assert_eq!((server.revoked_tokens(), server.counts().of("revoke-token")), (1, 1));
    assert_eq!(value(&store, "A").await, "a");
    assert_eq!(calls(&server), [2, 0, 2]);
}

#[tokio::test]
async fn a_token_that_cannot_be_revoked_harms_nobody() {
    let server = server();
    put(&server, "/", "A", "a");
    let store = store(config(server.url()));
    assert_eq!(value(&store, "A").await, "a");
    server.expire_tokens();
    store.close().await;
    assert_eq!((server.revoked_tokens(), server.counts().of("revoke-token")), (0, 1));
    assert_eq!(value(&store, "A").await, "a");
    server.faults().set("revoke-token", Fault::Status { status: 500, retry_after: None });
    store.close().await;
    assert_eq!(value(&store, "A").await, "a");
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<&'static str>>);

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("not poisoned").push(call.operation);
    }
}

#[tokio::test]
async fn a_revocation_is_the_public_apis_and_counts_as_a_call() {
    let server = ScriptedServer::answering(|request| match request.path.as_str() {
        "/api/v1/auth/universal-auth/login" => Reply::json(200, &json!({"accessToken": "t", "expiresIn": 60})),
        "/api/v1/auth/token/revoke" => Reply::json(200, &json!({"message": "Successfully revoked access token"})),
        _ => Reply::json(200, &json!({"secrets": [{"secretKey": "A"}]})),
    })
    .await;
    let heard = Arc::new(Heard::default());
    let store = Infisical::new(config(&server.url()), heard.clone()).expect("good settings");
    assert_eq!(store.check().await, Ok(()));
    store.close().await;
    let operations = heard.0.lock().expect("not poisoned").clone();
    assert_eq!(operations, ["MachineIdentityLoginViaUniversalAuth", "GetSecretsV3", "RevokeAccessToken"]);
    let requests = server.requests();
    assert_eq!(requests[2].line(), "POST /api/v1/auth/token/revoke");
    assert_eq!(requests[2].json(), json!({"accessToken": "t"}));
}

#[tokio::test]
async fn a_given_token_is_not_ours_to_revoke() {
    let server = server();
    server.grant(Identity::new("by-token", Method::Token { access_token: "given".into() }, PROJECT));
    put(&server, "/", "A", "a");
    let mut config = config(server.url());
    config.auth = Auth::Token { access_token: "given".into() };
    let store = store(config);
    assert_eq!(value(&store, "A").await, "a");
    store.close().await;
    assert_eq!(server.counts().of("revoke-token"), 0);
    assert_eq!(value(&store, "A").await, "a");
}
