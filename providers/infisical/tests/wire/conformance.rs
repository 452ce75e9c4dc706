//! The suite that all backends pass.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{Provider, RemoteName, SecretBytes, Version};
use keyferry_fakes::{
    faults,
    infisical::{Identity, InfisicalServer, Place, Rule, Secret, Settings},
};
use keyferry_infisical::Infisical;
use keyferry_testkit::{Able, Cannot, Fault, Stored, Subject, conformance};

use crate::fixtures::{PROJECT, dev, scoped, server_with};

/// The store's folder. What is to be denied lies beside it.
const OPEN: &str = "/open";
const CLOSED: &str = "/closed";

struct Fake {
    server: InfisicalServer,
    store: Arc<Infisical>,
}

fn identity(rules: &[&str]) -> Identity {
    let rules = rules.iter().map(|rule| Rule::only(PROJECT, &format!("{rule}/*"))).collect();
    Identity::universal("client-id", "client-secret", PROJECT).allowed(rules)
}

fn place(name: &RemoteName) -> (Place, String) {
    let name = name.as_str();
    match name.rsplit_once('/') {
        None => (dev(OPEN), name.to_owned()),
        Some((folder, name)) if folder.starts_with('/') => (dev(folder), name.to_owned()),
        Some((folder, name)) => (dev(&format!("{OPEN}/{folder}")), name.to_owned()),
    }
}

#[async_trait]
impl Subject for Fake {
    fn provider(&self) -> Arc<dyn Provider> {
        self.store.clone()
    }

    fn name(&self, label: &str) -> RemoteName {
        let name = match label {
            "denied" => format!("{CLOSED}/{label}"),
            _ => label.to_owned(),
        };
        RemoteName::new(name).expect("a name")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let text = std::str::from_utf8(value).map_err(|_| Cannot("values are text"))?;
        let (place, name) = place(name);
        let version = self.server.put(Secret::new(&place, &name, text));
        let version = version.and_then(|number| Version::new(number.to_string()).ok());
        Ok(Stored { reads_as: text.into(), version })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        let (place, name) = place(name);
        assert!(self.server.remove(&place, &name));
        Ok(())
    }

    async fn deny(&self, _name: &RemoteName) -> Able {
        self.server.grant(identity(&[OPEN]));
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        let (place, name) = place(name);
        assert!(self.server.describe(&place, &name, tags.clone()));
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        let name = RemoteName::new(format!("nested/{label}")).expect("a name");
        Ok((format!("{OPEN}/nested"), name))
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
        self.server.expire_tokens();
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        self.server.revoke("client-id");
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        usize::try_from(self.server.counts().of("login")).ok()
    }

    fn reads(&self) -> Option<usize> {
        let calls = ["get-secret", "list-secrets"].map(|operation| self.server.counts().of(operation));
        usize::try_from(calls.iter().sum::<u64>()).ok()
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec!["client-secret".into()]
    }
}

#[tokio::test]
async fn conforms() {
    for recursive in [false, true] {
        let server = server_with(Settings::default(), vec![identity(&[OPEN, CLOSED])]);
        assert!(server.make_folder(&dev(OPEN)));
        let store = Arc::new(scoped(server.url(), OPEN, recursive));
        let name = if recursive { "infisical-recursive" } else { "infisical" };
        conformance(&Fake { server, store }).await.assert_recorded(name);
    }
}
