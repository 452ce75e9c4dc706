//! A scripted server and a provider that talks to it.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{Error, Locator, Provider, RemoteName, Result, SecretBytes, Unobserved};
use keyferry_testkit::{Reply, Request, ScriptedServer};
use keyferry_webhook::{Webhook, WebhookConfig};
use tokio::time::Instant;

pub(crate) struct Rig {
    pub(crate) server: ScriptedServer,
    pub(crate) store: Webhook,
}

impl Rig {
    /// A provider with `config`, whose `url` is a path, for a server that says what `script` says.
    pub(crate) async fn expecting<'a>(
        config: WebhookConfig,
        script: impl IntoIterator<Item = (&'a str, Reply)>,
    ) -> Self {
        Self::with(config, ScriptedServer::expecting(script).await)
    }

    pub(crate) fn with(config: WebhookConfig, server: ScriptedServer) -> Self {
        let config = WebhookConfig { url: format!("{}{}", server.url(), config.url), ..config };
        let store = Webhook::new(config, Arc::new(Unobserved)).expect("a provider");
        Self { server, store }
    }

    pub(crate) async fn read(&self, locator: Locator) -> Result<String> {
        let [answer] = self.store.fetch(&[locator], Instant::now()).await.try_into().expect("one answer");
        answer.map(|fetched| fetched.value.expose_str().expect("text").to_owned())
    }

    pub(crate) async fn value(&self, key: &str) -> Result<String> {
        self.read(latest(key)).await
    }

    pub(crate) async fn failure(&self, key: &str) -> Error {
        self.value(key).await.expect_err("a failure")
    }

    pub(crate) fn finish(self) -> Vec<Request> {
        self.server.finish()
    }
}

pub(crate) fn latest(key: &str) -> Locator {
    Locator::latest(RemoteName::new(key).expect("a name"))
}

/// A store that reads `$.value` below `/s/`, with a Secret `auth` for its templates.
pub(crate) fn config() -> WebhookConfig {
    let auth = [("user", "ann"), ("password", "hunter2")];
    let auth: BTreeMap<_, _> = auth.iter().map(|(key, text)| ((*key).to_owned(), SecretBytes::from(*text))).collect();
    WebhookConfig {
        url: "/s/{{ .remoteRef.key }}".into(),
        json_path: Some("$.value".into()),
        secrets: BTreeMap::from([("auth".to_owned(), auth)]),
        namespace: "team".into(),
        ..WebhookConfig::default()
    }
}

pub(crate) const READ: &str = "GET /s/a";
