//! Logins with NTLM, at a server that checks them and at one that misbehaves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use keyferry_core::{ErrorKind, Provider, Result, Retry, Unobserved};
use keyferry_fakes::{
    server::{Certificate, Listen},
    webhook::{Contents, Domain, WebhookTarget},
};
use keyferry_testkit::{Reply, ScriptedServer};
use keyferry_webhook::{Auth, Webhook, WebhookConfig};
use rcgen::generate_simple_self_signed;
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{READ, Rig, config, latest};

fn ntlm(username: &str, password: &str) -> Auth {
    Auth::Ntlm { username: username.into(), password: password.into() }
}

fn ann() -> Auth {
    ntlm("CORP\\ann", "hunter2")
}

/// A server that lets in Ann, and has the keys `a` and `b`.
fn target() -> WebhookTarget {
    target_at(Listen::default())
}

fn target_at(listen: Listen) -> WebhookTarget {
    let domain = Some(Domain::with_account("ann", "hunter2"));
    let contents = Contents { domain, ..Contents::default() };
    let target = WebhookTarget::start_with(listen, (), contents).expect("a free port");
    target.put("a", "v");
    target.put("b", "w");
    target
}

fn store(target: &WebhookTarget, auth: Auth) -> Webhook {
    store_with(target, WebhookConfig { auth, ..config() })
}

fn store_with(target: &WebhookTarget, config: WebhookConfig) -> Webhook {
    let url = format!("{}/v1/secrets/{{{{ .remoteRef.key }}}}", target.url());
    Webhook::new(WebhookConfig { url, ..config }, Arc::new(Unobserved)).expect("a provider")
}

async fn read(store: &Webhook, key: &str) -> Result<String> {
    let [answer] = store.fetch(&[latest(key)], Instant::now()).await.try_into().expect("one answer");
    answer.map(|fetched| fetched.value.expose_str().expect("text").to_owned())
}

#[tokio::test]
async fn a_login_takes_three_requests_and_lasts() {
    let target = target();
    let store = store(&target, ann());
    for (key, value, requests) in [("a", "v", 3), ("b", "w", 4), ("a", "v", 5)] {
        assert_eq!(read(&store, key).await.as_deref(), Ok(value));
        assert_eq!(target.counts().of("read"), requests);
    }
}

#[tokio::test]
async fn all_forms_of_a_users_name_work_with_both_schemes() {
    let target = target();
    for scheme in ["NTLM", "Negotiate"] {
        target.set_domain(Domain { schemes: vec![scheme.into()], ..Domain::with_account("ann", "hunter2") });
        for name in ["CORP\\ann", "corp.example.com\\Ann\n", "ann@corp.example.com", "ann"] {
            assert_eq!(read(&store(&target, ntlm(name, "hunter2")), "a").await.as_deref(), Ok("v"), "{scheme} {name}");
        }
    }
}

#[tokio::test]
async fn requests_at_the_same_time_log_in_each_on_its_own_connection() {
    let target = target();
    let store = store(&target, ann());
    let answers = join_all((0..32).map(|at| read(&store, ["a", "b"][at % 2]))).await;
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(answer.as_deref(), Ok(["v", "w"][at % 2]));
    }
    assert_eq!(target.counts().of("read"), 3 * 32);
}

#[tokio::test]
async fn a_login_works_over_tls_with_the_stores_roots() {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let certificate = Certificate { chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let target = target_at(Listen { tls: Some(certificate), ..Listen::default() });
    let trusting = WebhookConfig { auth: ann(), roots: Some(made.cert.pem().into()), ..config() };
    assert_eq!(read(&store_with(&target, trusting), "a").await.as_deref(), Ok("v"));
    let error = read(&store(&target, ann()), "a").await.expect_err("nobody it trusts");
    assert!(error.message.contains("name its CA in caBundle or caProvider"), "{error}");
}

#[tokio::test]
async fn a_login_that_has_ended_is_made_again() {
    let target = target();
    let store = store(&target, ann());
    assert_eq!(read(&store, "a").await.as_deref(), Ok("v"));
    target.set_domain(Domain::with_account("ann", "hunter2"));
    assert_eq!(read(&store, "a").await.as_deref(), Ok("v"), "on the connection that is not let in any more");
    target.server().up().await.expect("the same port");
    assert_eq!(read(&store, "a").await.as_deref(), Ok("v"), "on another connection");
}

#[tokio::test]
async fn a_wrong_login_is_refused_once_and_named() {
    let target = target();
    for auth in [ntlm("CORP\\ann", "hunter3"), ntlm("CORP\\hunter2", "hunter2"), ntlm("HUNTER2\\ann", "hunter2")] {
        target.counts().reset();
        let error = read(&store(&target, auth), "a").await.expect_err("a refusal");
        assert_eq!((error.kind, error.retry, error.status), (ErrorKind::Unauthenticated, Retry::Never, Some(401)));
        let words = "the login of spec.provider.webhook.auth.ntlm was not accepted for the key a; check the user name, like \
                     DOMAIN\\user or user@domain, and the password in its Secrets";
        assert!(error.message.contains(words), "{error}");
        assert!(!error.to_string().to_lowercase().contains("hunter"), "{error}");
        assert_eq!(target.counts().of("read"), 3);
    }
}

#[tokio::test]
async fn what_a_server_says_after_the_login_counts() {
    let target = target();
    target.deny("b");
    let store = store(&target, ann());
    for (key, kind) in [("c", ErrorKind::NotFound), ("b", ErrorKind::AccessDenied), ("c", ErrorKind::NotFound)] {
        assert_eq!(read(&store, key).await.map_err(|error| error.kind), Err(kind), "{key}");
    }
    assert_eq!(target.counts().of("read"), 3 + 1 + 1);
}

/// A store with a login by NTLM, for a server that says what `script` says.
async fn rig<'a>(config: WebhookConfig, script: impl IntoIterator<Item = (&'a str, Reply)>) -> Rig {
    Rig::expecting(WebhookConfig { auth: ann(), ..config }, script).await
}

