//! Who logs in, through which roles, and how often.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use keyferry_aws::{AccessKeys, Aws, AwsConfig, Identity, Role, Service, SessionTags, StoreIdentity};
use keyferry_core::{Error, ErrorKind, Provider, SecretBytes, ServiceAccountToken, TokenSource, Unobserved};
use keyferry_testkit::{Reply, Request};
use serde_json::json;

use crate::{
    fixtures::{KEY, SECRET, World, caller, config, form, latest, ok, refuse, refuse_login, session, short},
    signature::assert_signed,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";
const FIRST: &str = "arn:aws:iam::123456789012:role/first";
const SECOND: &str = "arn:aws:iam::210987654321:role/second";

/// A ServiceAccount with these annotations.
#[derive(Debug)]
pub(crate) struct Account {
    annotations: BTreeMap<&'static str, &'static str>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Account {
    pub(crate) fn new(annotations: &[(&'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self { annotations: annotations.iter().copied().collect(), asked: Mutex::default() })
    }
}

#[async_trait]
impl TokenSource for Account {
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken, Error> {
        self.asked.lock().expect("nobody panics with it").push(audiences.to_vec());
        Ok(ServiceAccountToken { token: SecretBytes::from("hunter2.jwt"), valid_for: ttl })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).copied()
    }
}

fn secret() -> Reply {
    ok(&json!({"ARN": "arn:a", "Name": "a", "SecretString": "v", "VersionId": "1"}))
}

fn role(arn: &str) -> Role {
    let session_tags = SessionTags::Listed(Vec::new());
    Role { arn: arn.into(), external_id: None, session_tags, transitive_tag_keys: Vec::new() }
}

/// Gives out one session after the other, and otherwise the secret.
fn sessions() -> impl Fn(&str, &Request) -> Reply + Send + Sync {
    let begun = AtomicUsize::new(0);
    move |operation, _| match operation {
        "AssumeRole" | "AssumeRoleWithWebIdentity" => {
            session(operation, &format!("ASIA{}", begun.fetch_add(1, Ordering::SeqCst)))
        }
        "GetCallerIdentity" => caller(),
        _ => secret(),
    }
}

async fn with_account(
    account: &Arc<Account>,
    answer: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static,
) -> World {
    let tokens = Arc::clone(account);
    World::with(Service::SecretsManager, |config| config.identity = Identity::ServiceAccount(tokens), answer).await
}

#[tokio::test]
async fn a_session_token_goes_with_the_keys_and_white_space_does_not() {
    let keys = AccessKeys {
        id: format!("{KEY}\n").into(),
        secret: format!(" {SECRET}\n").into(),
        session_token: Some("token\n".into()),
    };
    let world = World::with(Service::SecretsManager, |config| config.identity = Identity::Keys(keys), sessions()).await;
    world.fetch_one(latest("a")).await.expect("a value");
    let sent = &world.sent("GetSecretValue")[0];
    assert_eq!(sent.header("x-amz-security-token"), "token");
    assert_signed(sent, KEY, SECRET, "eu-west-1", "secretsmanager");
}

#[tokio::test]
async fn a_service_account_logs_in_with_its_token_and_without_a_signature() {
    let account = Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]);
    let world = with_account(&account, sessions()).await;
    world.fetch_one(latest("a")).await.expect("a value");
    let login = &world.sent("AssumeRoleWithWebIdentity")[0];
    let sent = form(login);
    let field = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(
        (field("RoleArn"), field("RoleSessionName"), field("WebIdentityToken")),
        (ROLE, "external-secrets-provider-aws", "hunter2.jwt")
    );
    assert_eq!(login.header("authorization"), "");
    assert_signed(&world.sent("GetSecretValue")[0], "ASIA0", "hunter2", "eu-west-1", "secretsmanager");
    assert_eq!(world.sent("GetSecretValue")[0].header("x-amz-security-token"), "hunter2-token");
    assert_eq!(*account.asked.lock().expect("nobody panics with it"), [["sts.amazonaws.com"]]);
    let expected = [("AssumeRoleWithWebIdentity", Ok(())), ("GetSecretValue", Ok(()))];
    assert_eq!(world.heard.outcomes(), expected);
}

#[tokio::test]
async fn the_audience_is_the_account_s_where_it_names_one() {
    let account =
        Account::new(&[("eks.amazonaws.com/role-arn", ROLE), ("eks.amazonaws.com/audience", "sts.amazonaws.com.cn")]);
    let world = with_account(&account, sessions()).await;
    world.fetch_one(latest("a")).await.expect("a value");
    assert_eq!(*account.asked.lock().expect("nobody panics with it"), [["sts.amazonaws.com.cn"]]);
}

#[test]
fn an_account_without_a_role_is_a_mistake_in_the_settings() {
    let identity = Identity::ServiceAccount(Account::new(&[("eks.amazonaws.com/role-arn", " ")]));
    let config = AwsConfig { identity, ..config(Service::SecretsManager, "http://unused") };
    let error = Aws::new(config, Arc::new(Unobserved)).expect_err("no role");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("no annotation eks.amazonaws.com/role-arn"), "{error}");
}

