//! Every way to log in.

use std::path::Path;

use keyferry_core::{Provider, SecretBytes};
use keyferry_fakes::gcp::{
    Account, AwsMachine, Cluster, GoogleCloud, Grant, Machine, Pool, Provider as Believes, Role, User,
};
use keyferry_gcp::{Auth, AwsCredentials, Environment, Federation, GcpConfig, Subject, WorkloadIdentity};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::cloud::{
    CLUSTER, ISSUER, PROJECT, READER, ServiceAccount, all_roles, cloud, config, environment, key, latest, read,
    service_account_jwt, store,
};

const POOL: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster";
const SUBJECT: &str = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/system:serviceaccount:apps:reader";
const AWS_POOL: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws";
const AWS_SUBJECT: &str = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/arn:aws:iam::123456789012:user/AKIDEXAMPLE";
const AWS_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

pub(crate) fn admit(cloud: &GoogleCloud, member: &str) {
    for grant in all_roles(member) {
        cloud.grant(grant);
    }
}

pub(crate) fn gke(cloud: &GoogleCloud) {
    cloud.make_cluster(Cluster {
        issuer: ISSUER.to_owned(),
        keys: CLUSTER.keys(),
        location: "europe-west1".to_owned(),
        name: "c-1".to_owned(),
        project: "cluster-project".to_owned(),
    });
}

pub(crate) fn workload_identity(tokens: std::sync::Arc<ServiceAccount>) -> WorkloadIdentity {
    WorkloadIdentity {
        audiences: vec![],
        cluster_location: Some("europe-west1".to_owned()),
        cluster_name: Some("c-1".to_owned()),
        cluster_project: Some("cluster-project".to_owned()),
        tokens,
    }
}

pub(crate) fn pool(cloud: &GoogleCloud) -> Pool {
    let provider =
        Believes::Oidc { audiences: vec!["gcp".to_owned()], issuer: ISSUER.to_owned(), keys: CLUSTER.keys() };
    let pool = Pool { audience: POOL.to_owned(), provider, subjects: [].into() };
    cloud.make_pool(pool.clone());
    pool
}

fn aws_pool(cloud: &GoogleCloud) {
    let keys = [("AKIDEXAMPLE".to_owned(), AWS_SECRET.to_owned())].into();
    let provider = Believes::Aws { account: "123456789012".to_owned(), keys };
    cloud.make_pool(Pool { audience: AWS_POOL.to_owned(), provider, subjects: [].into() });
}

pub(crate) fn federation(audience: &str, subject: Subject) -> Federation {
    Federation {
        audience: Some(audience.to_owned()),
        external_token_endpoint: None,
        service_account_email: None,
        subject,
    }
}

pub(crate) fn service_account(tokens: std::sync::Arc<ServiceAccount>) -> Federation {
    federation(POOL, Subject::ServiceAccount { audiences: vec!["gcp".to_owned()], tokens })
}

fn cred_config(audience: &str, source: &Value) -> Vec<u8> {
    let config = json!({
        "type": "external_account",
        "audience": audience,
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    });
    config.to_string().into_bytes()
}

/// The store reads, and has done this to log in.
async fn logs_in(cloud: &GoogleCloud, config: GcpConfig, logins: &[&str]) {
    cloud.counts().reset();
    let store = store(config);
    store.check().await.expect("a login");
    let mut counts = cloud.counts().all();
    assert_eq!(
        counts.remove("GetMetadata").unwrap_or_default(),
        logins.iter().filter(|name| **name == "GetMetadata").count() as u64
    );
    let expected: Vec<_> = logins.iter().copied().filter(|name| *name != "GetMetadata").collect();
    assert_eq!(counts.keys().collect::<Vec<_>>(), expected, "logins read no secret");
    assert_eq!(read(&store, latest("a")).await, "value of a");
}

#[tokio::test]
async fn a_service_account_key() {
    let cloud = cloud();
    logs_in(&cloud, config(&cloud, key(&cloud)), &["RequestToken"]).await;
}

#[tokio::test]
async fn workload_identity_as_the_service_account_of_kubernetes() {
    let cloud = cloud();
    gke(&cloud);
    admit(&cloud, "serviceAccount:cluster-project.svc.id.goog[apps/reader]");
    let auth = Auth::WorkloadIdentity(workload_identity(ServiceAccount::plain()));
    logs_in(&cloud, config(&cloud, auth), &["GenerateIDBindToken"]).await;
}

#[tokio::test]
async fn workload_identity_as_an_annotated_service_account() {
    let cloud = cloud();
    gke(&cloud);
    cloud.make_account(Account::new(READER).used_by("serviceAccount:cluster-project.svc.id.goog[apps/reader]"));
    let auth = Auth::WorkloadIdentity(workload_identity(ServiceAccount::acting_as(READER)));
    logs_in(&cloud, config(&cloud, auth), &["GenerateAccessToken", "GenerateIDBindToken"]).await;
}

