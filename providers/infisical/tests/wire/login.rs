//! The ten ways to log in, each against the fake's check of its proof.

use std::{
    io::Write,
    sync::{Arc, LazyLock},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Provider, Unobserved};
use keyferry_fakes::{
    infisical::{Identity, InfisicalServer, Method, Place, Project, Secret, Settings},
    keys::Issuer,
    token_review::Review,
};
use keyferry_infisical::{Ambient, Auth, AwsKeys, Infisical};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::fixtures::{PROJECT, config, put, server_with, store, value};

/// One key for all who sign: making one takes long.
static KEY: LazyLock<Issuer> = LazyLock::new(Issuer::default);
/// A key that nobody trusts.
static OTHER_KEY: LazyLock<Issuer> = LazyLock::new(Issuer::default);

fn soon() -> i64 {
    Timestamp::now().as_second() + 600
}

fn file(content: &str) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(content.as_bytes()).expect("space");
    let path = file.path().to_str().expect("a path").to_owned();
    (file, path)
}

/// A server that knows the identity `id` by `method`, and a store that logs in as it.
fn pair(method: Method, auth: Auth, ambient: Ambient) -> (InfisicalServer, Infisical) {
    let server = server_with(Settings::default(), vec![Identity::new("id", method, PROJECT)]);
    put(&server, "/", "A", "a");
    let mut config = config(server.url());
    (config.auth, config.ambient) = (auth, ambient);
    let store = store(config);
    (server, store)
}

async fn accepted((server, store): (InfisicalServer, Infisical)) {
    assert_eq!(value(&store, "A").await, "a");
    assert_eq!(server.counts().of("login"), 1);
}

async fn refused(status: u16, (_server, store): (InfisicalServer, Infisical)) -> Error {
    let error = store.check().await.expect_err("a refused login");
    // Infisical says 500 where a cloud has refused the proof.
    let kind = if status == 500 { ErrorKind::Unavailable } else { ErrorKind::Unauthenticated };
    assert_eq!((error.kind, error.status), (kind, Some(status)), "{error}");
    error
}

#[tokio::test]
async fn universal() {
    let method = || Method::Universal { client_id: "c".into(), client_secret: "s".into() };
    let auth = |secret: &str| Auth::Universal { client_id: "c".into(), client_secret: secret.into() };
    accepted(pair(method(), auth("s"), Ambient::default())).await;
    let error = refused(401, pair(method(), auth("hunter2"), Ambient::default())).await;
    assert_eq!(error.operation, "MachineIdentityLoginViaUniversalAuth");
    assert_eq!(
        error.message,
        "Infisical refuses the login with auth.universalAuthCredentials; check clientId and clientSecret, which may have \
         expired or be limited to other IP addresses"
    );
}

#[tokio::test]
async fn jwt_of_somebody_else() {
    let method = || Method::Jwt {
        key: KEY.public_pem().into(),
        issuer: Some("https://issuer".into()),
        subject: None,
        audience: Some("infisical".into()),
    };
    let claims = |end: i64| json!({"iss": "https://issuer", "aud": ["infisical"], "exp": end});
    let auth = |jwt: String| Auth::Jwt { identity_id: "id".into(), jwt: jwt.into() };
    accepted(pair(method(), auth(KEY.sign(&claims(soon()))), Ambient::default())).await;
    for (wrong, status) in
        [(OTHER_KEY.sign(&claims(soon())), 401), (KEY.sign(&claims(1)), 401), (KEY.sign(&json!({"exp": soon()})), 403)]
    {
        let error = refused(status, pair(method(), auth(wrong), Ambient::default())).await;
        assert_eq!(error.operation, "MachineIdentityLoginViaJwtAuth");
        assert!(error.message.contains("check that the JWT has not expired and has the signer, issuer,"), "{error}");
    }
}

