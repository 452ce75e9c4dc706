//! A scripted API server and a provider that talks to it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{
    Error, Fetched, Locator, Provider, RemoteName, Result, SecretBytes, ServiceAccountToken, TokenSource, Unobserved,
};
use keyferry_kubernetes::{Auth, Kubernetes, KubernetesConfig};
use keyferry_testkit::{Reply, Request, ScriptedServer};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) struct Rig {
    pub(crate) server: ScriptedServer,
    pub(crate) store: Kubernetes,
}

impl Rig {
    /// A store with a token, for a server that says what `script` says.
    pub(crate) async fn expecting<'a>(script: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        Self::with(Auth::Token("hunter2\n".into()), ScriptedServer::expecting(script).await)
    }

    pub(crate) fn with(auth: Auth, server: ScriptedServer) -> Self {
        let store = store(&server.url(), auth);
        Self { server, store }
    }

    pub(crate) async fn fetch(&self, locator: Locator) -> Result<Arc<Fetched>> {
        let [answer] = self.store.fetch(&[locator], Instant::now()).await.try_into().expect("one answer");
        answer
    }

    pub(crate) async fn value(&self, key: &str) -> Result<String> {
        self.fetch(latest(key)).await.map(|fetched| text(&fetched))
    }

    pub(crate) async fn failure(&self, key: &str) -> Error {
        self.value(key).await.expect_err("a failure")
    }

    pub(crate) fn finish(self) -> Vec<Request> {
        self.server.finish()
    }
}

pub(crate) fn store(server: &str, auth: Auth) -> Kubernetes {
    Kubernetes::new(config(server, auth), Arc::new(Unobserved)).expect("a provider")
}

pub(crate) fn config(server: &str, auth: Auth) -> KubernetesConfig {
    KubernetesConfig { server: server.into(), namespace: "team".into(), ..KubernetesConfig::new(auth) }
}

pub(crate) fn latest(key: &str) -> Locator {
    Locator::latest(RemoteName::new(key).expect("a name"))
}

pub(crate) fn text(fetched: &Fetched) -> String {
    fetched.value.expose_str().expect("text").to_owned()
}

/// The answer to a read.
pub(crate) fn secret(data: &[(&str, &[u8])]) -> Reply {
    let data: serde_json::Map<String, Value> =
        data.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into())).collect();
    Reply::json(200, &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": data}))
}

/// A refusal as API servers word it.
pub(crate) fn status(code: u16, reason: &str, kind: &str) -> Reply {
    let message = "hunter2 stands in the server's own text";
    let details = json!({"name": "a", "kind": kind});
    Reply::json(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
            "message": message, "reason": reason, "details": details, "code": code,
        }),
    )
}

/// Mints `sa-token-1`, `sa-token-2`, and so on.
#[derive(Debug, Default)]
pub(crate) struct Minter {
    pub(crate) minted: AtomicUsize,
    pub(crate) asked: Mutex<Vec<(Vec<String>, Duration)>>,
}

#[async_trait]
impl TokenSource for Minter {
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken> {
        self.asked.lock().expect("not poisoned").push((audiences.to_vec(), ttl));
        let number = self.minted.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(ServiceAccountToken { token: SecretBytes::from(format!("sa-token-{number}")), valid_for: ttl })
    }

    fn annotation(&self, _key: &str) -> Option<&str> {
        None
    }
}

pub(crate) const READ: &str = "GET /api/v1/namespaces/team/secrets/a";
pub(crate) const LIST: &str = "GET /api/v1/namespaces/team/secrets?limit=200";
pub(crate) const RULES: &str = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
pub(crate) const ACCESS: &str = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
