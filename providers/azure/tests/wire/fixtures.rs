//! A store, its fake cloud, and short ways to ask.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_azure::{Auth, Azure, AzureConfig, Cloud, Environment};
use keyferry_core::{
    Call, CallObserver, Error, Listed, Provider, Query, Result, SecretBytes, ServiceAccountToken, TokenSource,
    Unobserved,
};
use keyferry_fakes::{
    azure::{Application, AzureCloud, Contents, Settings},
    server::Listen,
};
use keyferry_rest::{BaseUrl, Tls};
pub(crate) use keyferry_testkit::ask::{at, fetch_one, metadata, refused, text, value, version};
use tokio::time::Instant;

/// The vault's tenant.
pub(crate) const TENANT: &str = "7e57ab1e-0000-4000-8000-000000000001";
pub(crate) const CLIENT: &str = "c11e4700-0000-4000-8000-000000000002";

/// A cloud with the application of [`secret`].
pub(crate) fn cloud() -> AzureCloud {
    let application = Application { secrets: vec!["client-secret".into()], ..Application::new(TENANT, CLIENT) };
    cloud_with(Settings::default(), Contents { applications: vec![application], ..Contents::default() })
}

pub(crate) fn cloud_with(settings: Settings, contents: Contents) -> AzureCloud {
    AzureCloud::start_with(Listen::default(), settings, contents).expect("a free port")
}

pub(crate) fn secret() -> Auth {
    Auth::ServicePrincipal {
        client_certificate: None,
        client_id: Some(CLIENT.into()),
        client_secret: Some("client-secret\n".into()),
    }
}

/// A store whose login, metadata service and vault are all at `url`.
pub(crate) fn config(url: &str) -> AzureConfig {
    let elsewhere = Some(BaseUrl::parse(url).expect("a URL"));
    AzureConfig {
        auth: secret(),
        cloud: Cloud::Public,
        custom_cloud: None,
        environment: Environment { authority: elsewhere.clone(), metadata: elsewhere, ..Environment::default() },
        tenant_id: Some(TENANT.into()),
        tls: Tls::default(),
        use_azure_sdk: false,
        vault_url: url.into(),
    }
}

pub(crate) fn store(config: AzureConfig) -> Azure {
    Azure::new(config, Arc::new(Unobserved)).expect("good settings")
}

/// What is wrong with these settings.
pub(crate) fn wrong(config: AzureConfig) -> Error {
    Azure::new(config, Arc::new(Unobserved)).expect_err("wrong settings")
}

/// All pages, each with its secrets.
pub(crate) async fn pages(store: &Azure, query: Query) -> Vec<Vec<Listed>> {
    let (mut query, mut pages) = (query, Vec::new());
    loop {
        let page = store.list(&query, Instant::now()).await.expect("a page");
        pages.push(page.items.clone());
        match &page.next {
            None => return pages,
            next => query.after.clone_from(next),
        }
    }
}

/// Remembers what it hears of.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Call>>);

impl Heard {
    pub(crate) fn calls(&self) -> Vec<(&'static str, bool)> {
        self.0.lock().expect("no panic before").iter().map(|call| (call.operation, call.outcome.is_ok())).collect()
    }
}

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("no panic before").push(call);
    }
}

/// A ServiceAccount whose token is always the same.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) annotations: Vec<(&'static str, &'static str)>,
    pub(crate) asked: Mutex<Vec<Vec<String>>>,
    pub(crate) token: String,
}

#[async_trait]
impl TokenSource for Account {
    async fn token(&self, audiences: &[String], _: Duration) -> Result<ServiceAccountToken> {
        self.asked.lock().expect("no panic before").push(audiences.to_vec());
        let token = SecretBytes::from(self.token.as_str());
        Ok(ServiceAccountToken { token, valid_for: Duration::from_mins(10) })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.iter().find_map(|(known, value)| (*known == key).then_some(*value))
    }
}
