//! `docs/backends/azure.md`, with the fake cloud and tokens of the real API server.

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::{ControlPlane, run_dir::RunDir};
use keyferry_fakes::azure::{
    Application, AzureCloud, Content, Contents, Federation, Kind, ManagedIdentity, Object, Settings,
};
use keyferry_fakes::gcp::Keys;
use keyferry_fakes::server::Listen;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::stage::Changes;
use super::{Stage, reviewer};
use crate::support::{Manifest, credential, external_secret, secret_store};

/// What the page names.
const VAULT: &str = "https://my-vault.vault.azure.net";
const STACK_VAULT: &str = "https://my-vault.vault.local.azurestack.external";
const STACK_LOGIN: &str = "https://login.local.azurestack.external";
const STACK_AUDIENCE: &str = "https://vault.local.azurestack.external";
const TENANT: &str = "99999999-8888-7777-6666-000000000000";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const TOKEN_AUDIENCE: &str = "api://AzureADTokenExchange";
const CLIENT_PEM: &str = "-----BEGIN PRIVATE KEY-----
    …
    -----END PRIVATE KEY-----
    -----BEGIN CERTIFICATE-----
    …
    -----END CERTIFICATE-----";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let (cloud, dir) = (cloud("https://vault.azure.net")?, RunDir::create("azure")?);
    let token = reviewer::token(ControlPlane::shared().await?, &[TOKEN_AUDIENCE]).await?;
    let token_file = dir.write("token", &token)?;
    let mut stage = Stage::open("azure.md", |operator| {
        operator
            .variable("AZURE_CLIENT_ID", CLIENT)
            .variable("AZURE_FEDERATED_TOKEN_FILE", &token_file.to_string_lossy())
            .variable("AZURE_POD_IDENTITY_AUTHORITY_HOST", cloud.url())
            .variable("AZURE_TENANT_ID", TENANT)
            .variable("KEYFERRY_AZURE_AUTHORITY_ENDPOINT", cloud.url())
    })
    .await?;
    certificate(&mut stage, &cloud).await?;
    managed_identity(&mut stage, &cloud).await?;
    workload_identity(&mut stage, &cloud).await?;
    client_secret(&mut stage, &cloud).await?;
    references(&mut stage, &cloud).await?;
    provoke_readers(&mut stage, &cloud).await?;
    provoke_stores(&mut stage, &cloud).await?;
    // Where the store itself says where to log in, the operator's environment must not.
    stage.recast(|operator| operator).await?;
    stack(&mut stage).await?;
    stage.close()
}

/// A cloud whose tokens for vaults are for `audience`, with the secret that is read.
fn cloud(audience: &str) -> Result<AzureCloud> {
    let settings = Settings { audience: audience.to_owned(), tenant: TENANT.to_owned(), ..Settings::default() };
    let contents = Contents { objects: vec![Object::secret("db-password", VALUE)], ..Contents::default() };
    AzureCloud::start_with(Listen::default(), settings, contents).context("failed to start the cloud")
}

/// The application that the page names, without a proof yet.
fn application() -> Application {
    Application::new(TENANT, CLIENT)
}

/// The store of a section reads a secret, after it has logged in with this operation.
async fn reads(stage: &mut Stage, heading: &str, cloud: &AzureCloud, changes: Changes<'_>, login: &str) -> Result<()> {
    cloud.counts().reset();
    let changes = [&[(VAULT, cloud.url())][..], changes].concat();
    stage.works(heading, &changes, |es| es.key("password", "db-password"), &[("password", VALUE)]).await?;
    let counts = cloud.counts().all();
    ensure!(counts.contains_key(login), "the section \"{heading}\" was tried without {login}: {counts:?}");
    Ok(())
}

async fn certificate(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let certificate = CertificateParams::default().self_signed(&key)?.pem();
    let pem = [key.serialize_pem(), certificate.clone()].concat().trim_end().replace('\n', "\n    ");
    cloud.register(Application { certificates: vec![certificate], ..application() });
    let heading = "Service principal with a certificate";
    reads(stage, heading, cloud, &[(CLIENT_PEM, &pem)], "RequestToken").await
}

async fn managed_identity(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    for client_id in ["00000000-0000-0000-0000-000000000001", CLIENT] {
        cloud.assign(ManagedIdentity { client_id: client_id.to_owned(), system: false });
    }
    reads(stage, "Managed identity", cloud, &[], "GetManagedIdentityToken").await
}

