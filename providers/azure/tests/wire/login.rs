//! Every way to log in, against a cloud that checks each proof.

use std::{fs, sync::Arc};

use keyferry_azure::{Auth, AzureConfig, ServiceAccount, WorkloadIdentity};
use keyferry_core::{Error, ErrorKind, Provider, Retry};
use keyferry_fakes::{
    azure::{Application, AzureCloud, Contents, Federation, ManagedIdentity, Object, Settings},
    faults::Fault,
    keys::Issuer,
};
use serde_json::{Value, json};

use crate::{
    certificate::Identity,
    fixtures::{Account, CLIENT, TENANT, cloud, cloud_with, config, refused, store, value},
};

const SUBJECT: &str = "system:serviceaccount:apps:web";
const EXCHANGE: &str = "api://AzureADTokenExchange";

fn with(application: Application) -> AzureCloud {
    let objects = vec![Object::secret("a", "x")];
    cloud_with(Settings::default(), Contents { applications: vec![application], objects, ..Contents::default() })
}

/// What comes of the login of `config`.
async fn check(config: AzureConfig) -> Result<(), Error> {
    store(config).check().await
}

async fn told(config: AzureConfig) -> String {
    let error = check(config).await.expect_err("no login");
    assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}");
    error.message
}

#[tokio::test]
async fn a_client_secret_logs_in() {
    let cloud = cloud();
    let store = store(config(cloud.url()));
    store.check().await.unwrap();
    store.check().await.unwrap();
    assert_eq!(cloud.counts().all(), [("RequestToken".to_owned(), 1)].into(), "a check reads nothing");
}

#[tokio::test]
async fn a_client_secret_that_is_wrong_is_told() {
    let cloud = cloud();
    let mut settings = config(cloud.url());
    settings.auth = Auth::ServicePrincipal {
        client_certificate: None,
        client_id: Some(CLIENT.into()),
        client_secret: Some("hunter2".into()),
    };
    let store = store(settings);
    let error = store.check().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Unauthenticated, Some(401)));
    assert!(error.message.starts_with("authSecretRef.clientSecret is wrong; it must be the value"), "{error}");
    assert!(error.message.ends_with("(AADSTS7000215)") && !error.to_string().contains("hunter2"));
    assert_eq!(refused(&store, "a").await.kind, ErrorKind::Unauthenticated);
    assert_eq!(cloud.counts().of("RequestToken"), 1, "a refused login is not tried again at once");
}

