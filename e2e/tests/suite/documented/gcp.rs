//! `docs/backends/gcp.md`, with the fake cloud and tokens of the real API server.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::ControlPlane;
use keyferry_fakes::gcp::{
    Account, Cluster, GoogleCloud, Grant, Keys, Machine, Place, Pool, Provider, Role, Secret, State,
};
use serde_json::{Value, json};

use super::canned::always;
use super::stage::Changes;
use super::{Stage, reviewer};
use crate::support::{Manifest, credential};

/// What the page names.
const PROJECT: &str = "my-project-1";
const READER: &str = "reader@my-project-1.iam.gserviceaccount.com";
const POOL: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool";
const KEY_FILE: &str =
    r#"{"type": "service_account", "project_id": "my-project-1", "private_key_id": "…", "private_key": "…", …}"#;

/// The service account of the operator's node.
const NODE: &str = "node@my-project-1.iam.gserviceaccount.com";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let cloud = GoogleCloud::start().context("failed to start the cloud")?;
    let services = ["IAMCREDENTIALS", "METADATA", "OAUTH2", "SECRETMANAGER", "SECURETOKEN", "STS"];
    let mut stage = Stage::open("gcp.md", |operator| {
        services.into_iter().fold(operator, |operator, service| {
            operator.variable(&format!("KEYFERRY_GCP_{service}_ENDPOINT"), cloud.url())
        })
    })
    .await?;
    fill(&cloud);
    service_account_key(&mut stage, &cloud).await?;
    gke(&mut stage, &cloud).await?;
    federation(&mut stage, &cloud).await?;
    own_identity(&mut stage, &cloud).await?;
    references(&mut stage, &cloud).await?;
    provoke_readers(&mut stage, &cloud).await?;
    provoke_keys(&mut stage, &cloud).await?;
    provoke_identities(&mut stage, &cloud).await?;
    stage.close()
}

fn secret(name: &str, value: &str) -> Secret {
    Secret::new(PROJECT, name, value.as_bytes())
}

fn labelled(name: &str, value: &str, label: (&str, &str)) -> Secret {
    Secret { labels: [(label.0.to_owned(), label.1.to_owned())].into(), ..secret(name, value) }
}

