//! What the clouds' metadata services are asked, and what becomes of each answer.

use std::{sync::Arc, time::Duration};

use keyferry_clouds::{
    azure::{ManagedIdentity, Which},
    google::{Endpoints, Google},
};
use keyferry_core::{ErrorKind, SecretBytes, Unobserved};
use keyferry_rest::{BaseUrl, Client, Tls};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

fn http() -> Client {
    Client::new("Test", &Tls::default(), Arc::new(Unobserved)).expect("a client")
}

fn at(server: &ScriptedServer) -> BaseUrl {
    BaseUrl::parse(&server.url()).expect("a URL")
}

fn identity(server: &ScriptedServer, which: Option<Which>) -> ManagedIdentity {
    ManagedIdentity::new(http(), &at(server), "https://api/".into(), which, "auth.x").expect("an identity")
}

fn google(server: &ScriptedServer) -> Google {
    let endpoints = Endpoints { iam_credentials: Some(at(server)), metadata: Some(at(server)), ..Endpoints::default() };
    Google { http: http(), endpoints }
}

#[tokio::test]
async fn a_managed_identity_is_the_only_one_or_the_one_that_is_named() {
    let line = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fapi%2F";
    for (which, query) in [
        (None, ""),
        (Some(Which::ClientId("c".into())), "&client_id=c"),
        (Some(Which::ObjectId("o".into())), "&object_id=o"),
    ] {
        let reply = Reply::json(200, &json!({"access_token": "t"}));
        let server = ScriptedServer::expecting([(format!("{line}{query}").as_str(), reply)]).await;
        assert_eq!(identity(&server, which).token().await, Ok("t".into()));
        assert_eq!(server.finish()[0].header("metadata"), "true");
    }
}

#[tokio::test]
async fn a_managed_identitys_token_holds_as_long_as_the_service_says() {
    let five_minutes = Duration::from_mins(5);
    for (expires_in, ttl) in [
        (json!("3599"), Duration::from_secs(3599)),
        (json!(3599), Duration::from_secs(3599)),
        (json!("soon"), five_minutes),
        (json!(null), five_minutes),
    ] {
        let reply = Reply::json(200, &json!({"access_token": "t", "expires_in": expires_in}));
        let server = ScriptedServer::answering(move |_| reply.clone()).await;
        let lease = identity(&server, None).login().await.expect("a token");
        assert_eq!((lease.token, lease.ttl), ("t".into(), Some(ttl)));
    }
    let server = ScriptedServer::answering(|_| Reply::json(200, &json!({"access_token": ""}))).await;
    let error = identity(&server, None).login().await.expect_err("no token");
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert_eq!(error.message, "the answer about the managed identity of the operator's node holds no token");
}

#[tokio::test]
async fn whoever_has_no_managed_identity_is_told_where_to_name_one() {
    let server = ScriptedServer::answering(|_| Reply::json(400, &json!({"error": "invalid_request"}))).await;
    for (which, expected) in [
        (
            None,
            "Azure's metadata service gives no token; assign a managed identity to the operator's nodes, and name it in \
             auth.x if there are several",
        ),
        (
            Some(Which::ClientId("c".into())),
            "Azure's metadata service gives no token for the managed identity that was named; check auth.x, and assign \
             the identity to the operator's nodes",
        ),
    ] {
        let error = identity(&server, which).token().await.expect_err("no token");
        assert_eq!(error.message, expected);
    }
}

#[tokio::test]
async fn no_managed_identity_is_told_from_one_that_is_not_known_yet() {
    for (status, kind) in [
        (400, ErrorKind::Unauthenticated),
        (404, ErrorKind::Unavailable),
        (410, ErrorKind::Unavailable),
        (429, ErrorKind::Throttled),
        (500, ErrorKind::Unavailable),
    ] {
        let server = ScriptedServer::answering(move |_| Reply::text(status, "hunter2")).await;
        let error = identity(&server, None).token().await.expect_err("no token");
        assert_eq!(error.kind, kind, "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn only_what_looks_like_an_identity_token_is_one() {
    for (reply, outcome) in [
        (Reply::text(200, "e30.e30.c2ln\n"), Ok("e30.e30.c2ln".into())),
        (Reply::text(200, "<html>hunter2</html>"), Err(ErrorKind::InvalidConfig)),
        (Reply::text(404, "hunter2"), Err(ErrorKind::Unauthenticated)),
        (Reply::text(503, "hunter2"), Err(ErrorKind::Unavailable)),
    ] {
        let server = ScriptedServer::answering(move |_| reply.clone()).await;
        let token: Result<SecretBytes, _> = google(&server).identity_token("a", "auth.x").await;
        assert_eq!(token.map_err(|error| error.kind), outcome);
    }
}

#[tokio::test]
async fn who_may_not_have_a_jwt_signed_is_told_the_role_that_it_needs() {
    let server = ScriptedServer::answering(|_| Reply::json(403, &json!({"error": {"message": "hunter2"}}))).await;
    let signed = google(&server).sign_jwt("a@p.example", &"login".into(), &json!({"sub": "a"}), "auth.x").await;
    let error = signed.expect_err("a refusal");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "SignJwt"));
    assert!(error.message.contains("auth.x") && error.message.contains("Service Account Token Creator"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(server.requests()[0].header("authorization"), "Bearer login");
}

#[test]
fn addresses_come_from_the_environment_and_wrong_ones_are_named_but_not_shown() {
    let of = |name: &'static str, value: &'static str| {
        Endpoints::from_variables(move |asked| (asked == name).then(|| value.to_owned()))
    };
    assert_eq!(of("GCE_METADATA_HOST", " "), Ok(Endpoints::default()));
    let metadata = of("GCE_METADATA_HOST", "127.0.0.1:8080").expect("valid").metadata.expect("set");
    assert_eq!(metadata.to_string(), "http://127.0.0.1:8080");
    let error = of("KEYFERRY_GCP_STS_ENDPOINT", "https://me:hunter2@sts").expect_err("a password");
    assert!(error.contains("KEYFERRY_GCP_STS_ENDPOINT") && !error.contains("hunter2"), "{error}");
}
