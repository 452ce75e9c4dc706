//! `docs/backends/akeyless.md`, with the fake gateway.

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::ControlPlane;
use keyferry_fakes::akeyless::{Access, AkeylessGateway, Item, ItemType, Method};
use keyferry_fakes::keys::Issuer;
use keyferry_fakes::token_review::{Review, TokenReview};
use serde_json::{Value, json};

use super::canned::always;
use super::{Stage, reviewer};
use crate::support::{Manifest, credential};

/// The addresses that the page names.
const SERVICE: &str = "https://api.akeyless.io";
const GATEWAY: &str = "https://akeyless.example.com/api/v2";

const VALUE: &str = "as documented";

/// The identity that the page names, and its tenant.
const OBJECT_ID: &str = "9f1c7f4e-3f0a-4d35-8a53-5b8f6f0c2d11";
const TENANT: &str = "5f0e2f8c-7c55-44a1-8f5e-0c6a1d2b3e44";

const AWS_KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

pub(super) async fn tries_all() -> Result<()> {
    let gateway = AkeylessGateway::start().context("failed to start the gateway")?;
    // One key signs whatever a cloud would. Its tokens live as long as the tests.
    let cloud = Issuer::default();
    let azure = json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": "https://management.azure.com/", "oid": OBJECT_ID,
    });
    let azure = json!({ "access_token": cloud.sign(&azure) }).to_string();
    let google = cloud.sign(&json!({ "iss": "https://accounts.google.com", "aud": "akeyless.io" }));
    let (azure, google) = (always(200, azure.leak()).await?, always(200, google.leak()).await?);
    let mut stage = Stage::open("akeyless.md", |operator| {
        operator
            .variable("AWS_ACCESS_KEY_ID", AWS_KEY.0)
            .variable("AWS_SECRET_ACCESS_KEY", AWS_KEY.1)
            .variable("AWS_REGION", "eu-west-1")
            .variable("AZURE_AUTHORITY_HOST", azure.url())
            .variable("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.url())
            .variable("GCE_METADATA_HOST", google.url().trim_start_matches("http://"))
    })
    .await?;
    fill(&gateway);
    access_keys(&mut stage, &gateway).await?;
    service_account(&mut stage, &gateway).await?;
    clouds(&mut stage, &gateway, &cloud).await?;
    references(&mut stage, &gateway).await?;
    provoke(&mut stage, &gateway).await?;
    stage.close()
}