fn fill(cloud: &GoogleCloud) {
    cloud.put(secret("db-password", "first"));
    cloud.put(labelled("db-password", VALUE, ("env", "prod")));
    cloud.put(secret("mail", r#"{"host": "mail", "port": 587}"#));
    cloud.put(labelled("prod-pay-key", "of payments", ("team", "payments")));
    cloud.put(labelled("prod-ship-key", "of shipping", ("team", "shipping")));
    cloud.put(labelled("prod-pay-name", "of payments", ("team", "payments")));
    cloud.put(labelled("test-pay-key", "of payments", ("team", "payments")));
    admit(cloud, &format!("serviceAccount:{READER}"));
}

/// Grants the roles of the page.
fn admit(cloud: &GoogleCloud, member: &str) {
    for role in [Role::Accessor, Role::Viewer] {
        cloud.grant(Grant::new(member, role, PROJECT));
    }
}

/// The store of a section reads a secret, after it has logged in with these operations.
async fn reads(
    stage: &mut Stage,
    heading: &str,
    cloud: &GoogleCloud,
    changes: Changes<'_>,
    logins: &[&str],
) -> Result<()> {
    cloud.counts().reset();
    stage.works(heading, changes, |es| es.key("password", "db-password"), &[("password", VALUE)]).await?;
    let counts = cloud.counts().all();
    for login in logins {
        ensure!(counts.contains_key(*login), "the section \"{heading}\" was tried without {login}: {counts:?}");
    }
    Ok(())
}

async fn service_account_key(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    cloud.make_account(Account::new(READER));
    let key = cloud.make_key(READER).context("there is no account")?.to_string();
    reads(stage, "A service account key", cloud, &[(KEY_FILE, &key)], &["RequestToken"]).await
}

async fn gke(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    cloud.make_cluster(Cluster {
        issuer: cluster.token_issuer().to_owned(),
        keys: Keys::Pem(cluster.token_verifier_pem().to_owned()),
        location: "europe-west1".to_owned(),
        name: "my-cluster".to_owned(),
        project: PROJECT.to_owned(),
    });
    let member = format!("serviceAccount:{PROJECT}.svc.id.goog[{}/secrets-reader]", stage.tenant.name());
    cloud.make_account(Account::new(READER).used_by(&member));
    let logins = ["GenerateIDBindToken", "GenerateAccessToken"];
    reads(stage, "Workload identity of GKE", cloud, &[], &logins).await
}

async fn federation(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    make_pool(cloud, cluster, "cluster", []);
    let subject = format!("principal:{POOL}/subject/system:serviceaccount:{}:secrets-reader", stage.tenant.name());
    cloud.make_account(Account::new(READER).used_by(&subject));
    let logins = ["ExchangeToken", "GenerateAccessToken"];
    reads(stage, "A ServiceAccount of any cluster", cloud, &[], &logins).await?;

    // Another issuer is stood in for by the API server, which signs a token for that provider.
    make_pool(cloud, cluster, "idp", []);
    admit(cloud, &format!("principal:{POOL}/subject/{}", reviewer::SUBJECT));
    let token = reviewer::token(cluster, &[&format!("https:{POOL}/providers/idp")]).await?;
    // It lives as long as the tests.
    let issuer = always(200, json!({ "id_token": token }).to_string().leak()).await?;
    let (source, endpoint) =
        (format!("\"url\": \"{}/token\"", issuer.url()), format!("externalTokenEndpoint: {}/token", issuer.url()));
    let changes = [
        ("\"url\": \"https://idp.example.com/token\"", source.as_str()),
        ("externalTokenEndpoint: https://idp.example.com/token", &endpoint),
    ];
    reads(stage, "A credential configuration", cloud, &changes, &["ExchangeToken"]).await?;

    let heading = "Keys of AWS";
    let id = stage.value(heading, "/stringData/aws_access_key_id")?;
    let keys = [(id.clone(), stage.value(heading, "/stringData/aws_secret_access_key")?)].into();
    let provider = Provider::Aws { account: "123456789012".to_owned(), keys };
    cloud.make_pool(Pool { audience: format!("{POOL}/providers/aws"), provider, subjects: BTreeSet::new() });
    admit(cloud, &format!("principal:{POOL}/subject/arn:aws:iam::123456789012:user/{id}"));
    reads(stage, heading, cloud, &[], &["ExchangeToken"]).await
}

/// A provider of the pool that believes the cluster, if its condition names no subjects about everybody.
fn make_pool<const N: usize>(cloud: &GoogleCloud, cluster: &ControlPlane, name: &str, subjects: [&str; N]) {
    let (issuer, keys) = (cluster.token_issuer().to_owned(), Keys::Pem(cluster.token_verifier_pem().to_owned()));
    cloud.make_pool(Pool {
        audience: format!("{POOL}/providers/{name}"),
        provider: Provider::Oidc { audiences: Vec::new(), issuer, keys },
        subjects: subjects.map(str::to_owned).into(),
    });
}

async fn own_identity(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    cloud.make_account(Account::new(NODE));
    admit(cloud, &format!("serviceAccount:{NODE}"));
    let (email, project) = (NODE.to_owned(), PROJECT.to_owned());
    cloud.run_on(Machine { attributes: BTreeMap::new(), aws: None, email, project });
    reads(stage, "Google Cloud Secret Manager", cloud, &[], &["GetMetadata"]).await
}

/// The store of the first section still works.
async fn references(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    let expected = [
        ("env", "prod"),
        ("first-password", "first"),
        ("host", "mail"),
        ("password", VALUE),
        ("port", "587"),
        ("prod-pay-key", "of payments"),
    ];
    stage.syncs("What a reference means", &expected).await?;
    ensure!(cloud.counts().of("ListSecrets") > 0, "nothing was listed");
    Ok(())
}

async fn provoke_readers(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    let read = |key: &'static str| move |es: Manifest| es.key("value", key);
    for (name, value) in [("denied", "x"), ("disabled", "x")] {
        cloud.put(secret(name, value));
    }
    cloud.deny(&Place::new(PROJECT, "denied"));
    cloud.set_state(&Place::new(PROJECT, "disabled"), 1, State::Disabled);
    stage.reader_says("the login may not use the latest", "gcp", read("denied")).await?;
    stage.reader_says("the latest version of the secret … is disabled", "gcp", read("disabled")).await?;
    stage.reader_says("the latest version of the secret … does not exist", "gcp", read("nothing")).await?;
    stage.reader_says("the key … is no name", "gcp", read("projects/1/secrets/a")).await
}

async fn provoke_keys(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    let gone = "gone@my-project-1.iam.gserviceaccount.com";
    cloud.make_account(Account::new(gone));
    let file = cloud.make_key(gone).context("there is no account")?;
    cloud.remove_account(gone);
    let mut flat = file.clone();
    flat["private_key"] = json!("flattened");
    for (error, name, content) in [
        ("the service account key of …: it is not", "no-file", "bm90IGEgZmlsZQ==".to_owned()),
        ("\"private_key\" is not", "flat", flat.to_string()),
        ("Google does not accept the key", "gone", file.to_string()),
    ] {
        stage.tenant.apply(&credential(name, &[("key.json", &content)])).await?;
        let key = json!({ "secretAccessKeySecretRef": { "name": name, "key": "key.json" } });
        stage.store_says(error, name, provider(&json!({ "secretRef": key }))).await?;
    }
    Ok(())
}

/// The ServiceAccount and the ConfigMap of the sections about federation are still there.
async fn provoke_identities(stage: &mut Stage, cloud: &GoogleCloud) -> Result<()> {
    make_pool(cloud, ControlPlane::shared().await?, "others", ["nobody"]);
    let federation = |name: &str, audience: &str, email: Option<&str>| {
        let account = json!({ "name": "secrets-reader", "audiences": [audience] });
        let audience = format!("{POOL}/providers/{name}");
        let mut identity = json!({ "audience": audience, "serviceAccountRef": account });
        if let Some(email) = email {
            identity["gcpServiceAccountEmail"] = json!(email);
        }
        provider(&json!({ "workloadIdentityFederation": identity }))
    };
    let of_cluster = format!("https:{POOL}/providers/cluster");
    let of_others = format!("https:{POOL}/providers/others");
    let nobody = Some("nobody@my-project-1.iam.gserviceaccount.com");
    for (error, name, provider) in [
        ("the login may not act as", "not-trusted", federation("cluster", &of_cluster, Some(NODE))),
        ("there is no service account", "mistyped", federation("cluster", &of_cluster, nobody)),
        ("Google does not know the audience", "unknown", federation("unknown", &of_cluster, None)),
        ("… does not accept the token", "other-audience", federation("cluster", "elsewhere", None)),
        ("the attribute condition", "turned-away", federation("others", &of_others, None)),
    ] {
        stage.store_says(error, name, provider).await?;
    }
    let cluster = json!({
        "serviceAccountRef": { "name": "secrets-reader" },
        "clusterProjectID": PROJECT, "clusterLocation": "europe-west1", "clusterName": "other",
    });
    let cluster = provider(&json!({ "workloadIdentity": cluster }));
    stage.store_says("Google does not accept the ServiceAccount's token", "other-cluster", cluster).await?;
    let config = json!({
        "credConfig": { "name": "gcp-config", "key": "config.json" },
        "externalTokenEndpoint": "https://elsewhere.example.com/token",
    });
    let config = provider(&json!({ "workloadIdentityFederation": config }));
    stage.store_says("\"credential_source.url\" is not", "other-endpoint", config).await
}

/// A store that logs in like this.
fn provider(auth: &Value) -> Value {
    json!({ "gcpsm": { "projectID": PROJECT, "auth": auth } })
}