#[tokio::test]
async fn ldap_with_name_and_password_in_their_places() {
    let method = || Method::Ldap { username: "me".into(), password: "pass".into() };
    let auth = |ldap_username: &str, ldap_password: &str| Auth::Ldap {
        identity_id: "id".into(),
        ldap_username: ldap_username.into(),
        ldap_password: ldap_password.into(),
    };
    accepted(pair(method(), auth("me", "pass"), Ambient::default())).await;
    let error = refused(401, pair(method(), auth("pass", "me"), Ambient::default())).await;
    assert_eq!(error.operation, "MachineIdentityLoginViaLdapAuth");
}

#[tokio::test]
async fn kubernetes_with_a_token_file() {
    let subject = "system:serviceaccount:keyferry:keyferry";
    let method = || Method::Kubernetes { review: Review::Keys(KEY.keys()), subjects: vec![subject.into()] };
    let token = |subject: &str| KEY.sign(&json!({"sub": subject, "exp": soon()}));
    let (_own, own_path) = file(&token(subject));
    let (_other, other_path) = file(&token("system:serviceaccount:other:other"));
    let auth = |path: Option<&String>| Auth::Kubernetes {
        identity_id: "id".into(),
        service_account_token_path: path.map(|path| path.as_str().into()),
    };
    let ambient = || Ambient { service_account_token: own_path.clone().into(), ..Ambient::default() };
    accepted(pair(method(), auth(None), ambient())).await;
    accepted(pair(method(), auth(Some(&own_path)), Ambient::default())).await;
    let error = refused(401, pair(method(), auth(Some(&other_path)), ambient())).await;
    assert_eq!(error.operation, "MachineIdentityLoginViaKubernetesAuth");
}

#[tokio::test]
async fn azure_with_a_managed_identity() {
    let method = || Method::Azure {
        tenant_id: "t".into(),
        resource: "https://management.azure.com/".into(),
        key: KEY.public_pem().into(),
    };
    let claims = json!({"iss": "https://sts.windows.net/t/", "aud": "https://management.azure.com", "exp": soon()});
    let auth = |resource: Option<&str>| Auth::Azure { identity_id: "id".into(), resource: resource.map(Into::into) };
    for (resource, query) in [
        (None, "resource=https%3A%2F%2Fmanagement.azure.com%2F"),
        (Some(" "), "resource=https%3A%2F%2Fmanagement.azure.com%2F"),
        (Some("api://infisical&client_id=c-1\n"), "resource=api%3A%2F%2Finfisical&client_id=c-1"),
    ] {
        let line = format!("GET /metadata/identity/oauth2/token?api-version=2018-02-01&{query}");
        let reply = Reply::json(200, &json!({"access_token": KEY.sign(&claims), "token_type": "Bearer"}));
        let metadata = ScriptedServer::expecting([(line.as_str(), reply)]).await;
        let ambient = Ambient { azure_metadata: metadata.url(), ..Ambient::default() };
        accepted(pair(method(), auth(resource), ambient)).await;
        assert_eq!(metadata.finish()[0].header("metadata"), "true");
    }
    let metadata = ScriptedServer::answering(|_| Reply::json(400, &json!({"error": "invalid_request"}))).await;
    let ambient = Ambient { azure_metadata: metadata.url(), ..Ambient::default() };
    let (_server, store) = pair(method(), auth(None), ambient);
    let error = store.check().await.expect_err("no managed identity");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "GetAzureManagedIdentityToken"));
    assert!(error.message.contains("assign a managed identity to the operator's nodes"), "{error}");
}

