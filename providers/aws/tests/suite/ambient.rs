//! The operator's own identity and the process's proxies. Both come from the environment of the process, so that each
//! test runs `child` in a process of its own.

use std::{env, process::Stdio, sync::Arc};

use keyferry_aws::{Aws, AwsConfig, Environment, Identity, Service};
use keyferry_core::{CallObserver, Provider};
use keyferry_testkit::{Reply, Request, ScriptedServer};
use serde_json::json;
use tokio::process::Command;

use crate::{
    fixtures::{Heard, config, form, latest, ok, operation, session},
    signature::assert_signed,
};

/// What the child prints: the outcomes that its observer heard of, and its answer.
#[tokio::test]
#[ignore = "the other tests run it, each in its own environment"]
async fn child() {
    let (environment, identity) = (Environment::of_process(), Identity::Ambient);
    let config = AwsConfig { environment, identity, ..config(Service::SecretsManager, "http://unused") };
    let heard = Arc::new(Heard::default());
    let aws = Aws::new(config, Arc::clone(&heard) as Arc<dyn CallObserver>).expect("settings that can work");
    let answer = aws.fetch(&[latest("a")], tokio::time::Instant::now()).await.remove(0);
    println!("heard {:?}", heard.outcomes());
    match answer {
        Ok(fetched) => println!("answer {} bytes", fetched.value.len()),
        Err(error) => println!("answer {error}"),
    }
}

async fn run_child(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", "ambient::child", "--ignored", "--nocapture"]).env_clear();
    // Nothing outside of the test answers as an instance does.
    command.env("AWS_EC2_METADATA_DISABLED", "true").envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("a child");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn answer(request: &Request) -> Reply {
    match operation(request).as_str() {
        "AssumeRoleWithWebIdentity" => session("AssumeRoleWithWebIdentity", "ASIA0"),
        "GetSecretValue" => ok(&json!({"ARN": "arn:a", "Name": "a", "SecretString": "value", "VersionId": "1"})),
        _ => {
            let session = json!({"AccessKeyId": "ASIA1", "SecretAccessKey": "hunter2", "Token": "t",
                "Expiration": "2099-01-01T00:00:00Z"});
            Reply::json(200, &session)
        }
    }
}

#[tokio::test]
async fn keys_come_from_the_environment() {
    let server = ScriptedServer::answering(answer).await;
    let printed = run_child(&[
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &server.url()),
    ])
    .await;
    assert!(
        printed.contains("answer 5 bytes") && printed.contains(r#"heard [("GetSecretValue", Ok(()))]"#),
        "{printed}"
    );
    assert_signed(&server.requests()[0], "AKIAENV", "hunter2", "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn the_pod_s_web_identity_is_used_and_its_calls_are_heard_of() {
    let server = ScriptedServer::answering(answer).await;
    let directory = tempfile::tempdir().expect("a directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "jwt").expect("a file");
    let printed = run_child(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("text")),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator"),
        ("AWS_ENDPOINT_URL", &server.url()),
    ])
    .await;
    let heard = r#"heard [("AssumeRoleWithWebIdentity", Ok(())), ("GetSecretValue", Ok(()))]"#;
    assert!(printed.contains("answer 5 bytes") && printed.contains(heard), "{printed}");
    assert_eq!(form(&server.requests()[0]).get("WebIdentityToken").map(String::as_str), Some("jwt"));
    assert_signed(&server.requests()[1], "ASIA0", "hunter2", "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn pod_identity_is_asked_for_credentials() {
    let server = ScriptedServer::answering(answer).await;
    let printed = run_child(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", server.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod"),
        ("AWS_ENDPOINT_URL", &server.url()),
    ])
    .await;
    assert!(printed.contains(r#"("ContainerCredentials", Ok(())), ("GetSecretValue", Ok(()))"#), "{printed}");
    assert_eq!(server.requests()[0].header("authorization"), "pod");
    assert_signed(&server.requests()[1], "ASIA1", "hunter2", "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn an_operator_that_aws_does_not_know_is_told_what_to_do() {
    let printed = run_child(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
    let text =
        "answer the operator has no identity of its own in AWS; give its pod one (Pod Identity, IRSA), or name `auth`";
    assert!(printed.contains(text), "{printed}");
}

#[tokio::test]
async fn a_web_identity_that_sts_refuses_is_told_as_such() {
    let server = ScriptedServer::answering(|_| crate::fixtures::refuse_login("InvalidIdentityToken", "hunter2")).await;
    let printed = run_child(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/etc/hostname"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator"),
        ("AWS_ENDPOINT_URL", &server.url()),
    ])
    .await;
    assert!(
        printed.contains("answer AWS refuses the role of the operator's own identity (InvalidIdentityToken)"),
        "{printed}"
    );
    assert!(printed.contains("Err(Unauthenticated)") && !printed.contains("hunter2"), "{printed}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_process_s_proxy_is_used() {
    let proxy = ScriptedServer::answering(answer).await;
    let printed = run_child(&[
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_ENDPOINT_URL", "http://aws.invalid"),
        ("HTTP_PROXY", &proxy.url()),
    ])
    .await;
    assert!(printed.contains("answer 5 bytes"), "{printed}");
    assert_eq!(proxy.requests()[0].header("host"), "aws.invalid");
}
