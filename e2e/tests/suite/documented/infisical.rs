//! `docs/backends/infisical.md`, with the fake server.

mod clouds;
mod errors;

use anyhow::{Context, Result};
use keyferry_e2e::harness::ControlPlane;
use keyferry_e2e::harness::run_dir::RunDir;
use keyferry_fakes::infisical::{Identity, InfisicalServer, Method, Place, Project, Secret};
use keyferry_fakes::token_review::{Review, TokenReview};

use super::stage::Changes;
use super::{Stage, reviewer};

/// The address that the page names.
const SERVICE: &str = "https://app.infisical.com";

/// The project and the environment that the page names.
const PROJECT: &str = "web-x1y2";
const ENVIRONMENT: &str = "prod";

/// The audience of tokens that are for Infisical.
const AUDIENCE: &str = "infisical";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let server = InfisicalServer::start().context("failed to start the server")?;
    let clouds = clouds::Clouds::start().await?;
    let mut stage = Stage::open("infisical.md", |operator| clouds.surround(operator)).await?;
    fill(&server);
    universal(&mut stage, &server).await?;
    token(&mut stage, &server).await?;
    kubernetes(&mut stage, &server).await?;
    jwt(&mut stage, &server).await?;
    ldap(&mut stage, &server).await?;
    clouds.tries_all(&mut stage, &server).await?;
    universal(&mut stage, &server).await?;
    let expected = [
        ("PAY_KEY", "of payments"),
        ("first-password", "first"),
        ("host", "mail"),
        ("owner", "ann"),
        ("password", VALUE),
        ("port", "587"),
        ("sender", "web@example.com"),
    ];
    stage.syncs("What a reference means", &expected).await?;
    errors::provoke(&mut stage, &server).await?;
    stage.close()
}

fn fill(server: &InfisicalServer) {
    server.make_project(Project::new(PROJECT, &[ENVIRONMENT]));
    let put = |path: &str, name: &str, value: &str| Secret::new(&Place::new(PROJECT, ENVIRONMENT, path), name, value);
    for secret in [
        put("/", "DB_PASSWORD", "first"),
        put("/", "DB_PASSWORD", VALUE).described("owner", "ann"),
        put("/mail", "ACCOUNT", r#"{"from": {"address": "web@example.com"}}"#),
        put("/mail", "SERVER", r#"{"host": "mail", "port": 587}"#),
        put("/services", "PAY_KEY", "of payments").described("team", "payments"),
        put("/services", "SHIP_KEY", "of shipping").described("team", "shipping"),
        put("/services", "PAY_NAME", "of payments").described("team", "payments"),
    ] {
        server.put(secret);
    }
}

/// Lets the machine identity in that a section names.
fn grant(stage: &Stage, heading: &str, server: &InfisicalServer, method: Method) -> Result<()> {
    server.grant(Identity::new(&stage.value(heading, "/stringData/identity-id")?, method, PROJECT));
    Ok(())
}

/// The store of a section reads a secret.
async fn reads(stage: &mut Stage, heading: &str, server: &InfisicalServer, changes: Changes<'_>) -> Result<()> {
    let changes = [&[(SERVICE, server.url())], changes].concat();
    stage.works(heading, &changes, |es| es.key("password", "DB_PASSWORD"), &[("password", VALUE)]).await
}

async fn universal(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let heading = "Universal Auth";
    let client_id = stage.value(heading, "/stringData/client-id")?;
    let client_secret = stage.value(heading, "/stringData/client-secret")?;
    server.grant(Identity::universal(&client_id, &client_secret, PROJECT));
    reads(stage, heading, server, &[]).await
}

async fn token(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let heading = "Token Auth";
    let access_token = stage.value(heading, "/stringData/access-token")?;
    server.grant(Identity::new("of the token", Method::Token { access_token }, PROJECT));
    reads(stage, heading, server, &[]).await
}

async fn kubernetes(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let (heading, cluster) = ("Kubernetes Auth", ControlPlane::shared().await?);
    let namespace = stage.tenant.name().to_owned();
    let review = TokenReview {
        url: cluster.url().to_owned(),
        ca_file: Some(cluster.dir().join("ca.crt")),
        reviewer_token: reviewer::token(cluster, &[]).await?,
        audiences: vec![AUDIENCE.to_owned()],
    };
    let subjects = vec![format!("system:serviceaccount:{namespace}:keyferry")];
    grant(stage, heading, server, Method::Kubernetes { review: Review::Server(review), subjects })?;

    let (dir, token) = (RunDir::create("infisical")?, cluster.token_for(&namespace, "keyferry", &[AUDIENCE]).await?);
    let path = dir.write("token", &token)?.display().to_string();
    let documented = stage.value(heading, "/stringData/token-path")?;
    reads_anywhere(stage, heading, server, ["identity-id", "token-path"], &[(&documented, &path)]).await
}

/// The ClusterSecretStore of a section reads a secret. Of the Secret that it refers to, it names these keys.
async fn reads_anywhere(
    stage: &mut Stage,
    heading: &str,
    server: &InfisicalServer,
    keys: [&str; 2],
    changes: Changes<'_>,
) -> Result<()> {
    let changes = [&[(SERVICE, server.url())], changes].concat();
    stage.works_anywhere(heading, &keys, &changes, |es| es.key("password", "DB_PASSWORD"), &[("password", VALUE)]).await
}

async fn jwt(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let (heading, cluster) = ("JWT Auth", ControlPlane::shared().await?);
    let method = Method::Jwt {
        key: cluster.token_verifier_pem().to_owned(),
        issuer: Some(cluster.token_issuer().to_owned()),
        subject: Some(reviewer::SUBJECT.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
    };
    grant(stage, heading, server, method)?;
    let token = reviewer::token(cluster, &[AUDIENCE]).await?;
    let documented = stage.value(heading, "/stringData/jwt")?;
    reads(stage, heading, server, &[(&documented, &token)]).await
}

async fn ldap(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let heading = "LDAP Auth";
    let username = stage.value(heading, "/stringData/username")?;
    let password = stage.value(heading, "/stringData/password")?;
    grant(stage, heading, server, Method::Ldap { username, password })?;
    reads(stage, heading, server, &[]).await
}