#[tokio::test]
async fn google_with_the_nodes_identity_token() {
    let account = "node@p.iam.gserviceaccount.com";
    let method = || Method::GcpIdToken { service_account: account.into(), key: KEY.public_pem().into() };
    let claims = json!({"iss": "https://accounts.google.com", "aud": "id", "email": account, "exp": soon()});
    let line = "GET /computeMetadata/v1/instance/service-accounts/default/identity?audience=id&format=full";
    let metadata = ScriptedServer::expecting([(line, Reply::text(200, KEY.sign(&claims)))]).await;
    let auth = || Auth::GcpIdToken { identity_id: "id".into() };
    accepted(pair(method(), auth(), Ambient { gcp_metadata: metadata.url(), ..Ambient::default() })).await;
    assert_eq!(metadata.finish()[0].header("metadata-flavor"), "Google");

    let metadata = ScriptedServer::answering(|_| Reply::text(404, "Not Found")).await;
    let (_server, store) = pair(method(), auth(), Ambient { gcp_metadata: metadata.url(), ..Ambient::default() });
    let error = store.check().await.expect_err("no service account");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "GetGcpIdentityToken"));
}

const ACCOUNT: &str = "reader@p.iam.gserviceaccount.com";

fn account_key() -> String {
    json!({"type": "service_account", "client_email": ACCOUNT, "private_key_id": "k1", "private_key": KEY.private_pem()})
        .to_string()
}

#[tokio::test]
async fn google_with_a_service_accounts_key() {
    let method = || Method::GcpIam { service_account: ACCOUNT.into(), key: OTHER_KEY.public_pem().into() };
    let auth = |path: &str| Auth::GcpIam { identity_id: "id".into(), service_account_key_file_path: path.into() };
    let (_key, path) = file(&account_key());
    // Google signs with a key of its own what the account may have signed.
    let iam = ScriptedServer::answering(|request| {
        let payload = request.json()["payload"].as_str().map(str::to_owned).unwrap_or_default();
        let claims: Value = serde_json::from_str(&payload).unwrap_or_default();
        Reply::json(200, &json!({"keyId": "g", "signedJwt": OTHER_KEY.sign(&claims)}))
    })
    .await;
    let ambient = || Ambient { gcp_iam_credentials: iam.url(), ..Ambient::default() };
    accepted(pair(method(), auth(&path), ambient())).await;
    let request = iam.requests().remove(0);
    assert_eq!(request.line(), format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}:signJwt"));
    let claims: Value = serde_json::from_str(request.json()["payload"].as_str().expect("text")).expect("JSON");
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!(ACCOUNT), &json!("id")));
    assert!(claims["exp"].as_i64().is_some_and(|end| end <= soon()), "{claims}");
    let login = request.header("authorization").strip_prefix("Bearer ").expect("a token").to_owned();
    let login: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(login.split('.').nth(1).expect("claims")).expect("base64"))
            .expect("JSON");
    assert_eq!((&login["iss"], &login["aud"]), (&json!(ACCOUNT), &json!("https://iamcredentials.googleapis.com/")));

    let denied = ScriptedServer::answering(|_| Reply::json(403, &json!({"error": {"code": 403}}))).await;
    let ambient = Ambient { gcp_iam_credentials: denied.url(), ..Ambient::default() };
    let (_server, store) = pair(method(), auth(&path), ambient);
    let error = store.check().await.expect_err("no permission");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "SignJwt"));
    assert!(error.message.contains("Service Account Token Creator"), "{error}");
}