#[test]
fn an_account_whose_role_is_none_is_a_mistake_in_the_settings() {
    let identity = Identity::ServiceAccount(Account::new(&[("eks.amazonaws.com/role-arn", "reader")]));
    let config = AwsConfig { identity, ..config(Service::SecretsManager, "http://unused") };
    let error = Aws::new(config, Arc::new(Unobserved)).expect_err("no role");
    let text = "auth.jwt.serviceAccountRef: the ServiceAccount's annotation eks.amazonaws.com/role-arn is \"reader\", which \
                is not the ARN of a role; write it like arn:aws:iam::123456789012:role/name";
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, text));
}

#[tokio::test]
async fn roles_are_assumed_in_their_order_each_with_the_session_before() {
    let store = StoreIdentity { namespace: "team".into(), name: "aws".into(), kind: "SecretStore".into() };
    let last = Role {
        arn: ROLE.into(),
        external_id: Some("ext".into()),
        session_tags: SessionTags::Simple(store),
        transitive_tag_keys: vec!["esoNamespace".into()],
    };
    let change = |config: &mut AwsConfig| {
        config.additional_roles = vec![FIRST.into(), SECOND.into()];
        config.role = Some(last);
    };
    let world = World::with(Service::SecretsManager, change, sessions()).await;
    world.fetch_one(latest("a")).await.expect("a value");
    let logins = world.sent("AssumeRole");
    let roles: Vec<_> = logins.iter().map(|login| form(login).remove("RoleArn").unwrap_or_default()).collect();
    assert_eq!(roles, [FIRST, SECOND, ROLE]);
    assert_signed(&logins[0], KEY, SECRET, "eu-west-1", "sts");
    assert_signed(&logins[1], "ASIA0", "hunter2", "eu-west-1", "sts");
    assert_signed(&logins[2], "ASIA1", "hunter2", "eu-west-1", "sts");
    assert_signed(&world.sent("GetSecretValue")[0], "ASIA2", "hunter2", "eu-west-1", "secretsmanager");
    let (first, last) = (form(&logins[0]), form(&logins[2]));
    assert!(!first.contains_key("ExternalId") && !first.keys().any(|name| name.starts_with("Tags")), "{first:?}");
    for (name, value) in [
        ("RoleSessionName", "keyferry"),
        ("ExternalId", "ext"),
        ("Tags.member.1.Key", "esoNamespace"),
        ("Tags.member.1.Value", "team"),
        ("Tags.member.3.Key", "esoStoreKind"),
        ("TransitiveTagKeys.member.1", "esoNamespace"),
    ] {
        assert_eq!(last.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_login_is_made_once_however_many_ask() {
    let world = with_account(&Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]), sessions()).await;
    join_all((0..50).map(|index| world.fetch_one(latest(&format!("{index}"))))).await;
    world.fetch_one(latest("a")).await.expect("a value");
    assert_eq!((world.sent("AssumeRoleWithWebIdentity").len(), world.sent("GetSecretValue").len()), (1, 51));
}

#[tokio::test]
async fn a_session_that_ended_early_is_begun_anew_once() {
    for code in ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"] {
        let sessions = sessions();
        let world = with_account(&Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]), move |operation, request| {
            let old = request.header("authorization").contains("Credential=ASIA0/");
            match operation {
                "GetSecretValue" if old && request.json()["SecretId"] == "late" => refuse(code, ""),
                _ => sessions(operation, request),
            }
        })
        .await;
        world.fetch_one(latest("early")).await.expect("a value");
        world.fetch_one(latest("late")).await.expect("a value");
        assert_eq!(world.sent("AssumeRoleWithWebIdentity").len(), 2, "{code}");
        assert_signed(&world.sent("GetSecretValue")[2], "ASIA1", "hunter2", "eu-west-1", "secretsmanager");
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_not_sent_twice() {
    let world = World::new(Service::SecretsManager, |_, _| refuse("UnrecognizedClientException", "hunter2")).await;
    for calls in 1..=2 {
        let error = world.fetch_one(latest("a")).await.expect_err("unknown keys");
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        let text = "AWS does not know the login (UnrecognizedClientException); check the access key, its session token and \
                    the region";
        assert_eq!(error.message, text);
        assert_eq!(world.server.requests().len(), calls);
    }
}

