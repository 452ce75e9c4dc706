//! Logins and reads that Google refuses: what the store's owner is told.

use keyferry_core::{Error, ErrorKind, Provider, Retry, SecretBytes};
use keyferry_fakes::gcp::{Account, GoogleCloud, Grant, Pool, Role};
use keyferry_gcp::{Auth, Environment, GcpConfig, WorkloadIdentity};
use keyferry_rest::BaseUrl;

use crate::{
    cloud::{PROJECT, READER, ServiceAccount, cloud, config, environment, fetch, key, latest, metadata, reader, store},
    logins::{gke, pool, service_account, workload_identity},
};

async fn refused(cloud: &GoogleCloud, auth: Auth) -> Error {
    let store = store(config(cloud, auth));
    let error = store.check().await.expect_err("a refusal");
    // Whoever reads a secret is told the same, and never that the secret is gone.
    assert_eq!(fetch(&store, latest("a")).await.expect_err("a refusal").message, error.message);
    error
}

fn assert_unauthenticated(error: &Error, expected: &str) {
    assert_eq!((error.kind, error.retry), (ErrorKind::Unauthenticated, Retry::Never), "{error}");
    assert!(error.message.contains(expected), "{error}");
}

#[tokio::test]
async fn a_key_that_was_deleted_or_whose_account_is_disabled() {
    let cloud = cloud();
    let auth = key(&cloud);
    cloud.make_account(Account { disabled: true, ..Account::new(READER) });
    let expected = "Google does not accept the key 0000000000000000000000000000000000000001 of reader@p-1.iam";
    assert_unauthenticated(&refused(&cloud, auth.clone()).await, expected);
    cloud.remove_account(READER);
    assert_unauthenticated(&refused(&cloud, auth).await, expected);
}

#[tokio::test]
async fn a_cluster_that_google_does_not_know() {
    let cloud = cloud();
    let auth = Auth::WorkloadIdentity(workload_identity(ServiceAccount::plain()));
    assert_unauthenticated(
        &refused(&cloud, auth).await,
        "for the cluster c-1 in europe-west1 of project cluster-project",
    );
}

#[tokio::test]
async fn a_cluster_whose_name_nobody_tells() {
    let cloud = cloud();
    let identity = WorkloadIdentity { cluster_name: None, ..workload_identity(ServiceAccount::plain()) };
    let error = refused(&cloud, Auth::WorkloadIdentity(identity)).await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.ends_with("name it in auth.workloadIdentity.clusterName"), "{error}");
}

#[tokio::test]
async fn a_service_account_that_is_not_there_or_may_not_be_acted_as() {
    let cloud = cloud();
    gke(&cloud);
    let auth = |email: &str| Auth::WorkloadIdentity(workload_identity(ServiceAccount::acting_as(email)));
    assert_unauthenticated(
        &refused(&cloud, auth("no@p-1.iam.gserviceaccount.com")).await,
        "there is no service account no@",
    );
    assert_unauthenticated(&refused(&cloud, auth(READER)).await, "grant it roles/iam.workloadIdentityUser");
}

#[tokio::test]
async fn a_pool_that_is_not_there_or_does_not_accept_the_token() {
    let cloud = cloud();
    let auth = || Auth::Federation(service_account(ServiceAccount::plain()));
    assert_unauthenticated(&refused(&cloud, auth()).await, "Google does not know the audience //iam.googleapis.com/");
    let condition = Pool { subjects: ["somebody".to_owned()].into(), ..pool(&cloud) };
    cloud.make_pool(condition);
    assert_unauthenticated(&refused(&cloud, auth()).await, "turns the token of the ServiceAccount away");
    pool(&cloud);
    let foreign = ServiceAccount { annotation: None, issuer: "https://elsewhere.example" };
    let auth = Auth::Federation(service_account(std::sync::Arc::new(foreign)));
    assert_unauthenticated(&refused(&cloud, auth).await, "does not accept the token of the ServiceAccount; check");
}

#[tokio::test]
async fn a_machine_that_is_not_googles() {
    let cloud = cloud();
    let error = refused(&cloud, Auth::Ambient).await;
    assert_unauthenticated(&error, "the metadata server does not know the login of");
    assert!(error.message.ends_with("name a login in auth"), "{error}");
    let nameless = store(GcpConfig { project: None, ..config(&cloud, Auth::Ambient) });
    let error = nameless.check().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.starts_with("projectID is missing, and the metadata server does not know"), "{error}");
}

#[tokio::test]
async fn a_machine_without_metadata_server() {
    let cloud = cloud();
    let mut environment = environment(&cloud);
    environment.endpoints.metadata = BaseUrl::parse("http://127.0.0.1:1").ok();
    let ambient = |project: Option<&str>| {
        let (environment, project) = (environment.clone(), project.map(str::to_owned));
        store(GcpConfig { environment, project, ..config(&cloud, Auth::Ambient) })
    };
    for (project, begin, end) in [
        (Some(PROJECT), "http://127.0.0.1:1 cannot be reached", "name a login in auth"),
        (None, "projectID is missing, and http://127.0.0.1:1 cannot be reached", "name the project in the store"),
    ] {
        let error = ambient(project).check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.starts_with(begin) && error.message.ends_with(end), "{error}");
    }
}

#[tokio::test]
async fn credentials_of_the_operator_that_cannot_be_used() {
    let cloud = cloud();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2").unwrap();
    for (path, expected) in [
        (file.path().to_owned(), "it is not a JSON file of credentials"),
        ("/no/such/file".into(), "do not exist; mount the file into the operator's pod"),
        ("/dev/zero".into(), "are no file of credentials; correct the operator's Deployment"),
    ] {
        let environment = Environment { credentials_file: Some(path), ..environment(&cloud) };
        let store = store(GcpConfig { environment, ..config(&cloud, Auth::Ambient) });
        let error = store.check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains(expected) && !error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_project_that_is_not_there_or_a_role_that_is_missing() {
    let cloud = cloud();
    let wrong = store(GcpConfig { project: Some("p-2".to_owned()), ..config(&cloud, key(&cloud)) });
    wrong.check().await.expect("the login itself works");
    let error = fetch(&wrong, latest("a")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.starts_with("there is no project p-2 that the login may use; check projectID"), "{error}");

    let other = "other@p-1.iam.gserviceaccount.com";
    cloud.make_account(Account::new(other));
    let key = cloud.make_key(other).expect("an account").to_string();
    let store = store(config(&cloud, Auth::ServiceAccountKey(SecretBytes::from(key))));
    // Without a role nobody is told whether there is such a secret.
    for name in ["a", "missing"] {
        let error = fetch(&store, latest(name)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(error.message.contains("grant roles/secretmanager.secretAccessor"), "{error}");
    }
    let member = format!("serviceAccount:{other}");
    cloud.grant(Grant { secret: Some("a".to_owned()), ..Grant::new(&member, Role::Accessor, PROJECT) });
    assert!(fetch(&store, latest("a")).await.is_ok());
    assert_eq!(fetch(&store, metadata("a")).await.unwrap_err().kind, ErrorKind::AccessDenied);
}

#[tokio::test]
async fn a_missing_secret_and_a_missing_version() {
    let cloud = cloud();
    let store = reader(&cloud);
    let error = fetch(&store, latest("missing")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the latest version of the secret missing does not exist (GCP/SecretManager AccessSecretVersion: HTTP 404)"
    );
    let error = fetch(&store, crate::cloud::at_version("a", "9")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "version 9 of the secret a does not exist"));
}
