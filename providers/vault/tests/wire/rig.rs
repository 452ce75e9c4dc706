//! A scripted Vault and a provider that talks to it.

use std::sync::{Arc, Mutex};

use keyferry_core::{Call, CallObserver, Error, ErrorKind, Fetched, Locator, Provider, RemoteName, Version, Want};
use keyferry_testkit::{Reply, Request, ScriptedServer};
use keyferry_vault::{Auth, LoginMethod, Vault, VaultConfig};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Hears every call.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Call>>);

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("not poisoned").push(call);
    }
}

impl Heard {
    /// The operations so far, and how each ended.
    pub(crate) fn calls(&self) -> Vec<(&'static str, Result<(), ErrorKind>)> {
        self.0.lock().expect("not poisoned").iter().map(|call| (call.operation, call.outcome)).collect()
    }
}

pub(crate) struct Rig {
    pub(crate) server: ScriptedServer,
    pub(crate) vault: Vault,
    pub(crate) heard: Arc<Heard>,
}

impl Rig {
    /// A provider with `config` for a server that says what `script` says.
    pub(crate) async fn expecting<'a>(config: VaultConfig, script: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        Self::with(config, ScriptedServer::expecting(script).await)
    }

    pub(crate) async fn answering(
        config: VaultConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(config, ScriptedServer::answering(handler).await)
    }

    fn with(config: VaultConfig, server: ScriptedServer) -> Self {
        let heard = Arc::new(Heard::default());
        let config = VaultConfig { server: server.url(), ..config };
        let vault = Vault::new(config, Arc::clone(&heard) as _).expect("a provider");
        Self { server, vault, heard }
    }

    pub(crate) async fn fetch(&self, locator: Locator) -> Result<Arc<Fetched>, Error> {
        let [answer] = self.vault.fetch(&[locator], Instant::now()).await.try_into().expect("one answer");
        answer
    }

    pub(crate) async fn value(&self, key: &str) -> Result<String, Error> {
        self.fetch(latest(key)).await.map(|fetched| fetched.value.expose_str().expect("text").to_owned())
    }

    pub(crate) async fn failure(&self, key: &str) -> Error {
        self.value(key).await.expect_err("a failure")
    }

    /// The requests, after all that was expected has come.
    pub(crate) fn finish(self) -> Vec<Request> {
        self.server.finish()
    }
}

pub(crate) fn latest(key: &str) -> Locator {
    Locator::latest(RemoteName::new(key).expect("a name"))
}

pub(crate) fn version(key: &str, version: &str) -> Locator {
    Locator { version: Some(Version::new(version).expect("a version")), ..latest(key) }
}

pub(crate) fn metadata(key: &str) -> Locator {
    Locator { want: Want::Metadata, ..latest(key) }
}

/// A store with a token, mounted at `kv`.
pub(crate) fn token() -> VaultConfig {
    VaultConfig { path: Some("kv".into()), auth: Auth::Token("t-static\n".into()), ..VaultConfig::default() }
}

/// A store that logs in.
pub(crate) fn login(path: &str, method: LoginMethod) -> VaultConfig {
    VaultConfig { auth: Auth::Login { path: path.into(), method }, ..token() }
}

/// A store that logs in by AppRole.
pub(crate) fn app_role() -> VaultConfig {
    login("approle", LoginMethod::AppRole { role_id: "r-1\n".into(), secret_id: "hunter2\n".into() })
}

/// The answer to a login or renewal.
pub(crate) fn granted(token: &str, seconds: u64) -> Reply {
    let auth = json!({
        "client_token": token, "accessor": "a", "lease_duration": seconds, "renewable": true, "token_type": "service",
    });
    Reply::json(200, &json!({"request_id": "q", "data": null, "auth": auth, "warnings": null}))
}

/// The answer to a read of KV version 2.
pub(crate) fn secret(data: &Value, version: u64) -> Reply {
    let metadata = json!({"version": version, "deletion_time": "", "destroyed": false, "custom_metadata": null});
    Reply::json(200, &json!({"request_id": "q", "data": {"data": data, "metadata": metadata}}))
}

pub(crate) fn refused(status: u16, errors: &[&str]) -> Reply {
    Reply::json(status, &json!({"errors": errors}))
}

/// What a server says is mounted, for a KV engine of `version`.
pub(crate) fn mounted(version: u8) -> Reply {
    let options = json!({"version": version.to_string()});
    Reply::json(200, &json!({"request_id": "q", "data": {"path": "kv/", "type": "kv", "options": options}}))
}

pub(crate) const LOGIN: &str = "POST /v1/auth/approle/login";
pub(crate) const LOOKUP: &str = "GET /v1/auth/token/lookup-self";
pub(crate) const MOUNT: &str = "GET /v1/sys/internal/ui/mounts/kv";
pub(crate) const READ: &str = "GET /v1/kv/data/a";
pub(crate) const RENEW: &str = "POST /v1/auth/token/renew-self";