async fn workload_identity(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let trust = |subject: &str| {
        let federation = Federation {
            audience: TOKEN_AUDIENCE.to_owned(),
            issuer: cluster.token_issuer().to_owned(),
            keys: Keys::Pem(cluster.token_verifier_pem().to_owned()),
            subject: subject.to_owned(),
        };
        cloud.register(Application { federations: vec![federation], ..application() });
    };
    trust(&format!("system:serviceaccount:{}:secrets-reader", stage.tenant.name()));
    for heading in ["Workload identity of a ServiceAccount", "Workload identity without annotations"] {
        reads(stage, heading, cloud, &[], "RequestToken").await?;
    }
    trust(reviewer::SUBJECT);
    // The class keeps the operators of other tests away: they see the stores of the whole cluster.
    let class = format!("spec:\n  controller: {}\n  provider:", stage.tenant.name());
    let changes = [("spec:\n  provider:", class.as_str())];
    reads(stage, "Workload identity of the operator", cloud, &changes, "RequestToken").await
}

async fn client_secret(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let heading = "Azure Key Vault";
    cloud.register(Application { secrets: vec![stage.value(heading, "/stringData/client-secret")?], ..application() });
    reads(stage, heading, cloud, &[], "RequestToken").await
}

/// The store of the section on client secrets still works.
async fn references(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let key = [("kty", "RSA"), ("n", "0vx7agoebGcQ"), ("e", "AQAB")];
    let key = key.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect();
    let tags = [("contacts", r#"{"on-call": "bob"}"#), ("owner", "ann")];
    cloud.put(Object::secret("db-password", VALUE).tagged(&tags));
    // Base64 of "a certificate".
    cloud.put(Object::new("web", Content::Certificate("YSBjZXJ0aWZpY2F0ZQ==".to_owned())));
    cloud.put(Object::new("signing", Content::Key(key)));
    cloud.put(Object::secret("mail", r#"{"host": "mail", "port": 587}"#));
    cloud.put(Object::secret("pay-key", "of payments").tagged(&[("team", "payments")]));
    cloud.put(Object::secret("ship-key", "of shipping").tagged(&[("team", "shipping")]));
    cloud.put(Object::secret("pay-name", "of payments").tagged(&[("team", "payments")]));
    let expected = [
        ("db-password_contacts_on-call", "bob"),
        ("host", "mail"),
        ("modulus", "0vx7agoebGcQ"),
        ("on-call", "bob"),
        ("owner", "ann"),
        ("password", VALUE),
        ("pay-key", "of payments"),
        ("port", "587"),
        ("tls.der", "a certificate"),
    ];
    stage.syncs("What a reference means", &expected).await?;
    all_tags(stage, cloud).await
}

/// A store without the times, which differ from run to run.
async fn all_tags(stage: &Stage, cloud: &AzureCloud) -> Result<()> {
    let key = |key: &str| json!({ "name": "azure", "key": key });
    let refs = json!({ "clientId": key("client-id"), "clientSecret": key("client-secret") });
    let spec = json!({ "vaultUrl": cloud.url(), "tenantId": TENANT, "authSecretRef": refs, "useAzureSDK": true });
    stage.tenant.apply(&secret_store("tags-only", json!({ "azurekv": spec }))).await?;
    let extract = json!({ "extract": { "key": "secret/db-password", "metadataPolicy": "Fetch" } });
    stage.tenant.apply(&external_secret("all-tags").store("tags-only").add("dataFrom", extract)).await?;
    let expected = [("db-password_contacts_on-call", "bob"), ("db-password_owner", "ann")];
    stage.tenant.holds("all-tags", &expected).await?;
    Ok(())
}

async fn provoke_readers(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let read = |key: &'static str| move |es: Manifest| es.key("value", key);
    cloud.put(Object::secret("denied", "x"));
    cloud.deny(Kind::Secret, "denied");
    cloud.put(Object::secret("disabled", "x").disabled());
    stage.reader_says("there is no secret", "azure", read("nothing")).await?;
    stage.reader_says("the login may not read", "azure", read("denied")).await?;
    stage.reader_says("the secret … is disabled", "azure", read("disabled")).await?;
    stage.reader_says("… is not a name", "azure", read("db_password")).await?;
    stage.reader_says("unknown Azure Keyvault", "azure", read("secrets/db-password")).await?;
    let version = json!({ "secretKey": "value", "remoteRef": { "key": "db-password", "version": "../mail" } });
    stage.reader_says("… is not a version", "azure", |es| es.add("data", version)).await?;
    for key in ["cert/web", "key/signing"] {
        stage.reader_says("what this key names is one value", "azure", |es| es.extract(key)).await?;
    }
    Ok(())
}

async fn provoke_stores(stage: &mut Stage, cloud: &AzureCloud) -> Result<()> {
    let stranger = "11111111-0000-0000-0000-000000000000";
    let keys = [("client-id", CLIENT), ("client-secret", "the id of the secret"), ("stranger", stranger)];
    stage.tenant.apply(&credential("wrong", &keys)).await?;
    stage.tenant.namespace.apply(&annotated_account("stranger")).await?;
    let key = |key: &str| json!({ "name": "wrong", "key": key });
    let refs = json!({ "clientId": key("client-id"), "clientSecret": key("client-secret") });
    let stranger_refs = json!({ "clientId": key("stranger"), "clientSecret": key("client-secret") });
    let unproven = json!({ "clientId": key("client-id") });
    let account = json!({ "name": "stranger" });
    let custom = json!({ "activeDirectoryEndpoint": "https://login.example.com" });
    for (error, name, mut spec) in [
        ("vaultUrl: is not the address", "other-cloud", json!({ "vaultUrl": "https://my-vault.vault.azure.cn" })),
        ("vaultUrl: must have no path", "path", json!({ "vaultUrl": format!("{}/secrets/a", cloud.url()) })),
        (
            "Azure's metadata service gives no token",
            "not-assigned",
            json!({ "authType": "ManagedIdentity", "identityId": stranger }),
        ),
        (
            "customCloudConfig would send the operator's own token",
            "lent-machine",
            json!({ "authType": "ManagedIdentity", "useAzureSDK": true, "customCloudConfig": custom }),
        ),
        (
            "customCloudConfig would send the operator's own token",
            "lent-workload",
            json!({ "authType": "WorkloadIdentity", "useAzureSDK": true, "customCloudConfig": custom }),
        ),
        ("tenantId: is missing", "no-tenant", json!({ "authSecretRef": refs })),
        (
            "authSecretRef: clientSecret and clientCertificate are both",
            "no-proof",
            json!({ "tenantId": TENANT, "authSecretRef": unproven }),
        ),
        ("authSecretRef.clientSecret is wrong", "wrong-secret", json!({ "tenantId": TENANT, "authSecretRef": refs })),
        (
            "the tenant has no application",
            "no-application",
            json!({ "tenantId": TENANT, "authSecretRef": stranger_refs }),
        ),
        (
            "the cloud has no such tenant",
            "other-tenant",
            json!({ "tenantId": "elsewhere.example.com", "authSecretRef": refs }),
        ),
        (
            "the client id stands both in",
            "two-ids",
            json!({ "authType": "WorkloadIdentity", "serviceAccountRef": account, "authSecretRef": unproven }),
        ),
        (
            "the application does not trust",
            "not-trusted",
            json!({ "authType": "WorkloadIdentity", "serviceAccountRef": account }),
        ),
    ] {
        if spec.get("vaultUrl").is_none() {
            spec["vaultUrl"] = json!(cloud.url());
        }
        stage.store_says(error, name, json!({ "azurekv": spec })).await?;
    }
    let refs = json!({ "clientId": key("client-id"), "clientSecret": key("nothing") });
    let spec = json!({ "vaultUrl": cloud.url(), "tenantId": TENANT, "authSecretRef": refs });
    stage.tenant.apply(&secret_store("no-key", json!({ "azurekv": spec }))).await?;
    let field = "spec.provider.azurekv.authSecretRef.clientSecret";
    stage.tenant.store_fails("no-key", &["MissingCredential", field, "has no key \"nothing\"; add it"]).await?;
    Ok(())
}

/// A ServiceAccount with the annotations that the page names. The application does not trust it.
fn annotated_account(name: &str) -> String {
    let annotations =
        json!({ "azure.workload.identity/client-id": CLIENT, "azure.workload.identity/tenant-id": TENANT });
    let metadata = json!({ "name": name, "annotations": annotations });
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata }).to_string()
}

async fn stack(stage: &mut Stage) -> Result<()> {
    let (heading, cloud) = ("Clouds", cloud(STACK_AUDIENCE)?);
    cloud.register(Application { secrets: vec![stage.value(heading, "/stringData/client-secret")?], ..application() });
    let changes = [(STACK_VAULT, cloud.url()), (STACK_LOGIN, cloud.url())];
    stage.works(heading, &changes, |es| es.key("password", "db-password"), &[("password", VALUE)]).await
}
