//! The in-memory backend keeps the contract of a provider.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyferry_core::{Provider, RemoteName, SecretBytes, Version};
use keyferry_fake::{Config, Entry, Fake};
use keyferry_testkit::{Able, Outcome, Stored, Subject, conformance};

/// A manifest that is edited; the provider is built from it anew each time, as the operator does.
#[derive(Default)]
struct Manifest(Mutex<Vec<Entry>>);

#[async_trait]
impl Subject for Manifest {
    fn provider(&self) -> Arc<dyn Provider> {
        let config = Config { entries: self.0.lock().expect("no test has panicked").clone(), ..Config::default() };
        Arc::new(Fake::new(config).expect("a valid manifest"))
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(label).expect("a name")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let mut entries = self.0.lock().expect("no test has panicked");
        let number = entries.iter().filter(|entry| entry.key == name.as_str()).count() + 1;
        let (key, value, version) = (name.to_string(), SecretBytes::new(value), format!("v{number}"));
        entries.push(Entry { key, value: value.clone(), version: Some(version.clone()) });
        Ok(Stored { reads_as: value, version: Version::new(version).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.0.lock().expect("no test has panicked").retain(|entry| entry.key != name.as_str());
        Ok(())
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("v999").ok()
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    let report = conformance(&Manifest::default()).await;
    report.assert_recorded("fake");
    for case in ["get", "64 kB", "missing", "deleted", "rotation", "version", "absent version", "batch", "list"] {
        assert_eq!(report.outcome(case), Some(&Outcome::Passed), "{case}");
    }
}
