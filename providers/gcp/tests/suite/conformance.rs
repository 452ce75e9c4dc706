//! The suite that every backend passes.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_core::{Provider, RemoteName, SecretBytes, Version};
use keyferry_fakes::{
    faults::Fault as Fake,
    gcp::{GoogleCloud, Place, Secret},
};
use keyferry_gcp::{Auth, Gcp};
use keyferry_testkit::{Able, Fault, Stored, Subject, conformance};

use crate::cloud::{PROJECT, READER, cloud, config, key, store};

struct SecretManager {
    cloud: GoogleCloud,
    key: SecretBytes,
    store: Arc<Gcp>,
}

const READS: [&str; 4] = ["AccessSecretVersion", "GetSecret", "ListSecrets", "ListSecretVersions"];

#[async_trait]
impl Subject for SecretManager {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.store) as _
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(label).expect("a name")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let version = self.cloud.put(Secret::new(PROJECT, name.as_str(), value));
        Ok(Stored { reads_as: SecretBytes::new(value), version: Version::new(version.to_string()).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.cloud.remove(&Place::new(PROJECT, name.as_str()));
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.cloud.deny(&Place::new(PROJECT, name.as_str()));
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        let secret = Secret { labels: tags.clone(), value_base64: None, ..Secret::new(PROJECT, name.as_str(), b"") };
        self.cloud.put(secret);
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        let path = format!("nested-{label}");
        let name = self.name(&format!("{path}-inside"));
        Ok((path, name))
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("99").ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        let fault = match fault {
            Fault::BlackHole => Fake::BlackHole,
            Fault::EmptyAnswer => Fake::Empty,
            Fault::HalfAnswer => Fake::Truncated,
            Fault::ServerError => Fake::Status { status: 500, retry_after: None },
            Fault::Throttled { after } => Fake::Status { status: 429, retry_after: Some(after.as_secs()) },
        };
        for operation in READS {
            self.cloud.faults().set(operation, fault.clone());
        }
        Ok(())
    }

    async fn mend(&self) {
        self.cloud.faults().clear_all();
    }

    async fn expire_login(&self) -> Able {
        self.cloud.expire_tokens();
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        self.cloud.remove_account(READER);
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        self.count(&["RequestToken"])
    }

    fn reads(&self) -> Option<usize> {
        self.count(&READS[..2])
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        let key: serde_json::Value = serde_json::from_slice(self.key.expose()).expect("JSON");
        let lines = key["private_key"].as_str().expect("a key").lines();
        lines.filter(|line| !line.starts_with('-')).map(SecretBytes::from).collect()
    }
}

impl SecretManager {
    fn count(&self, operations: &[&str]) -> Option<usize> {
        let counts = operations.iter().map(|operation| self.cloud.counts().of(operation));
        usize::try_from(counts.sum::<u64>()).ok()
    }
}

#[tokio::test]
async fn secret_manager_conforms() {
    let cloud = cloud();
    let auth = key(&cloud);
    let Auth::ServiceAccountKey(key) = &auth else { unreachable!("it is a key") };
    let key = key.clone();
    let store = Arc::new(store(config(&cloud, auth)));
    conformance(&SecretManager { cloud, key, store }).await.assert_recorded("gcp");
}
