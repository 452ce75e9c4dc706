//! The conformance suite against a server of our own, which can do everything that the suite asks for.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_aws::{Aws, AwsConfig, Identity, Service};
use keyferry_core::{Provider, RemoteName, SecretBytes, Unobserved, Version};
use keyferry_testkit::{Able, Cannot, Fault, ScriptedServer, Stored, Subject, conformance};

use crate::{fixtures::config, login::Account, pretend::Pretend};

struct Pretended {
    service: Service,
    aws: Arc<Aws>,
    backend: Arc<Pretend>,
    _server: ScriptedServer,
}

impl Pretended {
    async fn new(service: Service) -> Self {
        let backend = Arc::new(Pretend::default());
        let answering = Arc::clone(&backend);
        let server = ScriptedServer::answering(move |request| answering.answer(request)).await;
        let account = Account::new(&[("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/reader")]);
        let config = AwsConfig { identity: Identity::ServiceAccount(account), ..config(service, &server.url()) };
        let aws = Aws::new(config, Arc::new(Unobserved)).expect("settings that can work");
        Self { service, aws: Arc::new(aws), backend, _server: server }
    }
}

/// What Parameter Store holds is text of limited length; the suite's other values are left out.
pub(crate) fn parameter_holds(value: &[u8]) -> Able {
    match std::str::from_utf8(value) {
        Err(_) => Err(Cannot("values are text")),
        Ok(text) if text.len() > 8192 => Err(Cannot("a value has at most 8 kB")),
        Ok(_) => Ok(()),
    }
}

/// How both services spell the suite's names.
pub(crate) fn name(service: Service, label: &str) -> RemoteName {
    let slash = if service == Service::ParameterStore { "/" } else { "" };
    RemoteName::new(format!("{slash}conformance/{label}")).expect("a name")
}

/// A path below which nothing else is, and a name there.
pub(crate) fn nested(service: Service, label: &str) -> (String, RemoteName) {
    let slash = if service == Service::ParameterStore { "/" } else { "" };
    let path = format!("{slash}nested/{label}/");
    let name = RemoteName::new(format!("{path}inside")).expect("a name");
    (path, name)
}

#[async_trait]
impl Subject for Pretended {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.aws) as Arc<dyn Provider>
    }

    fn name(&self, label: &str) -> RemoteName {
        name(self.service, label)
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        if self.service == Service::ParameterStore {
            parameter_holds(value)?;
        }
        let mut state = self.backend.state();
        let versions = &mut state.items.entry(name.to_string()).or_default().versions;
        versions.push(value.to_vec());
        let number = versions.len();
        let version = match self.service {
            Service::ParameterStore => number.to_string(),
            _ => format!("uuid/version-{number}"),
        };
        Ok(Stored { reads_as: SecretBytes::new(value), version: Version::new(version).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.backend.state().items.remove(name.as_str());
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.backend.state().denied.insert(name.to_string());
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        self.backend.state().items.entry(name.to_string()).or_default().tags.clone_from(tags);
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        Ok(nested(self.service, label))
    }

    fn absent_version(&self) -> Option<Version> {
        let version = if self.service == Service::ParameterStore { "99" } else { "uuid/version-99" };
        Version::new(version).ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        self.backend.state().fault = Some(fault);
        Ok(())
    }

    async fn mend(&self) {
        self.backend.state().fault = None;
    }

    async fn expire_login(&self) -> Able {
        self.backend.state().sessions.clear();
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        let mut state = self.backend.state();
        state.sessions.clear();
        state.refuses_logins = true;
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        Some(self.backend.state().logins)
    }

    fn reads(&self) -> Option<usize> {
        Some(self.backend.state().reads)
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec!["hunter2".into(), "hunter2.jwt".into()]
    }
}

#[tokio::test]
async fn secrets_manager_conforms() {
    conformance(&Pretended::new(Service::SecretsManager).await).await.assert_recorded("aws-secrets-manager");
}

#[tokio::test]
async fn parameter_store_conforms() {
    conformance(&Pretended::new(Service::ParameterStore).await).await.assert_recorded("aws-parameter-store");
}
