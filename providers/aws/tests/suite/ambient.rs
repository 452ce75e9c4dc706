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
    // Nothing outside of the test answers as an instance does.
    run_child_on_an_instance(&[&[("AWS_EC2_METADATA_DISABLED", "true")], variables].concat()).await
}

async fn run_child_on_an_instance(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", "ambient::child", "--ignored", "--nocapture"]).env_clear();
    command.envs(variables.iter().copied());
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
    let directory = tempfile::tempdir().expect("a directory");
    let token = directory.path().join("eks-pod-identity-token");
    std::fs::write(&token, "pod").expect("a file");
    let printed = run_child(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", server.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().expect("text")),
        ("AWS_ENDPOINT_URL", &server.url()),
    ])
    .await;
    assert!(printed.contains(r#"("ContainerCredentials", Ok(())), ("GetSecretValue", Ok(()))"#), "{printed}");
    assert_eq!(server.requests()[0].header("authorization"), "pod");
    assert_signed(&server.requests()[1], "ASIA1", "hunter2", "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn the_instance_s_role_is_the_last_resort() {
    let server = ScriptedServer::answering(|request| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token") => {
            Reply::text(200, "of the instance").header("x-aws-ec2-metadata-token-ttl-seconds", "60")
        }
        ("GET", path) if path.ends_with("/security-credentials/") => Reply::text(200, "node"),
        ("GET", path) if path.ends_with("/security-credentials/node") => {
            let session = json!({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIA2",
                "SecretAccessKey": "hunter2", "Token": "t", "Expiration": "2099-01-01T00:00:00Z",
                "LastUpdated": "2026-01-01T00:00:00Z"});
            Reply::json(200, &session)
        }
        ("GET", _) => Reply::text(404, ""),
        _ => answer(request),
    })
    .await;
    let printed = run_child_on_an_instance(&[
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url()),
        ("AWS_ENDPOINT_URL", &server.url()),
    ])
    .await;
    assert!(printed.contains("answer 5 bytes") && printed.contains(r#"("InstanceMetadata", Ok(()))"#), "{printed}");
    let read = server.requests().pop().expect("requests");
    assert_signed(&read, "ASIA2", "hunter2", "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn an_instance_that_refuses_is_told_from_none() {
    for (reply, text) in [
        (
            Reply::text(403, "hunter2"),
            "answer the operator's own identity cannot be loaded; check that its pod reaches",
        ),
        (Reply::hang(), "answer no AWS credentials found in the operator's pod"),
    ] {
        let server = ScriptedServer::answering(move |_| reply.clone()).await;
        let printed = run_child_on_an_instance(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url())]).await;
        assert!(printed.contains(text) && !printed.contains("hunter2"), "{printed}");
        assert_eq!(server.requests().len(), 1, "nothing is tried twice");
    }
}

#[tokio::test]
async fn an_operator_that_aws_does_not_know_is_told_what_to_do() {
    let printed = run_child(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
    let text =
        "answer no AWS credentials found in the operator's pod for a store without `auth`; give it an IAM role (IRSA,";
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

#[tokio::test]
async fn aws_s_endpoints_of_a_kind_are_asked_where_the_environment_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "jwt").expect("a file");
    let keys: &[_] = &[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let web_identity: &[_] = &[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("text")),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator"),
    ];
    let (fips, dual_stack) = (("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true"));
    for (login, kind, host) in [
        (keys, &[][..], "secretsmanager.eu-west-1.amazonaws.com:443"),
        (keys, &[fips], "secretsmanager-fips.eu-west-1.amazonaws.com:443"),
        // Its only address is one of both kinds.
        (keys, &[dual_stack], "secretsmanager.eu-west-1.amazonaws.com:443"),
        (web_identity, &[], "sts.eu-west-1.amazonaws.com:443"),
        (web_identity, &[fips], "sts-fips.eu-west-1.amazonaws.com:443"),
        (web_identity, &[dual_stack], "sts.eu-west-1.api.aws:443"),
    ] {
        let proxy = ScriptedServer::answering(|_| Reply::text(403, "hunter2")).await;
        let printed = run_child(&[login, kind, &[("HTTPS_PROXY", &proxy.url())]].concat()).await;
        let asked = proxy.requests().pop().expect("a request");
        assert_eq!((asked.method.as_str(), asked.header("host")), ("CONNECT", host), "{printed}");
        assert!(printed.contains("answer AWS cannot be reached for ") && printed.contains("the proxy"), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
