//! The backend as a subject of the conformance suite.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Provider, RemoteName, Retry, SecretBytes, Version};

use super::{Memory, Step, remote};
use crate::{Able, Fault, Stored, Subject};

/// A backend in memory, with something around it: to show that a layer keeps the contract.
#[derive(Debug)]
pub struct MemorySubject {
    memory: Memory,
    provider: Arc<dyn Provider>,
}

impl Memory {
    /// This backend with what `wrap` puts around it.
    pub fn subject(&self, wrap: impl FnOnce(Arc<dyn Provider>) -> Arc<dyn Provider>) -> MemorySubject {
        MemorySubject { memory: self.clone(), provider: wrap(self.provider()) }
    }
}

#[async_trait]
impl Subject for MemorySubject {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn name(&self, label: &str) -> RemoteName {
        remote(label)
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let mut state = self.memory.state();
        let versions = &mut state.secrets.entry(name.clone()).or_default().versions;
        versions.push(SecretBytes::new(value));
        Ok(Stored { reads_as: SecretBytes::new(value), version: Version::new(versions.len().to_string()).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.memory.state().secrets.remove(name);
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.memory.state().secrets.entry(name.clone()).or_default().denied = true;
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        self.memory.state().secrets.entry(name.clone()).or_default().tags.clone_from(tags);
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        Ok(("folder/".into(), remote(&format!("folder/{label}"))))
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("999").ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        let fail = |kind, text| Error::new(kind, "Memory", "Fetch", text);
        self.memory.break_with(match fault {
            Fault::BlackHole => Step::Hang,
            Fault::EmptyAnswer => Step::Fail(fail(ErrorKind::Malformed, "the answer is empty")),
            Fault::HalfAnswer => Step::Fail(fail(ErrorKind::Malformed, "the answer ends half way")),
            Fault::ServerError => Step::Fail(fail(ErrorKind::Unavailable, "failed").with_status(500)),
            Fault::Throttled { after } => {
                Step::Fail(fail(ErrorKind::Throttled, "slow down").with_status(429).with_retry(Retry::After(after)))
            }
        });
        Ok(())
    }

    async fn mend(&self) {
        self.memory.mend();
    }

    async fn expire_login(&self) -> Able {
        self.memory.state().login.holds = false;
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        let login = &mut self.memory.state().login;
        (login.holds, login.refused) = (false, true);
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        Some(self.memory.state().login.count)
    }

    fn reads(&self) -> Option<usize> {
        Some(self.memory.state().calls.iter().filter(|call| call.operation == "Fetch").count())
    }

    /// Longer than any layer waits; on a paused clock it costs nothing.
    fn patience(&self) -> Duration {
        Duration::from_mins(2)
    }
}
