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

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

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
    for (reply, kind, retry, status) in [
        (Reply::close(), ErrorKind::Unavailable, backoff, None),
        (secret().truncated(), ErrorKind::Malformed, backoff, Some(200)),
        (half, ErrorKind::Malformed, Retry::Never, Some(200)),
    ] {
        let (error, world) = failing(reply.clone()).await;
        assert_eq!((error.kind, error.retry), (kind, retry), "{reply:?}: {error}");
        assert!(error.status.is_none() || error.status == status, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(world.server.requests().len(), 1, "the SDK does not try again: {reply:?}");
        assert_eq!(world.heard.outcomes().len(), 1);
    }
}

/// What proxies, load balancers and wrong addresses answer with.
const FOREIGN: [&str; 7] = [
    "",
    "Forbidden hunter2",
    "<html><head><title>hunter2</title><body>blocked<br></html>",
    r#"{"message": "hunter2"}"#,
    r#"["hunter2"]"#,
    r#"{"__type": "Acc"#,
    "<?xml version=\"1.0\"?><Error><Code>hunter2</Code></Error>",
];

/// Who is asked: the SDK treats what it cannot read in another way with each.
const ASKED: [(Service, Option<&str>); 3] =
    [(Service::SecretsManager, None), (Service::ParameterStore, None), (Service::SecretsManager, Some(ROLE))];

/// What is made of `reply`, from the service, or from STS where there is a role to assume.
async fn answered((service, role): (Service, Option<&str>), reply: Reply) -> Error {
    let change = |config: &mut AwsConfig| config.additional_roles.extend(role.map(ToOwned::to_owned));
    let world = World::with(service, change, move |_, _| reply.clone()).await;
    let error = world.fetch_one(latest("a")).await.expect_err("no answer of AWS");
    assert_eq!(world.server.requests().len(), 1);
    error
}

#[tokio::test]
async fn what_is_not_aws_s_answer_is_judged_by_its_status_in_every_service() {
    let (denied, wrong) = (ErrorKind::AccessDenied, ErrorKind::InvalidConfig);
    let after = Retry::After(Duration::from_secs(3));
    for (status, kind, retry, text) in [
        (302, wrong, Retry::Never, "check the endpoint and the proxy"),
        (400, wrong, Retry::Never, "check the endpoint and the proxy"),
        (401, denied, Retry::Never, "check the proxy, the endpoint in the operator's environment and the policy"),
        (403, denied, Retry::Never, "check the proxy, the endpoint in the operator's environment and the policy"),
        (404, wrong, Retry::Never, "check the endpoint and the proxy"),
        (407, wrong, Retry::Never, "put it into the proxy's URL"),
        (429, ErrorKind::Throttled, after, "asks to slow down"),
        (500, ErrorKind::Unavailable, after, "failed on"),
        (503, ErrorKind::Unavailable, after, "failed on"),
    ] {
        for body in FOREIGN {
            for asked in ASKED {
                let error = answered(asked, Reply::text(status, body).header("Retry-After", "3")).await;
                let kind = if kind == denied && asked.1.is_some() { ErrorKind::Unauthenticated } else { kind };
                assert_eq!((error.kind, error.retry, error.status), (kind, retry, Some(status)), "{body} {asked:?}");
                assert!(error.message.contains(text) && !error.to_string().contains("hunter2"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_good_status_does_not_make_it_aws_s_answer() {
    for body in FOREIGN {
        for asked in ASKED {
            let error = answered(asked, Reply::text(200, body)).await;
            assert_eq!((error.kind, error.retry), (ErrorKind::Malformed, Retry::Never), "{body} {asked:?}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[tokio::test]
async fn only_a_good_answer_can_end_half_way() {
    for service in [Service::SecretsManager, Service::ParameterStore] {
        for (status, kind) in
            [(200, ErrorKind::Malformed), (403, ErrorKind::AccessDenied), (503, ErrorKind::Unavailable)]
        {
            let reply = Reply::text(status, "<html>hunter2</html>").truncated();
            let world = World::new(service, move |_, _| reply.clone()).await;
            let error = world.fetch_one(latest("a")).await.expect_err("half an answer");
            assert_eq!((error.kind, error.message.ends_with("ended half way")), (kind, status == 200), "{error}");
        }
    }
}

#[tokio::test]
async fn what_denies_on_the_way_to_aws_denies_a_whole_batch() {
    let at: Vec<_> = (0..20).map(|index| latest(&format!("/{index}"))).collect();
    for (service, batches) in [(Service::SecretsManager, 1), (Service::ParameterStore, 2)] {
        for (status, kind) in [(403, ErrorKind::AccessDenied), (404, ErrorKind::InvalidConfig)] {
            let world = World::new(service, move |_, _| Reply::text(status, "blocked")).await;
            for rounds in 1..=2 {
                let answers = world.fetch(&at).await;
                assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == kind)));
                assert_eq!(world.server.requests().len(), rounds * batches, "{service:?} {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_that_finds_nothing_says_so_of_no_item() {
    for (service, batch, code) in [
        (Service::SecretsManager, "BatchGetSecretValue", "ResourceNotFoundException"),
        (Service::ParameterStore, "GetParameters", "ParameterNotFound"),
    ] {
        let world = World::new(service, move |operation, request| match operation {
            // Not everything that speaks like AWS numbers its answers.
            _ if operation == batch => Reply::json(400, &json!({"__type": code})),
            "GetParameter" => ok(&json!({"Parameter": {"Name": request.json()["Name"], "Value": "v", "Version": 1}})),
            _ => secret(),
        })
        .await;
        let answers = world.fetch(&["a", "b"].map(latest)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
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
fn a_region_that_leads_elsewhere_is_found_before_anything_is_sent() {
    for region in ["evil.com/#", "evil.com/#-west-1", "eu-west-1.evil.com", "x@evil.com:443/?-a-1"] {
        for identity in
            [Identity::Ambient, Identity::ServiceAccount(Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]))]
        {
            let config =
                AwsConfig { region: region.into(), identity, ..config(Service::SecretsManager, "http://unused") };
            let error = Aws::new(config, Arc::new(Unobserved)).expect_err("no region");
            let text = format!("region: {region:?} is not a region of AWS; write it like eu-west-1");
            assert_eq!((error.kind, error.message), (ErrorKind::InvalidConfig, text));
        }
    }
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
        let account = Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]);
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