#[tokio::test]
async fn workload_identity_learns_its_cluster_from_the_machine() {
    let cloud = cloud();
    gke(&cloud);
    admit(&cloud, "serviceAccount:cluster-project.svc.id.goog[apps/reader]");
    cloud.run_on(machine("cluster-project"));
    for untold in [None, Some(String::new())] {
        let identity = WorkloadIdentity {
            cluster_location: untold.clone(),
            cluster_name: untold.clone(),
            cluster_project: untold,
            ..workload_identity(ServiceAccount::plain())
        };
        let auth = Auth::WorkloadIdentity(identity);
        logs_in(&cloud, config(&cloud, auth), &["GenerateIDBindToken", "GetMetadata", "GetMetadata", "GetMetadata"])
            .await;
    }
}

fn machine(project: &str) -> Machine {
    let attributes = [("cluster-location", "europe-west1"), ("cluster-name", "c-1")];
    Machine {
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        aws: None,
        email: READER.to_owned(),
        project: project.to_owned(),
    }
}

#[tokio::test]
async fn a_federation_with_a_service_account_of_kubernetes() {
    let cloud = cloud();
    pool(&cloud);
    admit(&cloud, SUBJECT);
    let auth = Auth::Federation(service_account(ServiceAccount::plain()));
    logs_in(&cloud, config(&cloud, auth), &["ExchangeToken"]).await;
}

#[tokio::test]
async fn a_federation_acts_as_the_service_account_that_it_names() {
    let cloud = cloud();
    pool(&cloud);
    cloud.make_account(Account::new(READER).used_by(SUBJECT));
    let named = Federation {
        service_account_email: Some(READER.to_owned()),
        ..service_account(ServiceAccount::acting_as("other@p-1.iam.gserviceaccount.com"))
    };
    for federation in [named, service_account(ServiceAccount::acting_as(READER))] {
        let config = config(&cloud, Auth::Federation(federation));
        logs_in(&cloud, config, &["ExchangeToken", "GenerateAccessToken"]).await;
    }
}

#[tokio::test]
async fn a_federation_with_keys_of_aws() {
    let cloud = cloud();
    aws_pool(&cloud);
    admit(&cloud, AWS_SUBJECT);
    let credentials = AwsCredentials {
        access_key_id: SecretBytes::from("AKIDEXAMPLE"),
        secret_access_key: SecretBytes::from(AWS_SECRET),
        session_token: None,
    };
    let subject = Subject::Aws { credentials, region: "eu-west-1".to_owned() };
    let auth = Auth::Federation(federation(AWS_POOL, subject));
    logs_in(&cloud, config(&cloud, auth), &["ExchangeToken"]).await;
}

#[tokio::test]
async fn a_configured_federation_with_a_file() {
    let cloud = cloud();
    pool(&cloud);
    admit(&cloud, SUBJECT);
    let file = tempfile(&service_account_jwt(ISSUER, &["gcp".to_owned()]));
    let subject = Subject::CredConfig(cred_config("//other", &json!({"file": file.path()})));
    let auth = Auth::Federation(federation(POOL, subject));
    logs_in(&cloud, config(&cloud, auth), &["ExchangeToken"]).await;
}

#[tokio::test]
async fn a_configured_federation_with_a_url() {
    let cloud = cloud();
    pool(&cloud);
    admit(&cloud, SUBJECT);
    let token = json!({"id_token": service_account_jwt(ISSUER, &["gcp".to_owned()])});
    let idp = ScriptedServer::answering(move |_| Reply::json(200, &token)).await;
    let url = format!("{}/token?for=gcp", idp.url());
    let format = json!({"type": "json", "subject_token_field_name": "id_token"});
    let source = json!({"url": url, "headers": {"X-Flavor": "vanilla"}, "format": format});
    let subject = Subject::CredConfig(cred_config(POOL, &source));
    let federation = Federation { external_token_endpoint: Some(url), ..federation(POOL, subject) };
    logs_in(&cloud, config(&cloud, Auth::Federation(federation)), &["ExchangeToken"]).await;
    let request = &idp.requests()[0];
    assert_eq!((request.line().as_str(), request.header("x-flavor")), ("GET /token?for=gcp", "vanilla"));
}

#[tokio::test]
async fn a_configured_federation_with_a_machine_of_aws() {
    let cloud = cloud();
    aws_pool(&cloud);
    admit(&cloud, AWS_SUBJECT);
    let aws = AwsMachine {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        role: "reader".to_owned(),
        secret_access_key: AWS_SECRET.to_owned(),
        zone: "eu-west-1a".to_owned(),
    };
    cloud.run_on(Machine { aws: Some(aws), ..machine(PROJECT) });
    let source = json!({
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        "imdsv2_session_token_url": "http://169.254.169.254/latest/api/token",
    });
    let subject = Subject::CredConfig(cred_config(AWS_POOL, &source));
    let auth = Auth::Federation(federation(AWS_POOL, subject));
    logs_in(&cloud, config(&cloud, auth), &["ExchangeToken", "GetAwsMetadata"]).await;
}

