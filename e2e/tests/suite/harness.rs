//! The ground that the other tests stand on.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use keyferry_e2e::harness::{Bao, ControlPlane, KvVersion, Namespace, process::Process, run_dir::RunDir, wait};
use kube::api::{DeleteParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

/// A ServiceAccount that may read Secrets in its namespace and nothing else.
const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader }
rules: [{ apiGroups: [''], resources: [secrets], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [{ kind: ServiceAccount, name: reader }]
";

fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        string_data: Some([("key".to_owned(), "value".to_owned())].into()),
        ..Secret::default()
    }
}

#[tokio::test]
async fn a_service_account_has_its_own_rights() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let namespace = Namespace::create(cluster, "rights").await?;
    namespace.apply(READER).await?;
    namespace.secrets().create(&PostParams::default(), &secret("a")).await?;
    let mark = cluster.audit_log().mark()?;

    let kubeconfig = cluster.kubeconfig_for(namespace.name(), "reader").await?;
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    let as_reader: Api<Secret> = Api::namespaced(Client::try_from(config)?, namespace.name());
    as_reader.get("a").await?;
    let refused = as_reader.delete("a", &DeleteParams::default()).await;

    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 403));
    let user = format!("system:serviceaccount:{}:reader", namespace.name());
    let expected = [("delete", "secrets"), ("get", "secrets")];
    wait::eventually("both requests are in the audit log", wait::DEADLINE, async || {
        let counts = cluster.audit_log().counts_since(mark, &user)?;
        let seen = counts.iter().map(|((verb, resource), count)| (verb.as_str(), resource.as_str(), *count));
        Ok(seen.eq(expected.map(|(verb, resource)| (verb, resource, 1))).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_secret_goes_with_its_owner() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let namespace = Namespace::create(cluster, "owner").await?;
    let owners: Api<ConfigMap> = Api::namespaced(namespace.client().clone(), namespace.name());
    let owner = ConfigMap {
        metadata: ObjectMeta { name: Some("owner".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let owner = owners.create(&PostParams::default(), &owner).await?;
    let mut owned = secret("owned");
    owned.metadata.owner_references = owner.owner_ref(&()).map(|reference| vec![reference]);
    namespace.secrets().create(&PostParams::default(), &owned).await?;
    namespace.wait_for_secret("owned", |secret| secret.data.is_some()).await?;

    owners.delete(&owner.name_any(), &DeleteParams::background()).await?;

    namespace.wait_for_no_secret("owned").await
}

#[tokio::test]
async fn an_expectation_that_is_not_met_shows_what_was_there() -> Result<()> {
    let namespace = Namespace::create(ControlPlane::shared().await?, "deadline").await?;
    namespace.secrets().create(&PostParams::default(), &secret("a")).await?;

    let never = wait::until(&namespace.secrets(), "a", "it changes", Duration::from_millis(200), |_| false).await;

    let message = format!("{:#}", never.expect_err("the condition never holds"));
    assert!(message.contains("it changes") && message.contains("\"name\": \"a\""), "{message}");
    Ok(())
}

#[tokio::test]
async fn the_data_survives_a_restart_of_the_api_server() -> Result<()> {
    // Its own: the other tests must not notice.
    let cluster = ControlPlane::start().await?;
    let namespace = Namespace::create(&cluster, "restart").await?;
    namespace.secrets().create(&PostParams::default(), &secret("a")).await?;

    cluster.stop_apiserver().await?;
    assert!(namespace.secrets().get("a").await.is_err(), "the API server answers although it is stopped");
    cluster.start_apiserver().await?;

    namespace.secrets().get("a").await?;
    Ok(())
}

#[tokio::test]
async fn openbao_keeps_values_of_both_versions_and_counts_calls() -> Result<()> {
    let bao = Bao::shared().await?;
    for (mount, version) in [("harness1", KvVersion::V1), ("harness2", KvVersion::V2)] {
        let kv = bao.mount_kv(mount, version).await?;
        kv.put("app/db", &json!({ "password": "first" })).await?;
        let mark = bao.mark()?;
        assert_eq!(kv.get("app/db").await?, Some(json!({ "password": "first" })));
        kv.delete("app/db").await?;
        assert!(kv.get("app/db").await?.is_none_or(|fields| fields.is_null()));

        let calls = bao.calls_since(mark, &kv.path("app/db"))?;
        let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(operations, ["read", "delete", "read"]);
    }
    Ok(())
}

#[tokio::test]
async fn openbao_knows_the_service_accounts_of_the_cluster() -> Result<()> {
    let (cluster, bao) = (ControlPlane::shared().await?, Bao::shared().await?);
    let namespace = Namespace::create(cluster, "login").await?;
    namespace.apply(READER).await?;
    let account = (namespace.name(), "reader");
    bao.policy("harness-reader", "path \"secret/data/*\" { capabilities = [\"read\"] }").await?;
    bao.enable_auth("harness-kubernetes", "kubernetes").await?;
    bao.review_tokens("harness-kubernetes", cluster).await?;
    bao.kubernetes_role("harness-kubernetes", "reader", account, Some("bao"), &["harness-reader"]).await?;
    bao.enable_auth("harness-jwt", "jwt").await?;
    bao.trust_issuer("harness-jwt", cluster).await?;
    bao.jwt_role("harness-jwt", "reader", account, "bao", &["harness-reader"]).await?;

    let right = cluster.token_for(account.0, account.1, &["bao"]).await?;
    let wrong = cluster.token_for(account.0, account.1, &["somebody-else"]).await?;
    for mount in ["harness-kubernetes", "harness-jwt"] {
        let path = format!("auth/{mount}/login");
        let login = bao.write(&path, &json!({ "role": "reader", "jwt": right })).await?;
        assert_eq!(login["auth"]["policies"], json!(["default", "harness-reader"]), "{mount}");
        assert!(bao.write(&path, &json!({ "role": "reader", "jwt": wrong })).await.is_err(), "{mount}");
    }
    Ok(())
}

#[tokio::test]
async fn openbao_has_app_roles_users_and_tokens() -> Result<()> {
    let bao = Bao::shared().await?;
    bao.policy("harness-login", "path \"secret/data/*\" { capabilities = [\"read\"] }").await?;
    bao.enable_auth("harness-approle", "approle").await?;
    bao.enable_auth("harness-userpass", "userpass").await?;
    let (role_id, secret_id) = bao.app_role("harness-approle", "app", &["harness-login"], "1h").await?;
    bao.user("harness-userpass", "ann", "pass", &["harness-login"]).await?;

    let body = json!({ "role_id": role_id, "secret_id": secret_id });
    let by_role = bao.write("auth/harness-approle/login", &body).await?;
    let by_password = bao.write("auth/harness-userpass/login/ann", &json!({ "password": "pass" })).await?;

    assert!(is_login(&by_role) && is_login(&by_password));
    assert!(!bao.token(&["harness-login"], "1h").await?.is_empty());
    Ok(())
}

fn is_login(answer: &Value) -> bool {
    answer["auth"]["client_token"].is_string()
}

#[tokio::test]
async fn openbao_speaks_tls() -> Result<()> {
    let bao = Bao::start_tls().await?;
    assert!(bao.url().starts_with("https://") && bao.ca_pem().is_some());
    assert!(bao.read("sys/mounts").await?.is_some());
    Ok(())
}

/// The case of a test run that is killed: nobody is left to clean up.
#[tokio::test]
async fn a_process_dies_with_the_one_that_started_it() -> Result<()> {
    let dir = RunDir::create("leash")?;
    let id_file = dir.file("id");
    // A shell that starts a sleeper on the leash, as the harness does, and waits.
    let script = format!(
        "{} leash --parent $$ -- sleep 600 & echo $! > {}; wait",
        env!("CARGO_BIN_EXE_keyferry-e2e"),
        id_file.display()
    );
    let mut parent = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn()?;
    let sleeper = wait::eventually("the sleeper sleeps", wait::DEADLINE, async || {
        let id = std::fs::read_to_string(&id_file).unwrap_or_default().trim().to_owned();
        Ok((program_of(&id).as_deref() == Some("sleep")).then_some(id))
    })
    .await?;

    parent.kill().context("failed to kill the shell")?;
    parent.wait()?;

    wait::eventually("the sleeper is gone", wait::DEADLINE, async || {
        Ok((program_of(&sleeper).as_deref() != Some("sleep")).then_some(()))
    })
    .await
}

/// The name of the program that a process runs; `None` if there is no such process.
fn program_of(process: &str) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim().to_owned())
}

#[tokio::test]
async fn a_program_that_ends_shows_its_log() -> Result<()> {
    let dir = RunDir::create("ended")?;
    let shell = std::path::Path::new("/bin/sh");
    let mut process = Process::start(shell, ["-c", "echo out of cheese; exit 3"], [], dir.file("log"))?;
    let never = wait::while_running(&mut [&mut process], "it answers", wait::DEADLINE, async || Ok(None::<()>)).await;
    let message = never.expect_err("a shell answers nothing").to_string();
    ensure!(message.contains("out of cheese") && message.contains("exit status: 3"), "{message}");
    Ok(())
}
