//! What goes wrong between us and AWS.

use std::{
    io::Write,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use keyferry_aws::{Aws, AwsConfig, Environment, Identity, Service};
use keyferry_core::{Error, ErrorKind, Provider, Retry, Unobserved};
use keyferry_testkit::Reply;
use serde_json::json;
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    fixtures::{World, config, latest, ok, refuse, session},
    login::Account,
};

async fn failing(reply: Reply) -> (Error, World) {
    let world = World::new(Service::SecretsManager, move |_, _| reply.clone()).await;
    let error = world.fetch_one(latest("a")).await.expect_err("a failure");
    (error, world)
}

fn secret() -> Reply {
    ok(&json!({"ARN": "arn:a", "Name": "a", "SecretString": "hunter2", "VersionId": "1"}))
}

#[tokio::test]
async fn what_is_no_whole_answer_of_aws_is_told_apart() {
    let backoff = Retry::Backoff;
    let half = Reply::text(200, r#"{"Name": "a", "SecretString": "hunter2"#);
    let page = "<html>hunter2</html>";
    for (reply, kind, retry, status) in [
        (Reply::close(), ErrorKind::Unavailable, backoff, None),
        (secret().truncated(), ErrorKind::Malformed, backoff, Some(200)),
        (half, ErrorKind::Malformed, Retry::Never, Some(200)),
        (Reply::text(200, page), ErrorKind::Malformed, Retry::Never, Some(200)),
        (Reply::text(200, ""), ErrorKind::Malformed, Retry::Never, Some(200)),
        (Reply::text(404, page), ErrorKind::InvalidConfig, Retry::Never, Some(404)),
        (Reply::text(502, page), ErrorKind::Unavailable, backoff, Some(502)),
        (Reply::text(500, "{}"), ErrorKind::Unavailable, backoff, Some(500)),
    ] {
        let (error, world) = failing(reply.clone()).await;
        assert_eq!((error.kind, error.retry), (kind, retry), "{reply:?}: {error}");
        assert!(error.status.is_none() || error.status == status, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(world.server.requests().len(), 1, "the SDK does not try again: {reply:?}");
        assert_eq!(world.heard.outcomes().len(), 1);
    }
}

#[tokio::test]
async fn the_server_s_wish_when_to_try_again_is_passed_on() {
    let (error, _) = failing(refuse("ThrottlingException", "").header("Retry-After", "7")).await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Throttled, Retry::After(Duration::from_secs(7))));
    let (error, _) = failing(Reply::text(503, "").header("Retry-After", "2")).await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::After(Duration::from_secs(2))));
    let (error, _) = failing(refuse("AccessDeniedException", "").header("Retry-After", "7")).await;
    assert_eq!(error.retry, Retry::Never);
}

#[tokio::test]
async fn a_caller_who_gives_up_is_told_as_a_time_out() {
    for reply in [Reply::hang(), secret().stalled()] {
        let world = World::new(Service::SecretsManager, move |_, _| reply.clone()).await;
        let waited = tokio::time::timeout(Duration::from_millis(200), world.fetch_one(latest("a"))).await;
        assert!(waited.is_err());
        assert_eq!(world.heard.outcomes(), [("GetSecretValue", Err(ErrorKind::TimedOut))]);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_cannot_be_reached() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let aws = Aws::new(config(Service::ParameterStore, &format!("http://127.0.0.1:{port}")), Arc::new(Unobserved));
    let aws = aws.expect("settings that can work");
    let error = aws.fetch(&[latest("a")], Instant::now()).await.remove(0).expect_err("nobody there");
    assert_eq!((error.kind, error.provider), (ErrorKind::Unavailable, "AWS/ParameterStore"));
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_of_an_https_address() {
    let world = World::new(Service::SecretsManager, |_, _| secret()).await;
    let url = world.server.url().replace("http:", "https:");
    let aws = Aws::new(config(Service::SecretsManager, &url), Arc::new(Unobserved)).expect("settings that can work");
    let error = aws.fetch(&[latest("a")], Instant::now()).await.remove(0).expect_err("no TLS");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Unavailable, "no TLS connection for secret a; check the endpoint")
    );
}

#[test]
fn a_wrong_endpoint_is_found_before_anything_is_sent() {
    let environment = Environment::of(|name| (name == "AWS_STS_ENDPOINT").then(|| "sts:443".to_owned()));
    let config = AwsConfig { environment, ..config(Service::SecretsManager, "http://unused") };
    let error = Aws::new(config, Arc::new(Unobserved)).expect_err("no URL");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("AWS_STS_ENDPOINT"), "{error}");
}

/// What was logged, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_shows_a_value() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for service in [Service::SecretsManager, Service::ParameterStore] {
        let account = Account::new(&[("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/reader")]);
        let login = |config: &mut AwsConfig| config.identity = Identity::ServiceAccount(account);
        let world = World::with(service, login, |operation, _| match operation {
            "AssumeRoleWithWebIdentity" => session(operation, "ASIA0"),
            "GetParameter" => ok(&json!({"Parameter": {"Name": "a", "Value": "hunter2", "Version": 1}})),
            _ => secret(),
        })
        .await;
        world.fetch_one(latest("a")).await.expect("a value");
    }
    drop(guard);
    let log = String::from_utf8_lossy(&log.0.lock().expect("nobody panics with it")).into_owned();
    assert!(log.contains("GetSecretValue"), "something was logged");
    assert!(!log.contains("hunter2"), "{log}");
}
