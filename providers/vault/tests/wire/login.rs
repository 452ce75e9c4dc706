//! What each way to log in sends.

use std::{io::Write, sync::Arc, time::Duration};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Provider, SecretBytes, ServiceAccountToken, TokenSource};
use keyferry_testkit::{Reply, Request};
use keyferry_vault::{JwtSource, LoginMethod, VaultConfig};
use serde_json::{Value, json};

use crate::rig::{LOGIN, Rig, app_role, granted, login, refused};

/// The one request that `config` leads to when its login is checked.
async fn login_request(config: VaultConfig) -> Request {
    let rig = Rig::answering(config, |_| granted("t-1", 3600)).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    assert_eq!(rig.heard.calls(), [("Login", Ok(()))]);
    let [request] = rig.server.requests().try_into().expect("one request");
    request
}

async fn sends(config: VaultConfig, line: &str, body: Value) {
    let request = login_request(config).await;
    assert_eq!((request.line().as_str(), request.json()), (line, body));
    assert_eq!(request.header("x-vault-token"), "");
}

#[tokio::test]
async fn app_role_sends_both_ids() {
    sends(app_role(), LOGIN, json!({"role_id": "r-1", "secret_id": "hunter2"})).await;
}

#[tokio::test]
async fn a_user_sends_the_exact_password() {
    let method = || LoginMethod::Password { username: " jane doe\n".into(), password: " p\n".into() };
    for (path, mount) in [("userpass", "userpass"), ("/ldap//corp/", "ldap/corp")] {
        let line = format!("POST /v1/auth/{mount}/login/jane%20doe");
        sends(login(path, method()), &line, json!({"password": " p\n"})).await;
    }
}

#[tokio::test]
async fn a_certificate_names_its_role_if_there_is_one() {
    let made = rcgen::generate_simple_self_signed(["keyferry".to_owned()]).expect("a certificate");
    let method = |role: Option<&str>| LoginMethod::Cert {
        role: role.map(str::to_owned),
        identity: keyferry_vault::Identity {
            certificates: made.cert.pem().into_bytes(),
            key: made.signing_key.serialize_pem().into(),
            field: "auth.cert",
        },
    };
    sends(login("cert", method(Some("web"))), "POST /v1/auth/cert/login", json!({"name": "web"})).await;
    sends(login("cert", method(None)), "POST /v1/auth/cert/login", json!({})).await;
}

#[derive(Debug)]
struct Minting;

#[async_trait]
impl TokenSource for Minting {
    async fn token(&self, audiences: &[String], ttl: Duration) -> Result<ServiceAccountToken, Error> {
        let token = SecretBytes::from(format!("jwt for {audiences:?} {}", ttl.as_secs()));
        Ok(ServiceAccountToken { token, valid_for: ttl })
    }

    fn annotation(&self, _key: &str) -> Option<&str> {
        None
    }
}

#[tokio::test]
async fn a_jwt_comes_from_a_value_a_file_or_a_mint() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "from-file").expect("written");
    let minted =
        JwtSource::Minted { tokens: Arc::new(Minting), audiences: vec!["vault".into()], ttl: Duration::from_mins(10) };
    for (jwt, sent) in [
        (JwtSource::Fixed("from-value\n".into()), "from-value"),
        (JwtSource::File(file.path().to_owned()), "from-file"),
        (minted, r#"jwt for ["vault"] 600"#),
    ] {
        let config = login("kubernetes", LoginMethod::Jwt { role: Some("web".into()), jwt });
        sends(config, "POST /v1/auth/kubernetes/login", json!({"jwt": sent, "role": "web"})).await;
    }
    let without_role = LoginMethod::Jwt { role: None, jwt: JwtSource::Fixed("j".into()) };
    sends(login("jwt", without_role), "POST /v1/auth/jwt/login", json!({"jwt": "j"})).await;
}

#[tokio::test]
async fn a_missing_token_file_is_named() {
    let jwt = JwtSource::File("/nowhere/token".into());
    let rig = Rig::expecting(login("jwt", LoginMethod::Jwt { role: None, jwt }), []).await;
    let error = rig.vault.check().await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("/nowhere/token"), "{error}");
    rig.finish();
}

#[tokio::test]
async fn the_login_has_a_namespace_of_its_own() {
    let namespace = Some("team".to_owned());
    let request = login_request(VaultConfig { namespace: namespace.clone(), ..app_role() }).await;
    assert_eq!(request.header("x-vault-namespace"), "team");
    let config = VaultConfig { namespace, auth_namespace: Some("root-ns".into()), ..app_role() };
    assert_eq!(login_request(config).await.header("x-vault-namespace"), "root-ns");
}

#[tokio::test]
async fn a_refused_login_says_what_to_check() {
    let mfa = json!({"auth": {"client_token": "", "mfa_requirement": {"mfa_request_id": "m"}}});
    for (reply, kind, text) in [
        (refused(400, &["invalid role or secret ID hunter2"]), ErrorKind::Unauthenticated, "role id and secret id"),
        (refused(403, &["permission denied"]), ErrorKind::Unauthenticated, "an auth method is enabled there"),
        (refused(404, &["no handler for route \"auth/approle/login\""]), ErrorKind::InvalidConfig, "no auth method"),
        (refused(404, &["namespace not found"]), ErrorKind::InvalidConfig, "no such namespace"),
        (refused(404, &[]), ErrorKind::InvalidConfig, "does not know auth/approle/login"),
        (refused(429, &[]), ErrorKind::Throttled, "slow down"),
        (refused(503, &["Vault is sealed"]), ErrorKind::Unavailable, "sealed"),
        (Reply::json(200, &mfa), ErrorKind::InvalidConfig, "second factor"),
        (Reply::json(200, &json!({"auth": null})), ErrorKind::Malformed, "lacks"),
        (Reply::text(200, ""), ErrorKind::Malformed, "empty"),
    ] {
        let rig = Rig::expecting(app_role(), [(LOGIN, reply)]).await;
        let error = rig.vault.check().await.expect_err("a failure");
        assert_eq!((error.kind, error.operation), (kind, "Login"), "{error}");
        assert!(error.message.contains(text), "{error}");
        assert!(!format!("{error:?} {:?}", rig.vault).contains("hunter2"), "{error}");
        assert_eq!(rig.heard.calls(), [("Login", Err(kind))]);
        rig.finish();
    }
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_no_wrong_password() {
    let method = LoginMethod::Password { username: "jane".into(), password: "p".into() };
    let answer = refused(400, &["error connecting to host \"ldap://hunter2\": connection refused"]);
    let rig = Rig::expecting(login("ldap", method), [("POST /v1/auth/ldap/login/jane", answer)]).await;
    let error = rig.vault.check().await.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("no answer from the directory that auth/ldap asks"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn debug_shows_no_credential() {
    let config = VaultConfig { headers: [("X-Key".to_owned(), "hunter2".into())].into(), ..app_role() };
    assert!(!format!("{config:?}").contains("hunter2"));
    let rig = Rig::answering(config, |_| granted("hunter2", 3600)).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    assert!(!format!("{:?}", rig.vault).contains("hunter2"));
}
