//! A gateway and a provider for it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyferry_akeyless::{Akeyless, AkeylessConfig, Auth, Environment};
use keyferry_core::{
    Call, CallObserver, Error, Fetched, Locator, Provider, RemoteName, Result, SecretBytes, ServiceAccountToken,
    TokenSource, Version,
};
use keyferry_fakes::{
    akeyless::{Access, AkeylessGateway, Contents, Item, Settings},
    server::Listen,
};
use keyferry_rest::Tls;
use tokio::time::Instant;

/// An access id, its key, and what they give access to.
pub(crate) const ACCESS_ID: &str = "p-app";
pub(crate) const ACCESS_KEY: &str = "key-of-p-app";

pub(crate) struct Store {
    pub(crate) gateway: AkeylessGateway,
    pub(crate) provider: Akeyless,
    pub(crate) calls: Arc<Calls>,
}

/// Remembers the calls that the provider has made.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Call>>);

impl CallObserver for Calls {
    fn called(&self, call: Call) {
        self.0.lock().expect("no test has panicked").push(call);
    }
}

impl Calls {
    /// Operations since the last time, in their order.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        self.0.lock().expect("no test has panicked").drain(..).map(|call| call.operation).collect()
    }
}

pub(crate) fn config(gateway_url: &str) -> AkeylessConfig {
    AkeylessConfig {
        gateway_url: gateway_url.to_owned(),
        access_id: ACCESS_ID.into(),
        auth: Auth::AccessKey { access_key: ACCESS_KEY.into() },
        environment: Environment::default(),
        ignore_cache: false,
        tls: Tls::default(),
    }
}

impl Store {
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self::with(Settings::default(), items, |_| ())
    }

    pub(crate) fn with(settings: Settings, items: Vec<Item>, change: impl FnOnce(&mut AkeylessConfig)) -> Self {
        let access = vec![Access::api_key(ACCESS_ID, ACCESS_KEY)];
        let gateway = AkeylessGateway::start_with(Listen::default(), settings, Contents { access, items });
        let gateway = gateway.expect("a free port");
        let mut config = config(&format!("{}/v2", gateway.url()));
        change(&mut config);
        let calls = Arc::new(Calls::default());
        let observer: Arc<dyn CallObserver> = Arc::<Calls>::clone(&calls);
        let provider = Akeyless::new(config, observer).expect("a usable configuration");
        Self { gateway, provider, calls }
    }

    pub(crate) async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        self.provider.fetch(at, Instant::now()).await
    }

    /// The newest value of `name`.
    pub(crate) async fn read(&self, name: &str) -> Result<String> {
        self.read_at(latest(name)).await
    }

    pub(crate) async fn read_at(&self, at: Locator) -> Result<String> {
        let mut answers = self.fetch(&[at]).await;
        answers.pop().expect("an answer").map(|fetched| text(&fetched.value))
    }

    pub(crate) async fn error(&self, name: &str) -> Error {
        self.read(name).await.expect_err(name)
    }

    /// How often a command was asked for, since the last time.
    pub(crate) fn count(&self, command: &str) -> u64 {
        self.gateway.counts().of(command)
    }
}

pub(crate) fn latest(name: &str) -> Locator {
    Locator::latest(RemoteName::new(name).expect("a name"))
}

pub(crate) fn version(name: &str, version: &str) -> Locator {
    Locator { version: Version::new(version).ok(), ..latest(name) }
}

pub(crate) fn text(value: &SecretBytes) -> String {
    value.expose_str().expect("text").to_owned()
}

/// Mints the same token always, and remembers for whom.
#[derive(Debug)]
pub(crate) struct Mint {
    pub(crate) token: SecretBytes,
    pub(crate) audiences: Mutex<Vec<String>>,
    pub(crate) annotations: Vec<(&'static str, &'static str)>,
}

#[async_trait]
impl TokenSource for Mint {
    async fn token(&self, audiences: &[String], ttl: std::time::Duration) -> Result<ServiceAccountToken> {
        *self.audiences.lock().expect("no test has panicked") = audiences.to_vec();
        Ok(ServiceAccountToken { token: self.token.clone(), valid_for: ttl })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }
}
