//! The suite that every backend passes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_akeyless::Akeyless;
use keyferry_core::{Provider, RemoteName, SecretBytes, Unobserved, Version};
use keyferry_fakes::{
    akeyless::{Access, AkeylessGateway, Item},
    faults::{self, EVERY_OPERATION},
};
use keyferry_testkit::{Able, Cannot, Fault, Stored, Subject, conformance};

use crate::store::{ACCESS_ID, ACCESS_KEY, config};

struct Gateway {
    fake: AkeylessGateway,
    provider: Arc<Akeyless>,
}

#[async_trait]
impl Subject for Gateway {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::<Akeyless>::clone(&self.provider)
    }

    fn name(&self, label: &str) -> RemoteName {
        RemoteName::new(format!("/conformance/{label}")).expect("a name")
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let text = std::str::from_utf8(value).map_err(|_| Cannot("values are text"))?;
        self.fake.put(Item::secret(name.as_str(), text));
        let version = self.fake.last_version(name.as_str()).map(|version| version.to_string());
        Ok(Stored { reads_as: text.into(), version: version.and_then(|version| Version::new(version).ok()) })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        self.fake.remove(name.as_str());
        Ok(())
    }

    async fn deny(&self, name: &RemoteName) -> Able {
        self.fake.deny(ACCESS_ID, name.as_str());
        Ok(())
    }

    /// A tag is one word.
    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        self.fake.tag(name.as_str(), &tags.values().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        Ok(("/folder".to_owned(), RemoteName::new(format!("/folder/{label}")).expect("a name")))
    }

    fn absent_version(&self) -> Option<Version> {
        Version::new("999").ok()
    }

    async fn break_with(&self, fault: Fault) -> Able {
        let status = |status, retry_after| faults::Fault::Status { status, retry_after };
        self.fake.faults().set(
            EVERY_OPERATION,
            match fault {
                Fault::BlackHole => faults::Fault::BlackHole,
                Fault::EmptyAnswer => faults::Fault::Empty,
                Fault::HalfAnswer => faults::Fault::Truncated,
                Fault::ServerError => status(500, None),
                Fault::Throttled { after } => status(429, Some(after.as_secs())),
            },
        );
        Ok(())
    }

    async fn mend(&self) {
        self.fake.faults().clear_all();
    }

    async fn expire_login(&self) -> Able {
        self.fake.expire_tokens();
        Ok(())
    }

    async fn refuse_login(&self) -> Able {
        self.fake.revoke(ACCESS_ID);
        Ok(())
    }

    fn logins(&self) -> Option<usize> {
        usize::try_from(self.fake.counts().of("auth")).ok()
    }

    /// Looking up what type a new item is of reads no secret.
    fn reads(&self) -> Option<usize> {
        let counts = self.fake.counts().all();
        let reads: u64 = counts.iter().filter(|(command, _)| command.starts_with("get-")).map(|(_, count)| count).sum();
        usize::try_from(reads).ok()
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec![ACCESS_ID.into(), ACCESS_KEY.into()]
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(100)
    }
}

#[tokio::test]
async fn akeyless_conforms() {
    let fake = AkeylessGateway::start().expect("a free port");
    fake.grant(Access::api_key(ACCESS_ID, ACCESS_KEY));
    let provider = Akeyless::new(config(fake.url()), Arc::new(Unobserved)).expect("a usable configuration");
    let report = conformance(&Gateway { fake, provider: Arc::new(provider) }).await;
    report.assert_recorded("akeyless");
    let tried = |case| report.passed(case) || ["binary", "metadata"].contains(&case);
    assert!(report.cases.iter().all(|(case, _)| tried(*case)), "{report}");
}
