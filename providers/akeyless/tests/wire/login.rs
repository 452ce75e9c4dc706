//! Logging in.

use std::sync::{Arc, LazyLock, Mutex};

use keyferry_akeyless::{Akeyless, Auth, KubernetesToken, ServiceAccount};
use keyferry_core::{ErrorKind, Provider, Retry, Unobserved};
use keyferry_fakes::{
    akeyless::{Access, Item, Method, Settings},
    keys::Issuer,
    token_review::Review,
};
use serde_json::json;

use crate::store::{ACCESS_ID, ACCESS_KEY, Mint, Store, config, latest};

/// The cluster, which signs the tokens of its ServiceAccounts.
static CLUSTER: LazyLock<Issuer> = LazyLock::new(Issuer::default);

fn service_account_token() -> String {
    CLUSTER.sign(&json!({"sub": "system:serviceaccount:app:reader"}))
}

fn kubernetes(token: KubernetesToken) -> Auth {
    Auth::Kubernetes { config_name: "cluster".into(), token }
}

fn admit_kubernetes(store: &Store, config_name: &str) {
    let subjects = vec!["system:serviceaccount:app:reader".to_owned()];
    let method = Method::K8s { config_name: config_name.to_owned(), review: Review::Keys(CLUSTER.keys()), subjects };
    store.gateway.grant(Access::new(ACCESS_ID, method));
}

#[tokio::test]
async fn a_check_logs_in_and_reads_nothing() {
    let store = Store::new(vec![Item::secret("/a", "1")]);
    store.provider.check().await.expect("a login");
    store.provider.check().await.expect("the same login");
    assert_eq!(store.gateway.counts().all(), [("auth".to_owned(), 1)].into());
}

#[tokio::test]
async fn all_callers_share_one_login() {
    let store =
        Store::new((0..20).map(|number| Item::rotated(&format!("/{number}"), json!({"payload": "x"}))).collect());
    let at: Vec<_> = (0..20).map(|number| latest(&format!("/{number}"))).collect();
    let fetches: Vec<_> = at.iter().map(|locator| store.fetch(std::slice::from_ref(locator))).collect();
    assert!(futures::future::join_all(fetches).await.iter().flatten().all(Result::is_ok));
    assert_eq!(store.count("auth"), 1);
}

#[tokio::test]
async fn a_login_that_has_ended_is_renewed_once() {
    let store = Store::new(vec![Item::secret("/a", "1"), Item::rotated("/b", json!({"payload": "2"}))]);
    let at = [latest("/a"), latest("/b")];
    store.fetch(&at).await;
    store.gateway.expire_tokens();
    assert!(store.fetch(&at).await.iter().all(Result::is_ok));
    assert_eq!(store.count("auth"), 2);
}

#[tokio::test]
async fn a_token_without_a_known_end_is_used_until_it_is_refused() {
    let settings = Settings { tells_expiration: false, ..Settings::default() };
    let store = Store::with(settings, vec![Item::secret("/a", "1")], |_| ());
    store.read("/a").await.expect("a value");
    store.gateway.expire_tokens();
    store.read("/a").await.expect("a value");
    assert_eq!(store.count("auth"), 2);
}

#[tokio::test]
async fn a_wrong_key_is_named_and_not_shown() {
    let wrong = |config: &mut keyferry_akeyless::AkeylessConfig| {
        config.auth = Auth::AccessKey { access_key: "hunter2".into() };
    };
    let store = Store::with(Settings::default(), vec![Item::secret("/a", "1")], wrong);
    for error in [store.provider.check().await.expect_err("a refusal"), store.error("/a").await] {
        assert_eq!((error.kind, error.retry, error.operation), (ErrorKind::Unauthenticated, Retry::Never, "Auth"));
        assert_eq!(error.message, "the gateway refused the login; check accessID and accessTypeParam");
    }
    assert_eq!(store.count("describe-item"), 0);
    assert!(!format!("{:?}", store.provider).contains("hunter2"));
}

#[tokio::test]
async fn white_space_around_credentials_does_not_matter() {
    let store = Store::with(Settings::default(), vec![], |config| {
        config.access_id = format!("{ACCESS_ID}\n").into();
        config.auth = Auth::AccessKey { access_key: format!(" {ACCESS_KEY}\r\n").into() };
    });
    store.provider.check().await.expect("a login");
}

#[tokio::test]
async fn tokens_of_universal_identities_have_their_own_field() {
    let settings = Settings { token_prefix: "u-".into(), ..Settings::default() };
    let store = Store::with(settings, vec![Item::secret("/a", "1")], |_| ());
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_service_account_logs_in_with_a_minted_token() {
    let mint =
        Arc::new(Mint { token: service_account_token().into(), audiences: Mutex::default(), annotations: vec![] });
    let account = ServiceAccount { source: Arc::<Mint>::clone(&mint), audiences: vec!["akeyless".into()] };
    let auth = kubernetes(KubernetesToken::Minted(account));
    let store = Store::with(Settings::default(), vec![Item::secret("/a", "1")], |config| config.auth = auth);
    admit_kubernetes(&store, "cluster");
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
    assert_eq!(*mint.audiences.lock().unwrap(), ["akeyless"]);
}

#[tokio::test]
async fn a_service_account_logs_in_with_a_kept_token() {
    let token = format!("{}\n", service_account_token());
    let auth = kubernetes(KubernetesToken::Kept(token.into()));
    let store = Store::with(Settings::default(), vec![Item::secret("/a", "1")], |config| config.auth = auth);
    admit_kubernetes(&store, "cluster");
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_wrong_auth_config_is_a_refused_login_and_no_missing_item() {
    let auth = kubernetes(KubernetesToken::Kept(service_account_token().into()));
    let store = Store::with(Settings::default(), vec![Item::secret("/a", "1")], |config| config.auth = auth);
    admit_kubernetes(&store, "other");
    let error = store.error("/a").await;
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.contains("k8sConfName"), "{error}");
}

#[tokio::test]
async fn credentials_that_cannot_be_any_are_refused_before_anything_is_sent() {
    let wrong = |change: fn(&mut keyferry_akeyless::AkeylessConfig)| {
        let mut config = config("https://gw.example/v2");
        change(&mut config);
        let error = Akeyless::new(config, Arc::new(Unobserved)).expect_err("a wrong credential");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        error.message
    };
    assert_eq!(wrong(|config| config.access_id = " ".into()), "accessID is empty; set it");
    let empty = |config: &mut keyferry_akeyless::AkeylessConfig| {
        config.auth = Auth::AccessKey { access_key: "\n".into() };
    };
    assert_eq!(wrong(empty), "accessTypeParam is empty; set it");
    let nameless = |config: &mut keyferry_akeyless::AkeylessConfig| {
        config.auth = Auth::Kubernetes { config_name: " ".into(), token: KubernetesToken::Kept("t".into()) };
    };
    assert_eq!(wrong(nameless), "k8sConfName is empty; set it");
}
