//! Akeyless: ways to log in, kinds of items, and how often the gateway is asked.

use std::time::Duration;

use anyhow::{Context, Result};
use keyferry_e2e::harness::{ControlPlane, Operator, wait};
use keyferry_fakes::akeyless::{Access, AkeylessGateway, Contents, Item, Method, Settings};
use keyferry_fakes::faults::{EVERY_OPERATION, Fault};
use keyferry_fakes::server::Listen;
use keyferry_fakes::token_review::{Review, TokenReview};
use serde_json::{Value, json};

use crate::support::{Manifest, Tenant, credential, external_secret, never_failed, secret_store};

const ACCESS_ID: &str = "p-e2e";
const ACCESS_KEY: &str = "an access key";

/// A gateway with one access key, whose tokens hold for `ttl`.
fn gateway(ttl: Duration) -> Result<AkeylessGateway> {
    let settings = Settings { token_ttl: ttl, ..Settings::default() };
    let contents = Contents { access: vec![Access::api_key(ACCESS_ID, ACCESS_KEY)], items: Vec::new() };
    AkeylessGateway::start_with(Listen::default(), settings, contents).context("failed to start the gateway")
}

fn store(gateway: &AkeylessGateway, auth: impl Into<Value>) -> Manifest {
    let auth = auth.into();
    secret_store("akeyless", json!({ "akeyless": { "akeylessGWApiURL": gateway.url(), "authSecretRef": auth } }))
}

/// With all three selectors where other operators want them.
fn api_key() -> Value {
    let key = |key: &str| json!({ "name": "akeyless", "key": key });
    json!({ "secretRef": { "accessID": key("id"), "accessType": key("type"), "accessTypeParam": key("param") } })
}

fn access(access_type: &str, param: &str) -> Manifest {
    credential("akeyless", &[("id", ACCESS_ID), ("type", access_type), ("param", param)])
}

fn db() -> Manifest {
    external_secret("db").store("akeyless").key("password", "/team/db")
}

/// A team with a gateway that holds one item, a store that reads it, and a running operator.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, AkeylessGateway, Operator)> {
    let (tenant, gateway) = (Tenant::create(prefix).await?, gateway(Duration::from_hours(1))?);
    gateway.put(Item::secret("/team/db", "first"));
    tenant.apply(&access("api_key", ACCESS_KEY)).await?;
    tenant.apply(&store(&gateway, api_key())).await?;
    let operator = tenant.operator().start().await?;
    Ok((tenant, gateway, operator))
}

#[tokio::test]
async fn an_access_key_logs_in_under_both_names() -> Result<()> {
    let (tenant, _gateway, _operator) = tenant("apikey").await?;
    tenant.apply(&db()).await?;
    tenant.holds("db", &[("password", "first")]).await?;
    tenant.store_works("akeyless").await?;

    tenant.apply(&access("access_key", ACCESS_KEY)).await?;
    tenant.apply(&external_secret("again").store("akeyless").key("password", "/team/db")).await?;
    tenant.holds("again", &[("password", "first")]).await?;
    tenant.store_works("akeyless").await?;
    Ok(())
}

/// The gateway asks the API server about each token.
#[tokio::test]
async fn a_service_account_logs_in() -> Result<()> {
    let (cluster, tenant) = (ControlPlane::shared().await?, Tenant::create("k8s").await?);
    let gateway = gateway(Duration::from_hours(1))?;
    gateway.put(Item::secret("/team/db", "first"));
    for account in ["reader", "stranger"] {
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": account } });
        tenant.namespace.apply(&account.to_string()).await?;
    }
    let review = TokenReview {
        url: cluster.url().to_owned(),
        ca_file: Some(cluster.dir().join("ca.crt")),
        reviewer_token: reviewer(cluster, &tenant).await?,
        audiences: Vec::new(),
    };
    let subjects = vec![format!("system:serviceaccount:{}:reader", tenant.name())];
    let method = Method::K8s { config_name: "cluster".to_owned(), review: Review::Server(review), subjects };
    gateway.grant(Access::new("p-k8s", method));
    let auth = |account: &str| {
        json!({ "kubernetesAuth": {
            "accessID": "p-k8s", "k8sConfName": "cluster", "serviceAccountRef": { "name": account },
        } })
    };
    tenant.apply(&store(&gateway, auth("stranger"))).await?;
    let _operator = tenant.operator().start().await?;
    tenant.store_fails("akeyless", &["AuthenticationFailed"]).await?;

    tenant.apply(&store(&gateway, auth("reader"))).await?;
    tenant.apply(&db()).await?;

    tenant.holds("db", &[("password", "first")]).await?;
    Ok(())
}

