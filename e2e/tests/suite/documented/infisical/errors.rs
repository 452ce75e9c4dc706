//! The errors of the page.

use anyhow::Result;
use keyferry_fakes::infisical::{Identity, InfisicalServer, Rule};
use serde_json::{Value, json};

use super::{ENVIRONMENT, PROJECT, Stage};
use crate::documented::canned::always;
use crate::support::{Manifest, cluster_store, credential, secret_store};

/// The store of the section on Universal Auth still works, and its Secret is there.
pub(super) async fn provoke(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    logins(stage, server.url()).await?;
    scopes(stage, server.url()).await?;
    permissions(stage, server).await?;
    let read = |es: Manifest| es.key("value", "NOTHING");
    stage.reader_says("there is no secret", "infisical", read).await
}

async fn logins(stage: &mut Stage, url: &str) -> Result<()> {
    let keys = [("id", "nobody"), ("secret", "not this one"), ("path", "/nowhere/key.json")];
    stage.tenant.apply(&credential("wrong", &keys)).await?;
    let wrong = |key: &str| json!({ "name": "wrong", "key": key });
    let with = |auth: &Value| provider(url, auth);

    stage.store_says("names no way to log in", "no-method", with(&json!({}))).await?;
    let file = json!({ "identityId": wrong("id"), "serviceAccountKeyFilePath": wrong("path") });
    for (name, auth) in [
        ("own-token", json!({ "kubernetesAuthCredentials": { "identityId": wrong("id") } })),
        ("own-file", json!({ "gcpIamAuthCredentials": file })),
    ] {
        stage.store_says("would show a file of the operator's pod", name, with(&auth)).await?;
    }
    let azure = json!({ "azureAuthCredentials": { "identityId": wrong("id") } });
    stage.store_says("would show a token of the operator's node", "own-node", with(&azure)).await?;
    let refused = universal(("infisical", "client-id"), ("wrong", "secret"));
    stage.store_says("Infisical refuses the login", "refused", with(&refused)).await?;
    let ldap = json!({ "identityId": wrong("id"), "ldapUsername": wrong("id"), "ldapPassword": wrong("secret") });
    let unknown = json!({ "ldapAuthCredentials": ldap });
    stage.store_says("Infisical knows no machine identity", "unknown", with(&unknown)).await?;
    let token = json!({ "tokenAuthCredentials": { "accessToken": wrong("secret") } });
    stage.store_says("the access token is not accepted", "ended", with(&token)).await?;
    cluster_stores(stage, url).await?;
    let elsewhere = always(404, r#"{ "message": "not here" }"#).await?;
    stage.store_says("the server does not know this API", "lost", provider(elsewhere.url(), &token)).await
}

async fn cluster_stores(stage: &mut Stage, url: &str) -> Result<()> {
    let namespace = stage.tenant.name().to_owned();
    let wrong = |key: &str| json!({ "name": "wrong", "key": key, "namespace": namespace });
    let with_path = |id: Value, path: Value| {
        let auth = json!({ "gcpIamAuthCredentials": { "identityId": id, "serviceAccountKeyFilePath": path } });
        provider(url, &auth)
    };
    let nowhere = json!({ "name": "wrong", "key": "id" });
    for (error, provider) in [
        ("…, which a ClusterSecretStore must set", with_path(nowhere, wrong("path"))),
        ("the file that auth", with_path(wrong("id"), wrong("path"))),
    ] {
        stage.tenant.apply(&cluster_store(&namespace, &namespace, provider)).await?;
        stage.says(error, "ClusterSecretStore", &namespace).await?;
    }
    Ok(())
}

async fn scopes(stage: &mut Stage, url: &str) -> Result<()> {
    let with = |field: &str, value: &str| {
        let mut provider = provider(url, &universal(("infisical", "client-id"), ("infisical", "client-secret")));
        provider["infisical"]["secretsScope"][field] = json!(value);
        provider
    };
    stage.store_says("there is no environment", "no-project", with("projectSlug", "nothing")).await?;
    stage.store_says("… the project has no", "no-environment", with("environmentSlug", "nothing")).await?;
    stage.store_says("there is no folder", "no-folder", with("secretsPath", "/nothing")).await
}

/// A machine identity that may read some secrets only.
async fn permissions(stage: &mut Stage, server: &InfisicalServer) -> Result<()> {
    let limited = Identity::universal("limited-id", "limited-secret", PROJECT);
    server.grant(Identity { allow: vec![Rule::only(PROJECT, "/DB_*")], ..limited });
    stage.tenant.apply(&credential("limited", &[("id", "limited-id"), ("secret", "limited-secret")])).await?;
    let auth = universal(("limited", "id"), ("limited", "secret"));
    stage.tenant.apply(&secret_store("limited", provider(server.url(), &auth))).await?;
    let read = |es: Manifest| es.key("value", "/services/PAY_KEY");
    stage.reader_says("the machine identity may not read", "limited", read).await
}

/// Universal Auth with an id and a secret of these Secrets.
fn universal((id, id_key): (&str, &str), (secret, key): (&str, &str)) -> Value {
    json!({ "universalAuthCredentials": {
        "clientId": { "name": id, "key": id_key },
        "clientSecret": { "name": secret, "key": key },
    } })
}

fn provider(url: &str, auth: &Value) -> Value {
    let scope = json!({ "projectSlug": PROJECT, "environmentSlug": ENVIRONMENT });
    json!({ "infisical": { "hostAPI": url, "auth": auth, "secretsScope": scope } })
}