fn asks(challenge: &str) -> Reply {
    Reply::text(401, "<html>hunter2</html>").header("WWW-Authenticate", challenge)
}

/// Message 2 of a server that says nothing of itself.
fn challenges() -> Reply {
    let mut message = [0; 32];
    message[..8].copy_from_slice(b"NTLMSSP\0");
    message[8] = 2;
    message[20] = 1;
    asks(&format!("NTLM {}", STANDARD.encode(message)))
}

fn value() -> Reply {
    Reply::json(200, &json!({"value": "v"}))
}

#[tokio::test]
async fn a_server_that_does_not_ask_gets_a_plain_request() {
    let headers = BTreeMap::from([("authorization".to_owned(), "Bearer {{ .auth.password }}".to_owned())]);
    let rig = rig(WebhookConfig { headers, ..config() }, [(READ, value())]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok("v"));
    assert_eq!(rig.finish()[0].header("authorization"), "", "no login, and not that of another kind either");
}

#[tokio::test]
async fn a_server_that_asks_for_another_login_gets_none() {
    for offer in ["Basic realm=\"hunter2\"", "Bearer", "Digest nonce=\"x\""] {
        let rig = rig(config(), [(READ, asks(offer))]).await;
        let error = rig.failure("a").await;
        assert_eq!((error.kind, error.retry), (ErrorKind::Unauthenticated, Retry::Never), "{offer}");
        let words = "the server asks for a login for the key a, but not for NTLM; let it accept NTLM, or remove \
                     spec.provider.webhook.auth.ntlm and send in `headers` what it asks for";
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
        assert_eq!(rig.finish()[0].header("authorization"), "");
    }
}

#[tokio::test]
async fn a_body_is_sent_with_each_try() {
    let posted = WebhookConfig { method: Some("POST".into()), body: Some("{\"k\": 1}".into()), ..config() };
    let line = "POST /s/a";
    let rig = rig(posted, [(line, asks("NTLM")), (line, challenges()), (line, value())]).await;
    assert_eq!(rig.value("a").await.as_deref(), Ok("v"));
    for (at, request) in rig.finish().into_iter().enumerate() {
        assert_eq!((request.text().as_str(), request.header("content-type")), ("{\"k\": 1}", "application/json"));
        assert_eq!(request.header("authorization").is_empty(), at == 0);
    }
}

#[tokio::test]
async fn a_login_that_breaks_off_is_an_error_and_not_a_refusal() {
    for (script, kind, words) in [
        (vec![asks("NTLM").truncated()], ErrorKind::Malformed, "the answer about the key a ended half way"),
        (vec![asks("NTLM"), challenges().truncated()], ErrorKind::Malformed, "ended half way"),
        (vec![asks("NTLM"), Reply::close()], ErrorKind::Unavailable, "the connection ended before an answer came"),
        (
            vec![asks("NTLM"), challenges().header("Connection", "close")],
            ErrorKind::Unavailable,
            "ended the connection in the middle of the login",
        ),
        (
            vec![asks("NTLM"), asks("NTLM")],
            ErrorKind::Malformed,
            "the server began the login of spec.provider.webhook.auth.ntlm for the key a, but did not go on with it",
        ),
        (vec![asks("NTLM"), asks("NTLM aHVudGVyMg==")], ErrorKind::Malformed, "its challenge is not one of NTLM"),
        (vec![asks("NTLM"), Reply::text(500, "hunter2")], ErrorKind::Unavailable, "the server failed on the key a"),
        (vec![asks("NTLM"), challenges(), value().truncated()], ErrorKind::Malformed, "ended half way"),
    ] {
        let rig = rig(config(), script.into_iter().map(|reply| (READ, reply))).await;
        let error = rig.failure("a").await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
        rig.finish();
    }
}

#[tokio::test]
async fn the_stores_patience_is_for_the_whole_login() {
    for script in [vec![asks("NTLM"), Reply::hang()], vec![asks("NTLM"), challenges(), Reply::hang()]] {
        let hurried = WebhookConfig { timeout: Some(Duration::from_millis(100)), ..config() };
        let rig = rig(hurried, script.into_iter().map(|reply| (READ, reply))).await;
        let error = rig.failure("a").await;
        assert_eq!((error.kind, error.retry), (ErrorKind::TimedOut, Retry::Backoff));
        rig.finish();
    }
}

#[tokio::test]
async fn an_account_that_cannot_log_in_is_named() {
    let server = ScriptedServer::expecting([]).await;
    for (auth, words) in [
        (ntlm("", "hunter2"), "spec.provider.webhook.auth.ntlm.usernameSecret holds no user name; write it like"),
        (ntlm("CORP\\", "hunter2"), "auth.ntlm.usernameSecret holds no user name"),
        (ntlm("hunter2", ""), "spec.provider.webhook.auth.ntlm.passwordSecret holds no password"),
    ] {
        let config = WebhookConfig { url: server.url(), auth, ..WebhookConfig::default() };
        let error = Webhook::new(config, Arc::new(Unobserved)).expect_err(words);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn nothing_of_a_login_is_shown() {
    let config = WebhookConfig { url: "https://h".into(), auth: ntlm("CORP\\hunter2", "hunter2"), ..config() };
    let shown = format!("{:?} {config:?}", config.auth);
    let shown = format!("{shown} {:?}", Webhook::new(config, Arc::new(Unobserved)).expect("a provider"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