/// A token that may review others.
async fn reviewer(cluster: &ControlPlane, tenant: &Tenant<'_>) -> Result<String> {
    let name = tenant.name();
    let manifests = format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: reviewer }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: reviewer-{name} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:auth-delegator' }}
subjects: [{{ kind: ServiceAccount, name: reviewer, namespace: {name} }}]
"
    );
    tenant.namespace.apply(&manifests).await?;
    cluster.token_for(name, "reviewer", &[]).await
}

#[tokio::test]
async fn every_kind_of_item_is_read() -> Result<()> {
    let (tenant, gateway, _operator) = tenant("items").await?;
    gateway.put(Item::secret("/team/json", r#"{"user": "ann", "big": 9007199254740993, "nested": {"a.b": [1, 2]}}"#));
    gateway.put(Item::rotated("/team/rotated", json!({ "payload": "rotated" })));
    gateway.put(Item::dynamic("/team/dynamic", json!({ "user": "tmp", "password": "made" })));
    gateway.put(Item::certificate("/team/tls", "a certificate", "a key"));

    let manifest = external_secret("db")
        .store("akeyless")
        .key("static", "/team/db")
        .property("user", "/team/json", "user")
        .property("big", "/team/json", "big")
        .property("nested", "/team/json", r"nested.a\.b.1")
        .key("rotated", "/team/rotated")
        .property("dynamic", "/team/dynamic", "password")
        .property("tls.crt", "/team/tls", "certificate_pem")
        .property("tls.key", "/team/tls", "private_key_pem");
    tenant.apply(&manifest).await?;

    let expected = [
        ("dynamic", "made"),
        ("nested", "2"),
        ("big", "9007199254740993"),
        ("rotated", "rotated"),
        ("static", "first"),
        ("tls.crt", "a certificate"),
        ("tls.key", "a key"),
        ("user", "ann"),
    ];
    tenant.holds("db", &expected).await?;

    tenant.apply(&external_secret("map").store("akeyless").extract("/team/json")).await?;
    tenant.holds("map", &[("nested", r#"{"a.b": [1, 2]}"#), ("big", "9007199254740993"), ("user", "ann")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_version_can_be_named() -> Result<()> {
    let (tenant, gateway, _operator) = tenant("item-version").await?;
    gateway.rotate("/team/db", "second");
    let old = json!({ "secretKey": "old", "remoteRef": { "key": "/team/db", "version": "1" } });
    tenant.apply(&db().add("data", old)).await?;
    tenant.holds("db", &[("old", "first"), ("password", "second")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_token_is_used_until_it_ends_and_then_replaced() -> Result<()> {
    let (tenant, gateway, operator) = tenant("tokens").await?;
    for n in 0..20 {
        let db = external_secret(&format!("db-{n}")).store("akeyless").every("1s").key("password", "/team/db");
        tenant.apply(&db).await?;
    }
    for n in 0..20 {
        tenant.synced(&format!("db-{n}")).await?;
    }
    assert_eq!(gateway.counts().of("auth"), 1);

    // Without warning, as when the gateway restarts.
    gateway.expire_tokens();
    gateway.rotate("/team/db", "second");
    for n in 0..20 {
        tenant.holds(&format!("db-{n}"), &[("password", "second")]).await?;
    }
    assert_eq!(gateway.counts().of("auth"), 2);
    for n in 0..20 {
        never_failed(&operator, &format!("db-{n}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() -> Result<()> {
    let (tenant, gateway) = (Tenant::create("ttl").await?, gateway(Duration::from_secs(4))?);
    gateway.put(Item::secret("/team/db", "first"));
    tenant.apply(&access("api_key", ACCESS_KEY)).await?;
    tenant.apply(&store(&gateway, api_key())).await?;
    let operator = tenant.operator().start().await?;
    tenant.apply(&db().every("1s")).await?;
    tenant.synced("db").await?;

    wait::eventually("the token was renewed twice", wait::DEADLINE, async || {
        Ok((gateway.counts().of("auth") >= 3).then_some(()))
    })
    .await?;

    never_failed(&operator, "db").await
}

#[tokio::test]
async fn many_readers_of_one_item_share_the_calls() -> Result<()> {
    let (tenant, gateway, _operator) = tenant("item-sharing").await?;
    for n in 0..20 {
        let db = external_secret(&format!("db-{n}")).store("akeyless").every("2s").key("password", "/team/db");
        tenant.apply(&db).await?;
    }
    for n in 0..20 {
        tenant.synced(&format!("db-{n}")).await?;
    }
    gateway.counts().reset();
    let begin = std::time::Instant::now();
    let reads = wait::eventually("three ticks pass", wait::DEADLINE, async || {
        let reads = gateway.counts().of("get-secret-value");
        Ok((begin.elapsed() > Duration::from_secs(6)).then_some(reads))
    })
    .await?;
    // One read may lie at either end of the window.
    assert!((2..=5).contains(&reads), "{reads} reads in three ticks");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_named() -> Result<()> {
    let (tenant, gateway, _operator) = tenant("item-wrong").await?;
    gateway.put(Item::new("/team/key", keyferry_fakes::akeyless::ItemType::Key, json!("k")));
    let read = |name: &str, item: &str| external_secret(name).store("akeyless").key("password", item);
    tenant.apply(&read("missing", "/team/missing")).await?;
    tenant.apply(&read("unreadable", "/team/key")).await?;
    tenant.fails("missing", &["RemoteNotFound", "spec.data[0]", "/team/missing", "create it"]).await?;
    tenant.fails("unreadable", &["Unsupported", "/team/key"]).await?;

    tenant.apply(&access("api_key", "wrong")).await?;
    let message = tenant.store_fails("akeyless", &["AuthenticationFailed", "correct the store's credentials"]).await?;
    assert!(!message.contains("wrong"), "{message}");

    tenant.apply(&access("saml", "x")).await?;
    tenant.store_fails("akeyless", &["InvalidConfiguration", "accessType", "api_key"]).await?;
    gateway.grant(Access::api_key(ACCESS_ID, ACCESS_KEY).limited_to(&["/elsewhere/*"]));
    tenant.apply(&access("api_key", ACCESS_KEY)).await?;
    tenant.apply(&db()).await?;
    tenant.fails("db", &["AccessDenied", "/team/db", "grant"]).await?;
    Ok(())
}

#[tokio::test]
async fn deletion_policy_delete_needs_a_positive_answer() -> Result<()> {
    let (tenant, gateway, _operator) = tenant("item-deletion").await?;
    tenant.apply(&db().every("1s").with("/spec/target/deletionPolicy", "Delete")).await?;
    tenant.synced("db").await?;
    let bytes = tenant.bytes("db").await?;
    for fault in [Fault::Empty, Fault::Truncated] {
        gateway.faults().set("get-secret-value", fault.clone());
        tenant.fails("db", &["UnexpectedResponse"]).await?;
        tenant.fence(&format!("after-{fault:?}").to_lowercase(), "vault").await?;
        assert_eq!(tenant.bytes("db").await?, bytes, "after {fault:?}");
        gateway.faults().clear_all();
        tenant.synced("db").await?;
    }

    gateway.remove("/team/db");
    tenant.namespace.wait_for_no_secret("db").await
}

#[tokio::test]
async fn bad_days_of_the_gateway_harm_nobody() -> Result<()> {
    let cases = [
        (Fault::Status { status: 429, retry_after: Some(1) }, &["Throttled"][..]),
        (Fault::Status { status: 500, retry_after: None }, &["ProviderUnreachable"]),
        (Fault::HangUp, &["ProviderUnreachable"]),
        (Fault::Empty, &["UnexpectedResponse"]),
        (Fault::Truncated, &["UnexpectedResponse"]),
    ];
    let (tenant, gateway, _operator) = tenant("bad-days").await?;
    tenant.apply(&db().every("2s")).await?;
    tenant.synced("db").await?;
    for (index, (fault, parts)) in cases.into_iter().enumerate() {
        let bytes = tenant.bytes("db").await?;
        gateway.faults().set(EVERY_OPERATION, fault);
        tenant.fails("db", parts).await?;
        tenant.fence(&format!("somebody-else-{index}"), "vault").await?;
        assert_eq!(tenant.bytes("db").await?, bytes);

        let value = format!("value {index}");
        gateway.rotate("/team/db", value.as_str());
        gateway.faults().clear_all();
        tenant.holds("db", &[("password", &value)]).await?;
    }
    Ok(())
}
