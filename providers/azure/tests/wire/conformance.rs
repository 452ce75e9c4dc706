//! The suite that all backends pass.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use keyferry_azure::Azure;
use keyferry_core::{Provider, RemoteName, SecretBytes, Version};
use keyferry_fakes::{
    azure::{AzureCloud, Kind, Object},
    faults,
};
use keyferry_testkit::{Able, Cannot, Fault, Stored, Subject, conformance};

use crate::fixtures::{CLIENT, cloud, config, store};

struct Fake {
    cloud: AzureCloud,
    store: Arc<Azure>,
}

#[async_trait]
impl Subject for Fake {
    fn provider(&self) -> Arc<dyn Provider> {
        self.store.clone()
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::whole(label).expect("a name")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let text = std::str::from_utf8(value).map_err(|_| Cannot("values are text"))?;
        let version = self.cloud.put(Object::secret(name.as_str(), text));
        Ok(Stored { reads_as: text.into(), version: Version::new(version).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        assert!(self.cloud.delete(Kind::Secret, name.as_str()));
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.cloud.deny(Kind::Secret, name.as_str());
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        assert!(self.cloud.tag(Kind::Secret, name.as_str(), tags.clone()));
        Ok(())
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("00000000000000000000000000000000").ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        let fault = match fault {
            Fault::BlackHole => faults::Fault::BlackHole,
            Fault::EmptyAnswer => faults::Fault::Empty,
            Fault::HalfAnswer => faults::Fault::Truncated,
            Fault::ServerError => faults::Fault::Status { status: 500, retry_after: None },
            Fault::Throttled { after } => faults::Fault::Status { status: 429, retry_after: Some(after.as_secs()) },
        };
        self.cloud.faults().set(faults::EVERY_OPERATION, fault);
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
        assert!(self.cloud.unregister(CLIENT));
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        usize::try_from(self.cloud.counts().of("RequestToken")).ok()
    }

    fn reads(&self) -> Option<usize> {
        usize::try_from(self.cloud.counts().of("GetSecret")).ok()
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec!["client-secret".into()]
    }
}

#[tokio::test]
async fn conforms() {
    let cloud = cloud();
    let store = Arc::new(store(config(cloud.url())));
    conformance(&Fake { cloud, store }).await.assert_recorded("azure");
}
