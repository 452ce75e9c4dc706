//! `iam`: identities of AWS, whose signature OpenBao's plugin has moto check.

use anyhow::Result;
use keyferry_e2e::harness::{AWS_ACCOUNT, AwsKeys, Bao, Moto};
use serde_json::{Value, json};

use super::{ACCOUNT, reads_with};
use crate::support::{Tenant, aws_keys, secret_store, vault_at};

#[tokio::test]
async fn a_user_of_aws_logs_in_with_access_keys() -> Result<()> {
    let (tenant, moto) = (Tenant::create("iam").await?, Moto::start().await?);
    let keys = moto.user("reader").await?;
    moto.enforce().await?;
    let path = trusting(&tenant, &moto, "user/reader", json!({})).await?;
    let secret_ref = known_as(&tenant, "keys", &keys).await?;
    let wrong_keys = AwsKeys { secret: "of/somebody+else".to_owned(), ..keys };
    let wrong_ref = known_as(&tenant, "wrong-keys", &wrong_keys).await?;
    let _operator = tenant.operator().start().await?;
    let auth = |secret_ref: Value| json!({ "iam": { "path": path, "vaultRole": "reader", "secretRef": secret_ref } });

    reads_with(&tenant, auth(secret_ref)).await?;

    let wrong = vault_at(Bao::shared().await?.url(), tenant.name(), auth(wrong_ref));
    tenant.apply(&secret_store("wrong", wrong)).await?;
    let login = format!("the login at auth/{path} was refused");
    let message = tenant.store_fails("wrong", &[&login, "check the credentials, vaultRole"]).await?;
    assert!(!message.contains(&wrong_keys.secret) && !message.contains(&wrong_keys.id), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_role_is_assumed_before_the_login() -> Result<()> {
    let (tenant, moto) = (Tenant::create("iamrole").await?, Moto::start().await?);
    let keys = moto.user("person").await?;
    moto.enforce().await?;
    let path = trusting(&tenant, &moto, "role/reader", json!({})).await?;
    let secret_ref = known_as(&tenant, "keys", &keys).await?;
    let role = format!("arn:aws:iam::{AWS_ACCOUNT}:role/reader");
    let _operator = tenant.operator().variable("AWS_ENDPOINT_URL_STS", moto.url()).start().await?;

    let auth = json!({
        "path": path, "vaultRole": "reader", "secretRef": secret_ref, "role": role, "externalID": "x-1",
    });
    reads_with(&tenant, json!({ "iam": auth })).await?;

    let sessions = moto.sessions().await?;
    assert!(!sessions.is_empty() && sessions.iter().all(|session| session["external_id"] == "x-1"), "{sessions:?}");
    Ok(())
}

/// IRSA: the ServiceAccount is the role that it is annotated with.
#[tokio::test]
async fn a_service_account_is_the_role_of_its_annotation() -> Result<()> {
    let (tenant, moto) = (Tenant::create("iamirsa").await?, Moto::start().await?);
    let path = trusting(&tenant, &moto, "role/annotated", json!({})).await?;
    let annotation = format!("{{ eks.amazonaws.com/role-arn: 'arn:aws:iam::{AWS_ACCOUNT}:role/annotated' }}");
    let account = ACCOUNT.replace("{ name: reader }", &format!("{{ name: reader, annotations: {annotation} }}"));
    tenant.namespace.apply(&account).await?;
    let _operator = tenant.operator().variable("AWS_ENDPOINT_URL_STS", moto.url()).start().await?;
    let jwt = json!({ "serviceAccountRef": { "name": "reader" } });
    reads_with(&tenant, json!({ "iam": { "path": path, "vaultRole": "reader", "jwt": jwt } })).await
}

#[tokio::test]
async fn the_operators_own_identity_logs_in_where_a_store_names_none() -> Result<()> {
    let (tenant, moto) = (Tenant::create("iamown").await?, Moto::start().await?);
    let keys = moto.user("operator").await?;
    moto.enforce().await?;
    let path = trusting(&tenant, &moto, "user/operator", json!({})).await?;
    let operator = tenant.operator().variable("AWS_ACCESS_KEY_ID", &keys.id);
    let _operator = operator.variable("AWS_SECRET_ACCESS_KEY", &keys.secret).start().await?;
    reads_with(&tenant, json!({ "iam": { "path": path, "vaultRole": "reader" } })).await
}

/// Vault wants to see its own name in what is signed, so that nobody else can use it.
#[tokio::test]
async fn the_login_is_meant_for_the_server_that_the_store_names() -> Result<()> {
    let (tenant, moto) = (Tenant::create("iamserver").await?, Moto::start().await?);
    let keys = moto.user("reader").await?;
    moto.enforce().await?;
    let server_id = json!({ "iam_server_id_header_value": "vault.example.com" });
    let path = trusting(&tenant, &moto, "user/reader", server_id).await?;
    let secret_ref = known_as(&tenant, "keys", &keys).await?;
    let auth = |server: Option<&str>| {
        let mut iam = json!({ "path": path, "vaultRole": "reader", "secretRef": secret_ref });
        if let Some(server) = server {
            iam["vaultAwsIamServerID"] = json!(server);
        }
        json!({ "iam": iam })
    };
    let _operator = tenant.operator().start().await?;

    reads_with(&tenant, auth(Some("vault.example.com"))).await?;

    for (name, server) in [("other", Some("vault.example.org")), ("none", None)] {
        let store = vault_at(Bao::shared().await?.url(), tenant.name(), auth(server));
        tenant.apply(&secret_store(name, store)).await?;
        let login = format!("the login at auth/{path} was refused");
        tenant.store_fails(name, &[&login, "vaultAwsIamServerID"]).await?;
    }
    Ok(())
}

/// A mount that asks moto, and admits `principal` to the role `reader`.
async fn trusting(tenant: &Tenant<'_>, moto: &Moto, principal: &str, config: Value) -> Result<String> {
    let (bao, mount) = (Bao::shared().await?, tenant.name());
    bao.plug_in("aws", &[]).await?;
    bao.enable_auth(mount, "aws").await?;
    let mut client = config;
    client["sts_endpoint"] = json!(moto.url());
    bao.write(&format!("auth/{mount}/config/client"), &client).await?;
    let role = json!({
        "auth_type": "iam", "bound_iam_principal_arn": format!("arn:aws:iam::{AWS_ACCOUNT}:{principal}"),
        // It would have to ask AWS who that is.
        "resolve_aws_unique_ids": false,
        "token_policies": [mount],
    });
    bao.write(&format!("auth/{mount}/role/reader"), &role).await?;
    Ok(mount.to_owned())
}

/// The `secretRef` of keys, which stand in a new Secret.
async fn known_as(tenant: &Tenant<'_>, name: &str, keys: &AwsKeys) -> Result<Value> {
    let (secret, secret_ref) = aws_keys(name, keys);
    tenant.apply(&secret).await?;
    Ok(secret_ref)
}