#[tokio::test]
async fn the_machines_own_service_account() {
    let cloud = cloud();
    cloud.run_on(machine(PROJECT));
    logs_in(&cloud, config(&cloud, Auth::Ambient), &["GetMetadata"]).await;
}

#[tokio::test]
async fn the_project_is_the_stores_or_the_clusters_or_the_machines() {
    let cloud = cloud();
    cloud.run_on(machine(PROJECT));
    let nameless = GcpConfig { project: None, ..config(&cloud, Auth::Ambient) };
    logs_in(&cloud, nameless, &["GetMetadata", "GetMetadata"]).await;

    gke(&cloud);
    let member = "serviceAccount:cluster-project.svc.id.goog[apps/reader]";
    cloud.grant(Grant::new(member, Role::Accessor, "cluster-project"));
    cloud.put(keyferry_fakes::gcp::Secret::new("cluster-project", "a", b"value of a"));
    let auth = Auth::WorkloadIdentity(workload_identity(ServiceAccount::plain()));
    logs_in(&cloud, GcpConfig { project: None, ..config(&cloud, auth) }, &["GenerateIDBindToken"]).await;
}

fn ambient(cloud: &GoogleCloud, file: &Path) -> GcpConfig {
    let environment = Environment { credentials_file: Some(file.to_owned()), ..environment(cloud) };
    GcpConfig { environment, ..config(cloud, Auth::Ambient) }
}

#[tokio::test]
async fn ambient_credentials_of_a_service_account() {
    let cloud = cloud();
    let file = tempfile(&cloud.make_key(READER).expect("an account").to_string());
    logs_in(&cloud, ambient(&cloud, file.path()), &["RequestToken"]).await;
}

fn person(cloud: &GoogleCloud) -> Value {
    cloud.make_user(User {
        client_id: "c".to_owned(),
        client_secret: "s".to_owned(),
        email: "me@example.com".to_owned(),
        refresh_token: "r".to_owned(),
    });
    json!({
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "quota_project_id": PROJECT,
    })
}

#[tokio::test]
async fn ambient_credentials_of_a_person_use_the_quota_of_the_project_that_they_name() {
    let cloud = cloud();
    admit(&cloud, "user:me@example.com");
    let file = tempfile(&person(&cloud).to_string());
    logs_in(&cloud, ambient(&cloud, file.path()), &["RequestToken"]).await;
}

#[tokio::test]
async fn ambient_credentials_that_gcloud_left_behind() {
    let cloud = cloud();
    admit(&cloud, "user:me@example.com");
    let file = tempfile(&person(&cloud).to_string());
    let environment = Environment { gcloud_file: Some(file.path().to_owned()), ..environment(&cloud) };
    let config = GcpConfig { environment, ..config(&cloud, Auth::Ambient) };
    logs_in(&cloud, config.clone(), &["RequestToken"]).await;
    drop(file);
    cloud.run_on(machine(PROJECT));
    logs_in(&cloud, config, &["GetMetadata"]).await;
}

#[tokio::test]
async fn ambient_credentials_that_act_as_a_service_account() {
    let cloud = cloud();
    let address = |name: &str| format!("{name}@p-1.iam.gserviceaccount.com");
    let member = |name: &str| format!("serviceAccount:{}", address(name));
    cloud.make_account(Account::new(&address("first")).used_by("user:me@example.com"));
    cloud.make_account(Account::new(&address("second")).used_by(&member("first")));
    cloud.make_account(Account::new(READER).used_by(&member("second")));
    let url =
        format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{READER}:generateAccessToken");
    let file = tempfile(
        &json!({
            "type": "impersonated_service_account",
            "delegates": [address("first"), format!("projects/-/serviceAccounts/{}", address("second"))],
            "service_account_impersonation_url": url,
            "source_credentials": person(&cloud),
        })
        .to_string(),
    );
    logs_in(&cloud, ambient(&cloud, file.path()), &["GenerateAccessToken", "RequestToken"]).await;
}

#[tokio::test]
async fn ambient_credentials_of_a_federation() {
    let cloud = cloud();
    pool(&cloud);
    admit(&cloud, SUBJECT);
    let token = tempfile(&service_account_jwt(ISSUER, &["gcp".to_owned()]));
    let config = cred_config(POOL, &json!({"file": token.path()}));
    let file = tempfile(std::str::from_utf8(&config).expect("text"));
    logs_in(&cloud, ambient(&cloud, file.path()), &["ExchangeToken"]).await;
}

fn tempfile(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    file
}
