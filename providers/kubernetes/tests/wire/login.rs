//! Ways to log in, and what in a store cannot be used.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{ErrorKind, Provider, Unobserved};
use keyferry_kubernetes::{Auth, Identity, Kubernetes, KubernetesConfig};
use keyferry_testkit::ScriptedServer;
use tokio::time::Instant;

use crate::rig::{Minter, READ, Rig, config, latest, secret, status};

fn service_account(minter: &Arc<Minter>) -> Auth {
    Auth::ServiceAccount { tokens: Arc::clone(minter) as _, audiences: vec!["far".into()] }
}

#[tokio::test]
async fn one_token_of_an_hour_serves_all_reads() {
    let minter = Arc::new(Minter::default());
    let server = ScriptedServer::answering(|_| secret(&[("k", b"v")])).await;
    let rig = Rig::with(service_account(&minter), server);
    let at: Vec<_> = ["a", "b", "c"].map(latest).into();
    for answer in rig.store.fetch(&at, Instant::now()).await {
        answer.expect("a value");
    }
    assert_eq!(*minter.asked.lock().expect("not poisoned"), [(vec!["far".to_owned()], Duration::from_hours(1))]);
    assert!(rig.finish().iter().all(|request| request.header("authorization") == "Bearer sa-token-1"));
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced_once() {
    let minter = Arc::new(Minter::default());
    let script = [
        (READ, secret(&[("k", b"v")])),
        (READ, status(401, "Unauthorized", "")),
        (READ, secret(&[("k", b"v")])),
        (READ, status(401, "Unauthorized", "")),
        (READ, status(401, "Unauthorized", "")),
    ];
    let rig = Rig::with(service_account(&minter), ScriptedServer::expecting(script).await);
    assert_eq!(rig.value("a").await.as_deref(), Ok(r#"{"k":"v"}"#));
    assert_eq!(rig.value("a").await.as_deref(), Ok(r#"{"k":"v"}"#));
    assert_eq!(minter.minted.load(Ordering::SeqCst), 2);
    assert_eq!(rig.failure("a").await.kind, ErrorKind::Unauthenticated);
    let tokens: Vec<_> = rig.finish().iter().map(|request| request.header("authorization").to_owned()).collect();
    let expected = [1, 1, 2, 2, 3].map(|number| format!("Bearer sa-token-{number}"));
    assert_eq!(tokens, expected);
}

#[tokio::test]
async fn a_kubeconfig_names_the_server_too() {
    let server = ScriptedServer::expecting([(READ, secret(&[("k", b"v")]))]).await;
    let kubeconfig = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {{token: from-the-file}}}}]",
        server.url()
    );
    let config = config("https://unused.example", Auth::Kubeconfig(kubeconfig.into()));
    let store = Kubernetes::new(config, Arc::new(Unobserved)).expect("a provider");
    let rig = Rig { server, store };
    assert_eq!(rig.value("a").await.as_deref(), Ok(r#"{"k":"v"}"#));
    assert_eq!(rig.finish()[0].header("authorization"), "Bearer from-the-file");
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let token = || Auth::Token("hunter2".into());
    let store = |server: &str| config(server, token());
    let kubeconfig = |server: &str, token: &str| {
        let text = format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{token: '{token}'}}}}]"
        );
        config("a", Auth::Kubeconfig(text.into()))
    };
    let cert = Auth::Cert(Identity { certificates: "hunter2".into(), key: "hunter2".into(), field: "auth.cert" });
    for (config, words) in [
        (store("ftp://a"), "server.url must begin with https://"),
        (store("https://me:hunter2@a"), "server.url must not hold a user name or password"),
        (store("https://a?x=1"), "server.url must not have a query"),
        (store(""), "server.url is not a URL with a host"),
        (KubernetesConfig { namespace: String::new(), ..store("a") }, "remoteNamespace \"\" is not a name"),
        (KubernetesConfig { namespace: "a/b".into(), ..store("a") }, "remoteNamespace \"a/b\" is not a name"),
        (KubernetesConfig { roots: Some("hunter2".into()), ..store("a") }, "caBundle or caProvider"),
        (
            config("a", Auth::Kubeconfig("hunter2".into())),
            "the kubeconfig that authRef names cannot be used: it is not a kubeconfig",
        ),
        (
            kubeconfig("ftp://far", "hunter2"),
            "the kubeconfig that authRef names cannot be used: its server must begin with https://",
        ),
        (
            kubeconfig("https://far", "hunter2 hunter3"),
            "the kubeconfig that authRef names cannot be used: its token has white space",
        ),
        (config("a", Auth::Token("\n".into())), "auth.token.bearerToken: the token in the Secret is empty; put one"),
        (
            config("a", Auth::Token("hunter2\nhunter3".into())),
            "auth.token.bearerToken: the token in the Secret has white",
        ),
        (config("a", cert), "auth.cert: the client certificate is not in PEM form"),
    ] {
        let error = Kubernetes::new(config, Arc::new(Unobserved)).expect_err(words);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn nothing_of_a_login_is_shown() {
    let made = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
    let (certificates, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let encoded = |text: &str| STANDARD.encode(text);
    let kubeconfig = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://a', certificate-authority-data: {}}}}}]\n\
         users: [{{name: u, user: {{token: hunter2, client-certificate-data: {}, client-key-data: {}}}}}]",
        encoded(&certificates),
        encoded(&certificates),
        encoded(&key)
    );
    let line = key.lines().nth(1).expect("a body");
    for auth in [
        Auth::Token("hunter2".into()),
        Auth::Kubeconfig(kubeconfig.into()),
        Auth::Cert(Identity { certificates: certificates.into(), key: key.as_str().into(), field: "auth.cert" }),
    ] {
        let config = config("a", auth);
        let shown = format!("{config:?}");
        let shown = format!("{shown} {:?}", Kubernetes::new(config, Arc::new(Unobserved)).expect("a provider"));
        assert!(!shown.contains("hunter2") && !shown.contains(line), "{shown}");
    }
}