fn fill(gateway: &AkeylessGateway) {
    gateway.put(Item::secret("/prod/db/password", "first"));
    gateway.rotate("/prod/db/password", VALUE);
    gateway.put(Item::rotated("/prod/db/admin", json!({ "payload": { "password": "rotated" } })));
    gateway.put(Item::certificate("/prod/tls", "a certificate", "a key"));
    gateway.put(Item::secret("/prod/mail", r#"{"host": "mail", "port": 587}"#));
    gateway.put(Item::secret("/prod/services/pay-key", "of payments").tagged(&["payments"]));
    gateway.put(Item::secret("/prod/services/ship-key", "of shipping").tagged(&["shipping"]));
    gateway.put(Item::secret("/prod/services/pay-name", "of payments").tagged(&["payments"]));
}

/// Lets the page's access id in, with the permissions that the page grants.
fn grant(gateway: &AkeylessGateway, access_id: &str, method: Method) {
    gateway.grant(Access::new(access_id, method).limited_to(&["/prod/*"]));
}

/// The store of a section reads an item.
async fn reads(stage: &mut Stage, heading: &str, gateway: &AkeylessGateway) -> Result<()> {
    let read = |es: Manifest| es.key("password", "/prod/db/password");
    stage.works(heading, &[(SERVICE, gateway.url())], read, &[("password", VALUE)]).await
}

async fn access_keys(stage: &mut Stage, gateway: &AkeylessGateway) -> Result<()> {
    for (heading, key) in [("An access key", "access-key"), ("The short form", "access-type-param")] {
        let key = stage.value(heading, &format!("/stringData/{key}"))?;
        grant(gateway, &stage.value(heading, "/stringData/access-id")?, Method::ApiKey { key });
        reads(stage, heading, gateway).await?;
    }
    Ok(())
}

async fn service_account(stage: &mut Stage, gateway: &AkeylessGateway) -> Result<()> {
    let heading = "A ServiceAccount";
    let auth = "/spec/provider/akeyless/authSecretRef/kubernetesAuth";
    let access_id = stage.value(heading, &format!("{auth}/accessID"))?;
    let method = Method::K8s {
        config_name: stage.value(heading, &format!("{auth}/k8sConfName"))?,
        review: Review::Server(
            review(vec![stage.value(heading, &format!("{auth}/serviceAccountRef/audiences/0"))?]).await?,
        ),
        subjects: vec![format!("system:serviceaccount:{}:secrets-reader", stage.tenant.name())],
    };
    grant(gateway, &access_id, method);
    let address = format!("{}/api/v2", gateway.url());
    let read = |es: Manifest| es.key("password", "/prod/db/password");
    stage.works(heading, &[(GATEWAY, &address)], read, &[("password", VALUE)]).await
}

/// How the gateway asks the API server about tokens for one of these audiences.
async fn review(audiences: Vec<String>) -> Result<TokenReview> {
    let cluster = ControlPlane::shared().await?;
    Ok(TokenReview {
        url: cluster.url().to_owned(),
        ca_file: Some(cluster.dir().join("ca.crt")),
        reviewer_token: reviewer::token(cluster, &[]).await?,
        audiences,
    })
}

async fn clouds(stage: &mut Stage, gateway: &AkeylessGateway, cloud: &Issuer) -> Result<()> {
    let managed = "Azure: a managed identity";
    let entra =
        || Method::AzureAd { keys: cloud.keys(), object_id: Some(OBJECT_ID.to_owned()), tenant: TENANT.to_owned() };
    ensure!(stage.value(managed, "/stringData/object-id")? == OBJECT_ID, "the page names another identity");
    grant(gateway, &stage.value(managed, "/stringData/access-id")?, entra());
    let (keys, read) =
        (["access-id", "access-type", "object-id"], |es: Manifest| es.key("password", "/prod/db/password"));
    stage.works_anywhere(managed, &keys, &[(SERVICE, gateway.url())], read, &[("password", VALUE)]).await?;
    let methods = [
        ("AWS", Method::AwsIam { keys: [(AWS_KEY.0.to_owned(), AWS_KEY.1.to_owned())].into() }),
        ("Azure: the workload identity of a ServiceAccount", entra()),
        ("Google Cloud", Method::Gcp { audience: "akeyless.io".to_owned(), keys: cloud.keys() }),
    ];
    for (heading, method) in methods {
        grant(gateway, &stage.value(heading, "/stringData/access-id")?, method);
        reads(stage, heading, gateway).await?;
    }
    Ok(())
}

async fn references(stage: &mut Stage, gateway: &AkeylessGateway) -> Result<()> {
    access_keys(stage, gateway).await?;
    let expected = [
        ("_prod_services_pay-key", "of payments"),
        ("admin-password", "rotated"),
        ("first-password", "first"),
        ("host", "mail"),
        ("password", VALUE),
        ("port", "587"),
        ("tls.crt", "a certificate"),
    ];
    stage.syncs("What a reference means", &expected).await
}

/// The store of the section on access keys still works.
async fn provoke(stage: &mut Stage, gateway: &AkeylessGateway) -> Result<()> {
    let read = |key: &'static str| move |es: Manifest| es.key("value", key);
    gateway.put(Item::secret("/elsewhere/password", "of others"));
    gateway.put(Item::new("/prod/key", ItemType::Key, json!("k")));
    gateway.put(Item::secret("/prod/empty", ""));
    stage.reader_says("there is no item", "akeyless", read("/prod/nothing")).await?;
    let version = json!({ "secretKey": "value", "remoteRef": { "key": "/prod/db/password", "version": "7" } });
    stage.reader_says("there is no version", "akeyless", |es| es.add("data", version)).await?;
    stage.reader_says("the value of", "akeyless", read("/prod/empty")).await?;
    stage.reader_says("the login may not use item", "akeyless", read("/elsewhere/password")).await?;
    stage.reader_says("… is of a type", "akeyless", read("/prod/key")).await?;
    let metadata =
        json!({ "secretKey": "value", "remoteRef": { "key": "/prod/db/password", "metadataPolicy": "Fetch" } });
    stage.reader_says("Akeyless has no metadata", "akeyless", |es| es.add("data", metadata)).await?;

    let (access_id, url) = (stage.value("The short form", "/stringData/access-id")?, gateway.url());
    let refused = provider(stage, url, &access_id, "api_key", Some("wrong")).await?;
    stage.store_says("the gateway refused the login", "refused", refused).await?;
    let without = provider(stage, url, &access_id, "api_key", None).await?;
    stage.store_says("… has no key \"access-type-param\"", "without", without).await?;
    let unknown = provider(stage, url, &access_id, "saml", None).await?;
    stage.store_says("accessType cannot be used", "unknown", unknown).await?;
    let kubernetes = provider(stage, url, &access_id, "k8s", Some("production")).await?;
    stage.store_says("accessType is k8s", "kubernetes", kubernetes).await?;
    let azure = provider(stage, url, &access_id, "azure_ad", None).await?;
    stage.store_says("accessType would show an Azure token", "azure", azure).await?;
    let elsewhere = always(404, "not here").await?;
    let lost = provider(stage, elsewhere.url(), &access_id, "api_key", Some("any")).await?;
    stage.store_says("no Akeyless API there knows the login", "lost", lost).await
}

/// A provider in the short form, whose Secret has the name of its access type and access key.
async fn provider(stage: &Stage, url: &str, access_id: &str, access_type: &str, key: Option<&str>) -> Result<Value> {
    let name = format!("{access_type}-{}", key.unwrap_or("none")).replace('_', "-");
    let mut keys = vec![("access-id", access_id), ("access-type", access_type)];
    keys.extend(key.map(|key| ("access-type-param", key)));
    stage.tenant.apply(&credential(&name, &keys)).await?;
    let selector = |key: &str| json!({ "name": name, "key": key });
    let auth = json!({ "accessID": selector("access-id"), "accessType": selector("access-type") });
    Ok(json!({ "akeyless": { "akeylessGWApiURL": url, "authSecretRef": auth } }))
}