#[tokio::test]
async fn a_google_key_file_that_is_none_is_told_without_its_content() {
    let method = || Method::GcpIam { service_account: ACCOUNT.into(), key: KEY.public_pem().into() };
    let file_of = |content: &str| file(content);
    let evil = account_key().replace(ACCOUNT, "a@b/../hunter2");
    let no_key = account_key().replace(&json!(KEY.private_pem()).to_string(), "\"hunter2\"");
    for (content, wrong) in [
        ("hunter2", "it is not a JSON key file"),
        ("{}", "\"type\" is missing"),
        (&evil, "\"client_email\" is no address of a service account"),
        (&no_key, "\"private_key\" is not a private key in PEM form"),
    ] {
        let (_file, path) = file_of(content);
        let auth = Auth::GcpIam { identity_id: "id".into(), service_account_key_file_path: path.as_str().into() };
        let (_server, store) = pair(method(), auth, Ambient::default());
        let error = store.check().await.expect_err("no key");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        let expected = format!(
            "the file that auth.gcpIamAuthCredentials.serviceAccountKeyFilePath names is not the JSON key of a Google \
             service account: {wrong}"
        );
        assert!(error.message.starts_with(&expected) && !error.message.contains("hunter2"), "{error}");
    }
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn aws_with_a_signed_question() {
    let method = || Method::Aws { access_key_id: "AKID".into(), secret_access_key: "secret".into() };
    let auth = || Auth::Aws { identity_id: "id".into() };
    let ambient = |secret: &str, token: Option<&str>| Ambient {
        aws: Some(AwsKeys {
            access_key_id: "AKID".into(),
            secret_access_key: secret.into(),
            session_token: token.map(Into::into),
            region: "eu-central-1".into(),
        }),
        ..Ambient::default()
    };
    accepted(pair(method(), auth(), ambient("secret", None))).await;
    accepted(pair(method(), auth(), ambient("secret", Some("session")))).await;
    let error = refused(500, pair(method(), auth(), ambient("other", None))).await;
    assert_eq!(error.operation, "MachineIdentityLoginViaAwsAuth");
    assert_eq!(
        error.message,
        "Infisical fails at the login with auth.awsAuthCredentials, as it also does when a cloud does not accept the \
         proof; if it stays so, check identityId, and that the identity's AWS Auth allows the account and the role of \
         the operator's pod"
    );
}

/// The environment of this process must not change while other tests run, so that a process of its own looks into it.
#[cfg(feature = "aws")]
#[test]
fn aws_credentials_are_found_where_every_aws_client_looks() {
    let run = |test: &str, region: Option<&str>| {
        let mut child = std::process::Command::new(std::env::current_exe().expect("a test"));
        child.args(["--exact", test, "--ignored"]).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
        child.envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("HOME", "/nowhere")]);
        child.envs(region.map(|region| ("AWS_REGION", region)));
        let output = child.output().expect("a child");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    };
    run("login::aws_with_credentials_of_the_environment", Some("eu-central-1"));
    run("login::aws_without_a_region", None);
}

#[cfg(feature = "aws")]
#[tokio::test]
#[ignore = "needs the environment that another test gives it"]
async fn aws_with_credentials_of_the_environment() {
    let method = Method::Aws { access_key_id: "AKID".into(), secret_access_key: "secret".into() };
    accepted(pair(method, Auth::Aws { identity_id: "id".into() }, Ambient::default())).await;
}

#[cfg(feature = "aws")]
#[tokio::test]
#[ignore = "needs the environment that another test gives it"]
async fn aws_without_a_region() {
    let method = Method::Aws { access_key_id: "AKID".into(), secret_access_key: "secret".into() };
    let (_server, store) = pair(method, Auth::Aws { identity_id: "id".into() }, Ambient::default());
    let error = store.check().await.expect_err("no region");
    assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "FindAwsCredentials"));
    assert!(error.message.starts_with("no AWS region found in the operator's pod for auth.awsAuthCredentials; give"));
}

#[cfg(not(feature = "aws"))]
#[test]
fn aws_needs_a_build_that_can_do_it() {
    let mut config = config("http://127.0.0.1:1");
    config.auth = Auth::Aws { identity_id: "id".into() };
    let error = crate::fixtures::wrong(config);
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert_eq!(error.message, "auth.awsAuthCredentials needs a build of Keyferry with the feature aws");
    let _ = AwsKeys {
        access_key_id: String::new(),
        secret_access_key: "".into(),
        session_token: None,
        region: String::new(),
    };
}

