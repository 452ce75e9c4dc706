//! The suite that all backends pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{Provider, RemoteName, SecretBytes, canonical_object};
use keyferry_kubernetes::{Auth, Kubernetes};
use keyferry_testkit::{Able, Fault, Reply, Request, ScriptedServer, Stored, Subject, conformance};
use serde_json::{Value, json};

use crate::rig::{Minter, status, store};

/// A small API server: Secrets of one namespace, one at a time and in pages, for whoever has the newest token.
#[derive(Default)]
struct Server {
    secrets: BTreeMap<String, Held>,
    denied: BTreeSet<String>,
    fault: Option<Fault>,
    /// Tokens up to this number have ended.
    ended: usize,
    refuses_logins: bool,
    reads: usize,
}

#[derive(Default)]
struct Held {
    data: String,
    labels: BTreeMap<String, String>,
}

impl Held {
    fn object(&self, name: &str, kind: &str) -> Value {
        let metadata = json!({"name": name, "labels": self.labels});
        json!({"kind": kind, "metadata": metadata, "data": {"value": self.data}})
    }
}

impl Server {
    fn answer(&mut self, request: &Request) -> Reply {
        let name = request.path.strip_prefix("/api/v1/namespaces/team/secrets/");
        self.reads += usize::from(name.is_some());
        if let Some(fault) = self.fault {
            return broken(fault);
        }
        let number = request.header("authorization").strip_prefix("Bearer sa-token-");
        let token: usize = number.and_then(|number| number.parse().ok()).unwrap_or_default();
        if self.refuses_logins || token <= self.ended {
            return status(401, "Unauthorized", "");
        }
        match name {
            Some(name) if self.denied.contains(name) => status(403, "Forbidden", "secrets"),
            Some(name) => match self.secrets.get(name) {
                Some(held) => Reply::json(200, &held.object(name, "Secret")),
                None => status(404, "NotFound", "secrets"),
            },
            None if request.path == "/api/v1/namespaces/team/secrets" => self.list(request),
            None if request.path.ends_with("/selfsubjectrulesreviews") => {
                let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]});
                Reply::json(201, &json!({"status": {"resourceRules": [rule]}}))
            }
            None => Reply::text(404, "404 page not found\n"),
        }
    }

    fn list(&self, request: &Request) -> Reply {
        let parameters: BTreeMap<&str, &str> =
            request.query.split('&').filter_map(|parameter| parameter.split_once('=')).collect();
        let wanted = parameters.get("labelSelector").and_then(|selector| selector.split_once("%3D"));
        let after = parameters.get("continue").copied().unwrap_or_default();
        let limit: usize = parameters["limit"].parse().expect("a limit");
        let matching: Vec<_> = self
            .secrets
            .iter()
            .filter(|(name, _)| name.as_str() > after)
            .filter(|(_, held)| {
                wanted.is_none_or(|(key, value)| held.labels.get(key).map(String::as_str) == Some(value))
            })
            .collect();
        let page = &matching[..limit.min(matching.len())];
        let next = if page.len() < matching.len() { page.last().map(|(name, _)| name.as_str()) } else { None };
        let items: Vec<_> = page.iter().map(|(name, held)| held.object(name, "PartialObjectMetadata")).collect();
        Reply::json(200, &json!({"metadata": {"continue": next.unwrap_or_default()}, "items": items}))
    }
}

fn broken(fault: Fault) -> Reply {
    match fault {
        Fault::BlackHole => Reply::hang(),
        Fault::EmptyAnswer => Reply::text(200, ""),
        Fault::HalfAnswer => {
            Reply::json(200, &json!({"kind": "Secret", "metadata": {}, "data": {"value": "aGFsZg=="}})).truncated()
        }
        Fault::ServerError => status(500, "InternalError", ""),
        Fault::Throttled { after } => {
            status(429, "TooManyRequests", "").header("Retry-After", &after.as_secs().to_string())
        }
    }
}

struct Scripted {
    state: Arc<Mutex<Server>>,
    minter: Arc<Minter>,
    store: Arc<Kubernetes>,
    _server: ScriptedServer,
}

impl Scripted {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(Server::default()));
        let server = ScriptedServer::answering({
            let state = Arc::clone(&state);
            move |request| state.lock().expect("not poisoned").answer(request)
        })
        .await;
        let minter = Arc::new(Minter::default());
        let auth = Auth::ServiceAccount { tokens: Arc::clone(&minter) as _, audiences: Vec::new() };
        Self { state, minter, store: Arc::new(store(&server.url(), auth)), _server: server }
    }

    fn state(&self) -> MutexGuard<'_, Server> {
        self.state.lock().expect("not poisoned")
    }
}

#[async_trait]
impl Subject for Scripted {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.store) as _
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(label).expect("not empty")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let encoded = STANDARD.encode(value);
        let reads_as = json!({"value": std::str::from_utf8(value).unwrap_or(&encoded)});
        self.state().secrets.entry(name.as_str().to_owned()).or_default().data = encoded;
        let reads_as = canonical_object(reads_as.to_string().as_bytes()).expect("an object");
        Ok(Stored { reads_as, version: None })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.state().secrets.remove(name.as_str());
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.state().denied.insert(name.as_str().to_owned());
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        self.state().secrets.entry(name.as_str().to_owned()).or_default().labels = tags.clone();
        Ok(())
    }

    async fn break_with(&self, fault: Fault) -> Able {
        self.state().fault = Some(fault);
        Ok(())
    }

    async fn mend(&self) {
        self.state().fault = None;
    }

    async fn expire_login(&self) -> Able {
        self.state().ended = self.minter.minted.load(Ordering::SeqCst);
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        self.state().refuses_logins = true;
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        Some(self.minter.minted.load(Ordering::SeqCst))
    }

    fn reads(&self) -> Option<usize> {
        Some(self.state().reads)
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec!["sa-token-1".into()]
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance(&Scripted::start().await).await.assert_recorded("kubernetes");
}