#[tokio::test]
async fn a_role_that_refuses_is_named_and_nothing_else_is_shown() {
    let world = with_account(&Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]), |_, _| {
        refuse_login("AccessDenied", "not authorized, token hunter2.jwt")
    })
    .await;
    let error = world.fetch_one(latest("a")).await.expect_err("a refused login");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    let text = format!(
        "AWS refuses role {ROLE} (AccessDenied); it must exist, and its trust policy must allow \
         sts:AssumeRoleWithWebIdentity to who asks (AWS/SecretsManager AssumeRoleWithWebIdentity: HTTP 403, request 5f1e-88)"
    );
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_session_without_credentials_is_no_login() {
    let empty = "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>";
    let change = |config: &mut AwsConfig| config.role = Some(role(ROLE));
    let world = World::with(Service::SecretsManager, change, move |_, _| Reply::text(200, empty)).await;
    assert_eq!(short(&[world.fetch_one(latest("a")).await]), [Err(ErrorKind::Malformed)]);
}

#[tokio::test]
async fn a_check_asks_sts_who_it_is_and_reads_nothing() {
    let world = World::new(Service::SecretsManager, sessions()).await;
    world.aws.check().await.expect("a login");
    assert_eq!(world.counts(), BTreeMap::from([("GetCallerIdentity".to_owned(), 1)]));
}

#[tokio::test]
async fn a_check_tells_a_wrong_login() {
    let world = World::new(Service::SecretsManager, |_, _| refuse_login("InvalidClientTokenId", "")).await;
    let error = world.aws.check().await.expect_err("a wrong login");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "GetCallerIdentity"));
    assert!(error.message.contains("check the access key"), "{error}");
}

#[tokio::test]
async fn where_sts_cannot_be_reached_the_service_itself_is_asked() {
    for (service, list) in [(Service::SecretsManager, "ListSecrets"), (Service::ParameterStore, "DescribeParameters")] {
        for (code, expected) in [
            ("AccessDeniedException", Ok(())),
            ("UnrecognizedClientException", Err(ErrorKind::Unauthenticated)),
            ("InternalServiceError", Err(ErrorKind::Unavailable)),
        ] {
            let world = World::new(service, move |operation, _| match operation {
                "GetCallerIdentity" if service == Service::ParameterStore => refuse_login("AccessDenied", ""),
                "GetCallerIdentity" => Reply::close(),
                _ => refuse(code, ""),
            })
            .await;
            assert_eq!(world.aws.check().await.map_err(|error| error.kind), expected, "{list} {code}");
            assert_eq!(world.sent(list)[0].json(), json!({"MaxResults": 1}));
        }
    }
}

#[tokio::test]
async fn where_there_is_no_sts_the_service_itself_is_asked() {
    for reply in [Reply::text(404, "no such page"), Reply::text(400, ""), refuse_login("InvalidAction", "")] {
        let world = World::new(Service::SecretsManager, move |operation, _| match operation {
            "GetCallerIdentity" => reply.clone(),
            _ => ok(&json!({"SecretList": []})),
        })
        .await;
        assert_eq!(world.aws.check().await, Ok(()));
    }
}

#[tokio::test]
async fn a_proxy_that_denies_everything_vouches_for_no_login() {
    for service in [Service::SecretsManager, Service::ParameterStore] {
        let world = World::new(service, |_, _| Reply::text(403, "<html>blocked</html>")).await;
        let error = world.aws.check().await.expect_err("nobody at AWS has answered");
        assert_eq!(error.status, Some(403), "{error}");
    }
}

#[tokio::test]
async fn nothing_shows_credentials() {
    let world = with_account(&Account::new(&[("eks.amazonaws.com/role-arn", ROLE)]), sessions()).await;
    world.fetch_one(latest("a")).await.expect("a value");
    let shown = format!("{:?}", world.aws);
    assert!(!shown.contains("hunter2") && !shown.contains("ASIA"), "{shown}");
}

#[test]
fn certificates_cannot_be_read_by_name() {
    let config = config(Service::CertificateManager, "http://unused");
    let error = Aws::new(config, Arc::new(Unobserved)).expect_err("unsupported");
    assert_eq!((error.kind, error.provider), (ErrorKind::Unsupported, "AWS/CertificateManager"));
}
