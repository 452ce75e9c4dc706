//! The suite that all backends pass.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{Provider, RemoteName, SecretBytes, Unobserved, Version};
use keyferry_fakes::{faults, webhook::WebhookTarget};
use keyferry_testkit::{Able, Cannot, Fault, Stored, Subject, conformance};
use keyferry_webhook::{Webhook, WebhookConfig};

struct Fake {
    server: WebhookTarget,
    store: Arc<Webhook>,
}

const TOKEN: &str = "webhook-token";

fn store(server: &WebhookTarget) -> Arc<Webhook> {
    let secret = BTreeMap::from([("token".to_owned(), SecretBytes::from(TOKEN))]);
    let config = WebhookConfig {
        url: format!("{}/v1/secrets/{{{{ .remoteRef.key }}}}?version={{{{ .remoteRef.version }}}}", server.url()),
        headers: BTreeMap::from([("Authorization".to_owned(), "Bearer {{ .auth.token }}".to_owned())]),
        json_path: Some("$.value".into()),
        secrets: BTreeMap::from([("auth".to_owned(), secret)]),
        ..WebhookConfig::default()
    };
    Arc::new(Webhook::new(config, Arc::new(Unobserved)).expect("a provider"))
}

impl Fake {
    fn start() -> Self {
        let server = WebhookTarget::start().expect("a free port");
        Self { store: store(&server), server }
    }
}

#[async_trait]
impl Subject for Fake {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.store) as _
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(format!("team/{label}")).expect("not empty")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let text = std::str::from_utf8(value).map_err(|_| Cannot("values are JSON, so text"))?;
        let number = self.server.put(name.as_str(), text);
        Ok(Stored { reads_as: SecretBytes::from(text), version: Version::new(number.to_string()).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.server.remove(name.as_str());
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.server.deny(name.as_str());
        Ok(())
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("4711").ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        let fault = match fault {
            Fault::BlackHole => faults::Fault::BlackHole,
            Fault::EmptyAnswer => faults::Fault::Empty,
            Fault::HalfAnswer => faults::Fault::Truncated,
            Fault::ServerError => faults::Fault::Status { status: 500, retry_after: None },
            Fault::Throttled { after } => faults::Fault::Status { status: 429, retry_after: Some(after.as_secs()) },
        };
        self.server.faults().set(faults::EVERY_OPERATION, fault);
        Ok(())
    }

    async fn mend(&self) {
        self.server.faults().clear_all();
    }

    async fn expire_login(&self) -> Able {
        Err(Cannot("there is no login that could end"))
    }

    async fn refuse_login(&self) -> Able {
        Err(Cannot("a check sends no request, so it cannot be refused"))
    }

    fn reads(&self) -> Option<usize> {
        usize::try_from(self.server.counts().of("read")).ok()
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec![TOKEN.into()]
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance(&Fake::start()).await.assert_recorded("webhook");
}
