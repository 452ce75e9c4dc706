//! Infisical, with the fake server: what a search finds, and how a login ends.

use anyhow::{Context, Result};
use keyferry_e2e::harness::wait;
use keyferry_fakes::infisical::{Identity, Import, InfisicalServer, Place, Project, Secret};
use serde_json::{Value, json};

use crate::support::{Manifest, Tenant, credential, external_secret, secret_store};

/// A team with a SecretStore `infisical` whose folder is `/app`.
async fn tenant(prefix: &str) -> Result<(Tenant<'static>, InfisicalServer)> {
    let (tenant, server) = (Tenant::create(prefix).await?, InfisicalServer::start().context("no server")?);
    server.make_project(Project::new("web", &["prod"]));
    server.grant(Identity::universal("id", "a secret", "web"));
    tenant.apply(&credential("infisical", &[("id", "id"), ("secret", "a secret")])).await?;
    let selector = |key: &str| json!({ "name": "infisical", "key": key });
    let universal = json!({ "clientId": selector("id"), "clientSecret": selector("secret") });
    let provider = json!({ "infisical": {
        "hostAPI": server.url(),
        "auth": { "universalAuthCredentials": universal },
        "secretsScope": {
            "projectSlug": "web", "environmentSlug": "prod", "secretsPath": "/app", "recursive": true,
        },
    } });
    put(&server, "/app", "NAME", "web");
    tenant.apply(&secret_store("infisical", provider)).await?;
    Ok((tenant, server))
}

fn put(server: &InfisicalServer, path: &str, name: &str, value: &str) {
    server.put(Secret::new(&Place::new("web", "prod", path), name, value));
}

fn find(name: &str, find: &Value) -> Manifest {
    external_secret(name).store("infisical").add("dataFrom", json!({ "find": find }))
}

#[tokio::test]
async fn a_search_through_folders_gives_plain_names() -> Result<()> {
    let (tenant, server) = tenant("find").await?;
    for (path, name) in [("/app/a", "KEY"), ("/app/b", "KEY"), ("/app/b/deep", "DEEP_KEY"), ("/shared", "SHARED_KEY")] {
        put(&server, path, name, path);
    }
    let into = Place::new("web", "prod", "/app/a");
    server.import(Import { into, from_environment: "prod".to_owned(), from_path: "/shared".to_owned() });
    let _operator = tenant.operator().start().await?;

    tenant.apply(&find("all", &json!({}))).await?;
    let all = [("DEEP_KEY", "/app/b/deep"), ("KEY", "/app/b"), ("NAME", "web"), ("SHARED_KEY", "/shared")];
    tenant.holds("all", &all).await?;

    // A pattern is about the name and not about its folder.
    tenant.apply(&find("keys", &json!({ "name": { "regexp": "^KEY$|^b" } }))).await?;
    tenant.holds("keys", &[("KEY", "/app/b")]).await?;

    tenant.apply(&find("below", &json!({ "path": "/app/a" }))).await?;
    tenant.holds("below", &[("KEY", "/app/a")]).await?;
    Ok(())
}

#[tokio::test]
async fn the_login_of_a_store_ends_with_the_store() -> Result<()> {
    let (tenant, server) = tenant("revoked").await?;
    let _operator = tenant.operator().start().await?;
    tenant.apply(&external_secret("app").store("infisical").key("name", "NAME")).await?;
    tenant.synced("app").await?;
    tenant.store_works("infisical").await?;
    assert_eq!((server.counts().of("login"), server.revoked_tokens()), (1, 0));

    tenant.delete("SecretStore", "infisical").await?;

    all_revoked(&server).await
}

#[tokio::test]
async fn a_login_with_other_credentials_ends_the_one_before() -> Result<()> {
    let (tenant, server) = tenant("replaced").await?;
    let _operator = tenant.operator().start().await?;
    tenant.store_works("infisical").await?;
    server.grant(Identity::universal("id", "another secret", "web"));

    tenant.apply(&credential("infisical", &[("id", "id"), ("secret", "another secret")])).await?;

    wait::eventually("the first login is revoked", wait::DEADLINE, async || {
        Ok((server.counts().of("login") == 2 && server.revoked_tokens() == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn the_logins_of_all_stores_end_with_the_operator() -> Result<()> {
    let (tenant, server) = tenant("ended").await?;
    let mut operator = tenant.operator().start().await?;
    tenant.store_works("infisical").await?;

    operator.terminate().await?;

    all_revoked(&server).await
}

async fn all_revoked(server: &InfisicalServer) -> Result<()> {
    wait::eventually("all logins are revoked", wait::DEADLINE, async || {
        let logins = usize::try_from(server.counts().of("login"))?;
        Ok((logins > 0 && server.revoked_tokens() == logins).then_some(()))
    })
    .await
}
