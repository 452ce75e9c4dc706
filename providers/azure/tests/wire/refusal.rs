//! What the vault's refusals become.

use std::time::Duration;

use keyferry_core::{ErrorKind, Retry};
use keyferry_fakes::{
    azure::{Application, Contents, Kind, Object, Settings},
    faults::Fault,
};
use keyferry_testkit::Reply;
use serde_json::json;

use crate::{
    fixtures::{CLIENT, TENANT, cloud, cloud_with, config, refused, store, value},
    read::scripted,
};

#[tokio::test]
async fn access_is_denied_by_role_and_by_firewall() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "s3cr3t"));
    cloud.deny(Kind::Secret, "a");
    let store = store(config(cloud.url()));
    let error = refused(&store, "a").await;
    assert_eq!((error.kind, error.status), (ErrorKind::AccessDenied, Some(403)));
    let expected = "the login may not read the secret a; assign it the role Key Vault Secrets User on the vault";
    assert_eq!(error.message, expected);
    cloud.close_firewall(true);
    let error = refused(&store, "a").await;
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.starts_with("the vault's firewall does not let the operator in"), "{error}");
    assert_eq!(cloud.counts().of("RequestToken"), 1, "no new login helps");
}

#[tokio::test]
async fn a_login_that_has_ended_is_replaced_once() {
    let cloud = cloud();
    cloud.put(Object::secret("a", "x"));
    let store = store(config(cloud.url()));
    value(&store, "a").await;
    cloud.expire_tokens();
    assert_eq!(value(&store, "a").await, "x");
    assert_eq!((cloud.counts().of("RequestToken"), cloud.counts().of("GetSecret")), (2, 3));
}

#[tokio::test]
async fn a_vault_that_accepts_no_login_is_asked_no_more_than_it_must() {
    let cloud = cloud();
    let store = store(config(cloud.url()));
    cloud.faults().set("GetSecret", Fault::Status { status: 401, retry_after: None });
    let error = refused(&store, "a").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Unauthenticated, Retry::Never));
    assert_eq!((cloud.counts().of("RequestToken"), cloud.counts().of("GetSecret")), (1, 1));
}

#[tokio::test]
async fn a_vault_of_another_tenant_says_so() {
    let application = Application { secrets: vec!["client-secret".into()], ..Application::new(TENANT, CLIENT) };
    let contents = Contents { applications: vec![application], ..Contents::default() };
    let tenant = "00000000-0000-4000-8000-00000000ffff".to_owned();
    let cloud = cloud_with(Settings { tenant, ..Settings::default() }, contents);
    let error = refused(&store(config(cloud.url())), "a").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(error.message, "the vault belongs to another tenant than the login; check tenantId");
    assert_eq!(cloud.counts().of("RequestToken"), 1);
}

#[tokio::test]
async fn a_vault_of_another_cloud_says_so() {
    let challenge = r#"Bearer authorization="https://login.chinacloudapi.cn/t", resource="https://vault.azure.cn""#;
    let server = scripted(move || Reply::json(401, &json!({})).header("WWW-Authenticate", challenge)).await;
    let error = refused(&store(config(&server.url())), "a").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    let expected = "the vault does not accept logins of this cloud; check environmentType and customCloudConfig";
    assert_eq!(error.message, expected);
}

#[tokio::test]
async fn the_vaults_wish_when_to_try_again_is_passed_on() {
    let cloud = cloud();
    cloud.faults().set("GetSecret", Fault::Status { status: 429, retry_after: Some(7) });
    let store = store(config(cloud.url()));
    let error = refused(&store, "a").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Throttled, Retry::After(Duration::from_secs(7))));
    assert_eq!(cloud.counts().of("GetSecret"), 1, "whether to try again is not decided here");
}

#[tokio::test]
async fn trouble_of_the_vault_is_not_a_missing_secret() {
    for (reply, kind) in [
        (Reply::json(400, &json!({"error": {"code": "BadParameter", "message": "hunter2"}})), ErrorKind::InvalidConfig),
        (
            Reply::json(404, &json!({"error": {"code": "ResourceNotFound", "message": "hunter2"}})),
            ErrorKind::InvalidConfig,
        ),
        (Reply::text(404, "<html>hunter2</html>"), ErrorKind::InvalidConfig),
        (
            Reply::json(302, &json!({})).header("Location", "https://elsewhere.example/hunter2"),
            ErrorKind::InvalidConfig,
        ),
        (
            Reply::json(500, &json!({"error": {"code": "InternalServerError", "message": "hunter2"}})),
            ErrorKind::Unavailable,
        ),
        (Reply::text(200, "<html>hunter2</html>"), ErrorKind::Malformed),
        (Reply::close(), ErrorKind::Unavailable),
    ] {
        let server = scripted(move || reply.clone()).await;
        let error = refused(&store(config(&server.url())), "a").await;
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