#[tokio::test]
async fn oracle_with_a_signed_request() {
    let method = || Method::Oci {
        tenancy: "ocid1.tenancy.oc1..t".into(),
        user: "ocid1.user.oc1..u".into(),
        fingerprint: "20:3b".into(),
        key: KEY.public_pem().into(),
    };
    let auth = |key: &Issuer, user: &str, region: &str| Auth::Oci {
        identity_id: "id".into(),
        private_key: key.private_pem().into(),
        private_key_passphrase: None,
        fingerprint: "20:3b\n".into(),
        user_id: user.into(),
        tenancy_id: "ocid1.tenancy.oc1..t".into(),
        region: region.into(),
    };
    let (user, region) = ("ocid1.user.oc1..u", "eu-frankfurt-1");
    accepted(pair(method(), auth(&KEY, user, region), Ambient::default())).await;
    for wrong in [auth(&OTHER_KEY, user, region), auth(&KEY, "ocid1.user.oc1..v", region)] {
        let error = refused(500, pair(method(), wrong, Ambient::default())).await;
        assert_eq!(error.operation, "MachineIdentityLoginViaOciAuth");
    }
}

#[tokio::test]
async fn the_sub_organization_is_part_of_the_login() {
    let server = server_with(Settings::default(), vec![Identity::universal("client-id", "client-secret", "sub")]);
    server.make_project(Project {
        slug: "sub".into(),
        environments: vec!["dev".into()],
        organization: Some("team-a".into()),
    });
    let place = Place::new("sub", "dev", "/");
    assert!(server.put(Secret::new(&place, "A", "a")).is_some());
    let with = |organization: Option<&str>| {
        let mut config = config(server.url());
        config.scope.project_slug = "sub".into();
        config.scope.organization_slug = organization.map(str::to_owned);
        store(config)
    };
    assert_eq!(value(&with(Some(" team-a ")), "A").await, "a");
    let error = with(None).check().await.expect_err("another organization");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    let error = with(Some("team-b")).check().await.expect_err("no such organization");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(
        error.message,
        "there is no sub-organization with the slug in secretsScope.organizationSlug; correct it, or leave it out"
    );
}

#[tokio::test]
async fn an_identity_that_a_sub_organization_does_not_know_is_told_apart_from_a_wrong_proof() {
    let server = ScriptedServer::answering(|_| {
        let message = "Identity not authorized to access sub organization team-a";
        Reply::json(401, &json!({"statusCode": 401, "error": "UnauthorizedError", "message": message}))
    })
    .await;
    let mut config = config(&server.url());
    config.scope.organization_slug = Some("team-a".into());
    let error = store(config).check().await.expect_err("another organization");
    assert_eq!((error.kind, error.status), (ErrorKind::InvalidConfig, Some(401)));
    assert_eq!(
        error.message,
        "the machine identity is no member of the sub-organization in secretsScope.organizationSlug; add it there, or \
         correct the slug"
    );
}

#[tokio::test]
async fn an_identity_without_such_a_login_is_a_wrong_setting_and_never_a_missing_secret() {
    let server = server_with(Settings::default(), vec![]);
    let mut config = config(server.url());
    config.auth = Auth::Jwt { identity_id: "id".into(), jwt: KEY.sign(&json!({})).into() };
    let error = store(config).check().await.expect_err("no identity");
    assert_eq!((error.kind, error.status), (ErrorKind::InvalidConfig, Some(404)));
    assert_eq!(
        error.message,
        "Infisical knows no machine identity with such a login; check auth.jwtAuthCredentials.identityId, hostAPI, and \
         the identity's authentication methods in Infisical"
    );
}

