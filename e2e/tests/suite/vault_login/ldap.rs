//! `ldap`: users of a directory, whom OpenBao's plugin has the directory vouch for.

use anyhow::Result;
use keyferry_e2e::harness::Bao;
use serde_json::{Value, json};

use super::reads_with;
use crate::support::{Directory, Entry, Tenant, credential, secret_store, vault_at};

const PEOPLE: &str = "ou=people,dc=example,dc=org";
const PASSWORD: &str = "pass word ";

#[tokio::test]
async fn a_user_of_a_directory_logs_in_with_a_password() -> Result<()> {
    let tenant = Tenant::create("ldap").await?;
    let directory = Directory::start(&[ann(PEOPLE)]).await?;
    let auth = trusting(&tenant, json!({ "url": directory.url(), "userdn": PEOPLE, "userattr": "uid" })).await?;
    let _operator = tenant.operator().start().await?;
    reads_with(&tenant, auth).await
}

/// Ann is not where users are in general, and it is her group that may read.
#[tokio::test]
async fn a_user_is_searched_for_in_the_directory() -> Result<()> {
    let tenant = Tenant::create("ldapsearch").await?;
    let of_vault = Entry::new("cn=vault,dc=example,dc=org").password("of vault");
    let ann = ann("ou=engineering,ou=people,dc=example,dc=org");
    let readers = Entry::new("cn=readers,ou=groups,dc=example,dc=org")
        .with("member", "uid=ann,ou=engineering,ou=people,dc=example,dc=org");
    let directory = Directory::start(&[of_vault, ann, readers]).await?;
    let config = json!({
        "url": directory.url(), "userdn": PEOPLE, "userattr": "uid",
        "groupdn": "ou=groups,dc=example,dc=org", "groupattr": "cn",
        "binddn": "cn=vault,dc=example,dc=org", "bindpass": "of vault",
    });
    let auth = trusting(&tenant, config.clone()).await?;
    let (bao, mount) = (Bao::shared().await?, tenant.name());
    bao.delete(&format!("auth/{mount}/users/ann")).await?;
    bao.write(&format!("auth/{mount}/groups/readers"), &json!({ "policies": mount })).await?;
    let _operator = tenant.operator().start().await?;
    reads_with(&tenant, auth.clone()).await?;

    // The directory tells everybody where she is.
    let anonymous = json!({ "binddn": "", "bindpass": "", "discoverdn": true });
    bao.write(&format!("auth/{mount}/config"), &anonymous).await?;
    tenant.apply(&secret_store("anonymous", vault_at(bao.url(), mount, auth))).await?;
    tenant.store_works("anonymous").await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_of_a_directory_is_told() -> Result<()> {
    let tenant = Tenant::create("ldapwrong").await?;
    let directory = Directory::start(&[ann(PEOPLE)]).await?;
    let auth = trusting(&tenant, json!({ "url": directory.url(), "userdn": PEOPLE, "userattr": "uid" })).await?;
    tenant.apply(&credential("ann", &[("password", PASSWORD.trim())])).await?;
    let _operator = tenant.operator().start().await?;

    tenant.apply(&secret_store("login", vault_at(Bao::shared().await?.url(), tenant.name(), auth.clone()))).await?;

    let login = format!("the login at auth/{} was refused", tenant.name());
    let message = tenant.store_fails("login", &[&login, "check user name and password"]).await?;
    assert!(!message.contains(PASSWORD.trim()), "{message}");

    // With the right one it works at once.
    tenant.apply(&credential("ann", &[("password", PASSWORD)])).await?;
    reads_with(&tenant, auth).await
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_told() -> Result<()> {
    let tenant = Tenant::create("ldapdown").await?;
    let directory = Directory::start(&[ann(PEOPLE)]).await?;
    let auth = trusting(&tenant, json!({ "url": directory.url(), "userdn": PEOPLE, "userattr": "uid" })).await?;
    drop(directory);
    let _operator = tenant.operator().start().await?;

    tenant.apply(&secret_store("login", vault_at(Bao::shared().await?.url(), tenant.name(), auth))).await?;

    let directory = format!("no answer from the directory that auth/{} asks", tenant.name());
    tenant.store_fails("login", &[&directory, "check its address"]).await?;
    Ok(())
}

fn ann(place: &str) -> Entry {
    Entry::new(&format!("uid=ann,{place}")).password(PASSWORD)
}

/// A mount with the team's name that trusts a directory about `ann`, and how a store logs in to it.
async fn trusting(tenant: &Tenant<'_>, config: Value) -> Result<Value> {
    let (bao, mount) = (Bao::shared().await?, tenant.name());
    bao.plug_in("ldap", &[]).await?;
    bao.enable_auth(mount, "ldap").await?;
    bao.write(&format!("auth/{mount}/config"), &config).await?;
    bao.write(&format!("auth/{mount}/users/ann"), &json!({ "policies": mount })).await?;
    tenant.apply(&credential("ann", &[("password", PASSWORD)])).await?;
    let secret = json!({ "name": "ann", "key": "password" });
    Ok(json!({ "ldap": { "path": mount, "username": "ann", "secretRef": secret } }))
}