#[tokio::test]
async fn an_application_or_tenant_that_is_not_there_is_told() {
    let cloud = cloud();
    let mut settings = config(cloud.url());
    settings.auth = Auth::ServicePrincipal {
        client_certificate: None,
        client_id: Some("hunter2".into()),
        client_secret: Some("s".into()),
    };
    let message = told(settings).await;
    assert!(message.starts_with("the tenant has no application with this client id"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    let elsewhere = AzureConfig { tenant_id: Some("elsewhere.example".into()), ..config(cloud.url()) };
    let message = told(elsewhere).await;
    assert_eq!(message, "the cloud has no such tenant; check tenantId and environmentType (AADSTS90002)");
}

fn certified(cloud: &AzureCloud, pem: String) -> AzureConfig {
    let auth = Auth::ServicePrincipal {
        client_certificate: Some(pem.into()),
        client_id: Some(CLIENT.into()),
        client_secret: None,
    };
    AzureConfig { auth, ..config(cloud.url()) }
}

#[tokio::test]
async fn a_certificate_logs_in() {
    let identity = Identity::until(4000);
    let certificates = vec![Identity::until(4000).certificate, identity.certificate.clone()];
    let cloud = with(Application { certificates, ..Application::new(TENANT, CLIENT) });
    let store = store(certified(&cloud, identity.pem()));
    assert_eq!(value(&store, "a").await, "x");
    cloud.expire_tokens();
    assert_eq!(value(&store, "a").await, "x", "each assertion is a new one");
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_told() {
    let cloud = with(Application::new(TENANT, CLIENT));
    let message = told(certified(&cloud, Identity::until(4000).pem())).await;
    assert!(
        message.starts_with("Entra ID does not know the certificate in authSecretRef.clientCertificate"),
        "{message}"
    );
}

#[tokio::test]
async fn a_certificate_that_has_expired_costs_no_call() {
    let identity = Identity::until(2001);
    let certificates = vec![identity.certificate.clone()];
    let cloud = with(Application { certificates, ..Application::new(TENANT, CLIENT) });
    let error = check(certified(&cloud, identity.pem())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.starts_with("authSecretRef.clientCertificate: the certificate has expired; make a new one"));
    assert!(cloud.counts().all().is_empty());
}

#[tokio::test]
async fn a_managed_identity_logs_in() {
    let identity = |client_id: &str| ManagedIdentity { client_id: client_id.into(), system: false };
    let objects = vec![Object::secret("a", "x")];
    let contents = Contents { identities: vec![identity("one")], objects, ..Contents::default() };
    let cloud = cloud_with(Settings::default(), contents);
    let of = |identity_id: Option<&str>| AzureConfig {
        auth: Auth::ManagedIdentity { identity_id: identity_id.map(str::to_owned) },
        tenant_id: None,
        ..config(cloud.url())
    };
    assert_eq!(value(&store(of(None)), "a").await, "x");
    assert_eq!(value(&store(of(Some("one"))), "a").await, "x");
    let message = told(of(Some("two"))).await;
    let expected = "Azure's metadata service gives no token for the managed identity that was named; check identityId, \
                    and assign the identity to the operator's nodes";
    assert_eq!(message, expected);
    cloud.assign(identity("two"));
    check(of(Some("two"))).await.unwrap();
    let message = told(of(None)).await;
    assert!(message.ends_with("name it in identityId if there are several"), "{message}");
}

#[tokio::test]
async fn a_metadata_service_that_is_not_ready_is_asked_again_later() {
    let cloud = cloud();
    cloud.faults().set("GetManagedIdentityToken", Fault::Status { status: 410, retry_after: None });
    let settings = AzureConfig { auth: Auth::ManagedIdentity { identity_id: None }, ..config(cloud.url()) };
    let error = check(settings).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff));
}

fn trusting(issuer: &Issuer) -> Application {
    let federation = Federation {
        audience: EXCHANGE.into(),
        issuer: "https://api.cluster.example".into(),
        keys: issuer.keys(),
        subject: SUBJECT.into(),
    };
    Application { federations: vec![federation], ..Application::new(TENANT, CLIENT) }
}

fn claims() -> Value {
    json!({
        "aud": [EXCHANGE],
        "exp": 4_000_000_000_u64,
        "iss": "https://api.cluster.example",
        "sub": SUBJECT,
    })
}

fn workload(cloud: &AzureCloud, account: &Arc<Account>) -> AzureConfig {
    let tokens = Arc::clone(account) as _;
    let service_account = Some(ServiceAccount { audiences: vec!["mine".into()], tokens });
    let auth = Auth::WorkloadIdentity(WorkloadIdentity { service_account, ..WorkloadIdentity::default() });
    AzureConfig { auth, tenant_id: None, ..config(cloud.url()) }
}

fn annotated(token: String) -> Arc<Account> {
    let annotations =
        vec![("azure.workload.identity/client-id", CLIENT), ("azure.workload.identity/tenant-id", TENANT)];
    Arc::new(Account { annotations, token, ..Account::default() })
}

#[tokio::test]
async fn a_service_account_logs_in() {
    let issuer = Issuer::default();
    let cloud = with(trusting(&issuer));
    let account = annotated(issuer.sign(&claims()));
    assert_eq!(value(&store(workload(&cloud, &account)), "a").await, "x");
    assert_eq!(*account.asked.lock().unwrap(), [[EXCHANGE, "mine"]]);
}

#[tokio::test]
async fn the_store_may_name_client_and_tenant() {
    let issuer = Issuer::default();
    let cloud = with(trusting(&issuer));
    let account = Arc::new(Account { token: issuer.sign(&claims()), ..Account::default() });
    let mut settings = workload(&cloud, &account);
    if let Auth::WorkloadIdentity(identity) = &mut settings.auth {
        (identity.client_id, identity.tenant_id) = (Some(CLIENT.into()), Some(TENANT.into()));
    }
    check(settings.clone()).await.unwrap();
    if let Auth::WorkloadIdentity(identity) = &mut settings.auth {
        identity.tenant_id = None;
    }
    check(AzureConfig { tenant_id: Some(TENANT.into()), ..settings }).await.unwrap();
}

#[tokio::test]
async fn a_service_account_that_nobody_trusts_is_told() {
    let issuer = Issuer::default();
    let cloud = with(trusting(&issuer));
    for (member, value, number) in [
        ("iss", json!("https://elsewhere.example"), 700_211),
        ("sub", json!("system:serviceaccount:apps:other"), 700_213),
        ("aud", json!("kubernetes"), 700_212),
    ] {
        let mut claims = claims();
        claims[member] = value;
        let message = told(workload(&cloud, &annotated(issuer.sign(&claims)))).await;
        assert!(message.starts_with("the application does not trust the ServiceAccount; give it"), "{message}");
        assert!(message.ends_with(&format!("(AADSTS{number})")), "{message}");
    }
    let mut expired = claims();
    expired["exp"] = json!(1);
    let message = told(workload(&cloud, &annotated(issuer.sign(&expired)))).await;
    assert!(message.starts_with("what proves the login does not hold at this time"), "{message}");
    let message = told(workload(&cloud, &annotated(Issuer::default().sign(&claims())))).await;
    assert!(message.starts_with("Entra ID refused the login"), "{message}");
}

#[tokio::test]
async fn the_operators_own_workload_identity_logs_in_with_the_file_of_the_moment() {
    let issuer = Issuer::default();
    let cloud = with(trusting(&issuer));
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut settings = config(cloud.url());
    settings.auth = Auth::WorkloadIdentity(WorkloadIdentity::default());
    let environment = &mut settings.environment;
    (environment.client_id, environment.tenant_id) = (Some(CLIENT.into()), Some(TENANT.into()));
    environment.federated_token_file = Some(file.path().to_owned());
    let error = check(settings.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(error.message, "the file that AZURE_FEDERATED_TOKEN_FILE names is empty");
    fs::write(file.path(), issuer.sign(&claims()) + "\n").unwrap();
    assert_eq!(value(&store(settings.clone()), "a").await, "x");
    file.close().unwrap();
    let error = check(settings).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.starts_with("the file that AZURE_FEDERATED_TOKEN_FILE names cannot be read"), "{error}");
}

#[tokio::test]
async fn trouble_of_entra_id_is_not_a_refusal() {
    let cloud = cloud();
    for (status, kind) in [(429, ErrorKind::Throttled), (503, ErrorKind::Unavailable), (404, ErrorKind::InvalidConfig)]
    {
        cloud.faults().set("RequestToken", Fault::Status { status, retry_after: None });
        assert_eq!(check(config(cloud.url())).await.unwrap_err().kind, kind);
    }
    cloud.faults().set("RequestToken", Fault::Empty);
    assert_eq!(check(config(cloud.url())).await.unwrap_err().kind, ErrorKind::Malformed);
}