/// The credentials of `method`, where the value of `blank` is nothing but white space.
fn credentials(method: &str, blank: &str) -> Auth {
    let value = |field: &str, good: &str| if field == blank { " \n".into() } else { good.into() };
    let optional = |field: &str, good: &str| Some(value(field, good));
    let identity_id = value("identityId", "id");
    match method {
        "awsAuthCredentials" => Auth::Aws { identity_id },
        "azureAuthCredentials" => Auth::Azure { identity_id, resource: optional("resource", "r") },
        "gcpIamAuthCredentials" => {
            let service_account_key_file_path = value("serviceAccountKeyFilePath", "/k");
            Auth::GcpIam { identity_id, service_account_key_file_path }
        }
        "gcpIdTokenAuthCredentials" => Auth::GcpIdToken { identity_id },
        "jwtAuthCredentials" => Auth::Jwt { identity_id, jwt: value("jwt", "j") },
        "kubernetesAuthCredentials" => {
            Auth::Kubernetes { identity_id, service_account_token_path: optional("serviceAccountTokenPath", "/t") }
        }
        "ldapAuthCredentials" => Auth::Ldap {
            identity_id,
            ldap_username: value("ldapUsername", "u"),
            ldap_password: value("ldapPassword", "p"),
        },
        "ociAuthCredentials" => Auth::Oci {
            identity_id,
            private_key: value("privateKey", KEY.private_pem()),
            private_key_passphrase: optional("privateKeyPassphrase", "p"),
            fingerprint: value("fingerprint", "20:3b"),
            user_id: value("userId", "ocid1.user"),
            tenancy_id: value("tenancyId", "ocid1.tenancy"),
            region: value("region", "eu-frankfurt-1"),
        },
        "tokenAuthCredentials" => Auth::Token { access_token: value("accessToken", "t") },
        _ => Auth::Universal { client_id: value("clientId", "c"), client_secret: value("clientSecret", "s") },
    }
}

#[tokio::test]
async fn each_value_that_a_login_needs_is_missed_by_its_name() {
    let made = |method: &str, blank: &str| {
        let mut config = config("http://127.0.0.1:1");
        config.auth = credentials(method, blank);
        let keys = AwsKeys {
            access_key_id: "AKID".into(),
            secret_access_key: "secret".into(),
            session_token: None,
            region: "eu-central-1".into(),
        };
        config.ambient.aws = Some(keys);
        Infisical::new(config, Arc::new(Unobserved))
    };
    let oci = ["identityId", "fingerprint", "userId", "tenancyId", "region"];
    for (method, needed) in [
        #[cfg(feature = "aws")]
        ("awsAuthCredentials", &["identityId"][..]),
        ("azureAuthCredentials", &["identityId"][..]),
        ("gcpIamAuthCredentials", &["identityId", "serviceAccountKeyFilePath"]),
        ("gcpIdTokenAuthCredentials", &["identityId"]),
        ("jwtAuthCredentials", &["identityId", "jwt"]),
        ("kubernetesAuthCredentials", &["identityId"]),
        ("ldapAuthCredentials", &["identityId", "ldapUsername", "ldapPassword"]),
        ("ociAuthCredentials", &oci),
        ("tokenAuthCredentials", &["accessToken"]),
        ("universalAuthCredentials", &["clientId", "clientSecret"]),
    ] {
        assert!(made(method, "").is_ok(), "{method}");
        for field in needed {
            let error = made(method, field).expect_err("a missing value");
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert_eq!(error.message, format!("the value that auth.{method}.{field} refers to is empty"));
        }
    }
    for (method, not_needed) in [
        ("azureAuthCredentials", "resource"),
        ("kubernetesAuthCredentials", "serviceAccountTokenPath"),
        ("ociAuthCredentials", "privateKeyPassphrase"),
    ] {
        assert!(made(method, not_needed).is_ok(), "{method}.{not_needed}");
    }
}

#[tokio::test]
async fn files_that_never_end_are_not_read() {
    let key = Auth::GcpIam { identity_id: "id".into(), service_account_key_file_path: "/dev/zero".into() };
    let token = Auth::Kubernetes { identity_id: "id".into(), service_account_token_path: Some("/dev/zero".into()) };
    for (auth, field) in [
        (key, "gcpIamAuthCredentials.serviceAccountKeyFilePath"),
        (token, "kubernetesAuthCredentials.serviceAccountTokenPath"),
    ] {
        let mut config = config("http://127.0.0.1:1");
        config.auth = auth;
        let error = store(config).check().await.expect_err("no file");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert_eq!(
            error.message,
            format!(
                "the file that auth.{field} names is no regular file of the operator's pod; name a file that is mounted \
                 there"
            )
        );
    }
}
