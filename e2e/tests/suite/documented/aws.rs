//! `docs/backends/aws.md`, with moto.
//!
//! Moto keeps what each account owns apart, and gives the credentials of a session to the account of its role: the
//! values of another account are seen by nobody but who has assumed a role there.

mod errors;

use anyhow::Result;
use keyferry_e2e::harness::{AWS_ACCOUNT, Moto, Relay};
use serde_json::{Value, json};

use super::Stage;
use crate::support::{Manifest, aws_keys, external_secret, secret_store};

/// The accounts of the roles that the page names.
const OF_SERVICE_ACCOUNT: &str = "111122223333";
const OF_ROLE: &str = "210987654321";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let moto = Moto::start().await?;
    let relay = Relay::to(moto.url()).await?;
    let mut stage = Stage::open("aws.md", |operator| {
        operator
            .variable("AWS_ENDPOINT_URL", relay.url())
            .variable("AWS_ACCESS_KEY_ID", "AKIAOPERATOR")
            .variable("AWS_SECRET_ACCESS_KEY", "of the operator")
    })
    .await?;
    fill_secrets(&moto).await?;
    fill_parameters(&moto).await?;
    reads(&mut stage, "A ServiceAccount (IRSA)", "of the ServiceAccount's role").await?;
    reads(&mut stage, "Roles on top", "of the other account").await?;
    reads(&mut stage, "Keys of a session", VALUE).await?;
    let read = |es: Manifest| es.key("password", "/team/db/password");
    stage.works("Access keys", &[], read, &[("password", VALUE)]).await?;
    parameters(&mut stage).await?;
    reads(&mut stage, "The operator's own identity", VALUE).await?;
    secrets(&mut stage).await?;
    errors::provoke(&mut stage, &moto, &relay).await?;
    signatures(&stage, &moto).await?;
    stage.close()
}

async fn reads(stage: &mut Stage, heading: &str, expected: &str) -> Result<()> {
    let read = |es: Manifest| es.property("password", "team/db", "password");
    stage.works(heading, &[], read, &[("password", expected)]).await
}

async fn fill_secrets(moto: &Moto) -> Result<()> {
    let create = async |account: &str, name: &str, value: &str, tags: Value| {
        let body = json!({ "Name": name, "SecretString": value, "Tags": tags, "ClientRequestToken": TOKEN });
        moto.secrets_manager(account, "CreateSecret", &body).await
    };
    let password = |value: &str| json!({ "password": value }).to_string();
    create(AWS_ACCOUNT, "team/db", &password("first"), tags("owner", "ann")).await?;
    let second = json!({ "SecretId": "team/db", "SecretString": password(VALUE) });
    moto.secrets_manager(AWS_ACCOUNT, "PutSecretValue", &second).await?;
    create(AWS_ACCOUNT, "team/mail", r#"{"host": "mail", "port": 587}"#, json!([])).await?;
    for (name, team) in SERVICES {
        create(AWS_ACCOUNT, &format!("team/services/{name}"), &format!("of {team}"), tags("team", team)).await?;
    }
    create(OF_SERVICE_ACCOUNT, "team/db", &password("of the ServiceAccount's role"), json!([])).await?;
    create(OF_ROLE, "team/db", &password("of the other account"), json!([])).await
}

/// Clients name the versions that they make.
const TOKEN: &str = "5d1c8a30-6f0b-4f7e-9a52-1c2d3e4f5a6b";

const SERVICES: [(&str, &str); 3] = [("pay-key", "payments"), ("ship-key", "shipping"), ("pay-name", "payments")];

fn tags(key: &str, value: &str) -> Value {
    json!([{ "Key": key, "Value": value }])
}

async fn fill_parameters(moto: &Moto) -> Result<()> {
    let put = async |name: &str, value: &str, tags: Value| {
        let body = json!({ "Name": name, "Value": value, "Type": "SecureString", "Tags": tags });
        moto.parameter_store("PutParameter", &body).await
    };
    put("/team/db/password", "first", tags("owner", "ann")).await?;
    let second = json!({ "Name": "/team/db/password", "Value": VALUE, "Type": "SecureString", "Overwrite": true });
    moto.parameter_store("PutParameter", &second).await?;
    put("/team/mail", r#"{"host": "mail", "port": 587}"#, json!([])).await?;
    for (name, team) in SERVICES {
        put(&format!("/team/services/{name}"), &format!("of {team}"), tags("team", team)).await?;
    }
    Ok(())
}

/// The store of the operator's own identity still works.
async fn secrets(stage: &mut Stage) -> Result<()> {
    let expected = [
        ("host", "mail"),
        ("owner", "ann"),
        ("password", VALUE),
        ("port", "587"),
        ("previous-password", "first"),
        ("team_services_pay-key", "of payments"),
    ];
    stage.syncs("References to Secrets Manager", &expected).await
}

/// The store of the section on access keys still works.
async fn parameters(stage: &mut Stage) -> Result<()> {
    let expected = [
        ("_team_services_pay-key", "of payments"),
        ("first-password", "first"),
        ("host", "mail"),
        ("owner", "ann"),
        ("password", VALUE),
        ("port", "587"),
    ];
    stage.syncs("References to Parameter Store", &expected).await
}

/// Once moto checks signatures and policies, keys of a user and of a session still read.
async fn signatures(stage: &Stage, moto: &Moto) -> Result<()> {
    let signers = [("of-user", moto.user("person").await?), ("of-session", moto.session("team").await?)];
    moto.enforce().await?;
    for (name, keys) in signers {
        let (secret, secret_ref) = aws_keys(name, &keys);
        stage.tenant.apply(&secret).await?;
        let auth = json!({ "auth": { "secretRef": secret_ref } });
        stage.tenant.apply(&secret_store(name, errors::aws("SecretsManager", &auth))).await?;
        let reader = external_secret(name).store(name).with("/spec/target/name", format!("signed-{name}"));
        stage.tenant.apply(&reader.property("password", "team/db", "password")).await?;
        stage.tenant.holds(&format!("signed-{name}"), &[("password", VALUE)]).await?;
    }
    Ok(())
}
