//! The conformance suite, with each version of the KV engine.

mod server;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use keyferry_core::{Provider, RemoteName, SecretBytes, Unobserved, Version, canonical_object};
use keyferry_testkit::{Able, Cannot, Fault, ScriptedServer, Stored, Subject, conformance};
use keyferry_vault::{Auth, KvVersion, LoginMethod, Vault, VaultConfig};
use serde_json::{Value, json};

use crate::server::{ROLE_ID, SECRET_ID, Server};

struct ScriptedVault {
    engine: KvVersion,
    state: Arc<Mutex<Server>>,
    vault: Arc<Vault>,
    _server: ScriptedServer,
}

impl ScriptedVault {
    async fn start(engine: KvVersion) -> Self {
        let state = Arc::new(Mutex::new(Server::default()));
        let server = ScriptedServer::answering({
            let state = Arc::clone(&state);
            move |request| state.lock().expect("not poisoned").answer(engine, request)
        })
        .await;
        let method = LoginMethod::AppRole { role_id: ROLE_ID.into(), secret_id: SECRET_ID.into() };
        let config = VaultConfig {
            server: server.url(),
            path: Some("kv".into()),
            version: engine,
            auth: Auth::Login { path: "approle".into(), method },
            ..VaultConfig::default()
        };
        let vault = Arc::new(Vault::new(config, Arc::new(Unobserved)).expect("a provider"));
        Self { engine, state, vault, _server: server }
    }

    fn state(&self) -> MutexGuard<'_, Server> {
        self.state.lock().expect("not poisoned")
    }
}

#[async_trait]
impl Subject for ScriptedVault {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.vault) as _
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(label).expect("not empty")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let text = std::str::from_utf8(value).map_err(|_| Cannot("values are JSON, so text"))?;
        self.put_object(name, &json!({"value": text}).to_string()).await
    }

    async fn put_object(&self, name: &RemoteName, json: &str) -> Able<Stored> {
        let data: Value = serde_json::from_str(json).expect("JSON");
        let reads_as = canonical_object(json.as_bytes()).expect("an object");
        let mut state = self.state();
        let versions = &mut state.secrets.entry(name.as_str().to_owned()).or_default().versions;
        versions.push(data);
        let version = match self.engine {
            KvVersion::V1 => None,
            KvVersion::V2 => Version::new(versions.len().to_string()).ok(),
        };
        Ok(Stored { reads_as, version })
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
        if self.engine == KvVersion::V1 {
            return Err(Cannot("KV version 1 has no custom metadata"));
        }
        self.state().secrets.entry(name.as_str().to_owned()).or_default().tags = tags.clone();
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        Ok((format!("{label}/below"), self.name(&format!("{label}/below/{label}"))))
    }

    fn absent_version(&self) -> Option<Version> {
        match self.engine {
            KvVersion::V1 => None,
            KvVersion::V2 => Version::new("4711").ok(),
        }
    }

    async fn break_with(&self, fault: Fault) -> Able {
        self.state().fault = Some(fault);
        Ok(())
    }

    async fn mend(&self) {
        self.state().fault = None;
    }

    async fn expire_login(&self) -> Able {
        self.state().tokens.clear();
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        let mut state = self.state();
        state.tokens.clear();
        state.refuses_logins = true;
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        Some(self.state().logins)
    }

    fn reads(&self) -> Option<usize> {
        Some(self.state().reads)
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec![SECRET_ID.into(), "hvs.token-1".into()]
    }
}

#[tokio::test]
async fn version_1_conforms() {
    conformance(&ScriptedVault::start(KvVersion::V1).await).await.assert_recorded("vault-kv1");
}

#[tokio::test]
async fn version_2_conforms() {
    conformance(&ScriptedVault::start(KvVersion::V2).await).await.assert_recorded("vault-kv2");
}
