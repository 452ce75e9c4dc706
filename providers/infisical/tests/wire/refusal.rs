//! Wrong settings and bad days, in the words that a user reads.

use keyferry_core::{Error, ErrorKind, Provider, Query, Retry};
use keyferry_fakes::{
    faults::Fault,
    infisical::{Absence, Contents, Identity, InfisicalServer, Project, Rule, Settings},
    server::{Certificate, Listen},
};
use keyferry_infisical::{Auth, Infisical, InfisicalConfig};
use keyferry_rest::Tls;
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::fixtures::{
    PROJECT, at, calls, config, dev, fetch, list, put, refused, scoped, server, server_with, store, universal,
    universal_identity, value, wrong,
};

/// A change to good settings, and the message that it leads to.
type Mistake = (fn(&mut InfisicalConfig), &'static str);

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    let mistakes: [Mistake; 12] = [
        (|config| config.host_api = Some("ftp://infisical".into()), "hostAPI must begin with https:// or http://"),
        (
            |config| config.host_api = Some("https://infisical?x=1".into()),
            "hostAPI must not have a query (`?`) or fragment (`#`)",
        ),
        (
            |config| config.scope.project_slug = " ".into(),
            "secretsScope.projectSlug is empty; give the project's slug, not its name or id",
        ),
        (
            |config| config.scope.environment_slug = String::new(),
            "secretsScope.environmentSlug is empty; give the environment's slug, for example prod",
        ),
        (
            |config| config.tls = Tls { roots: Some(b"hunter2".to_vec()), ..Tls::default() },
            "caBundle or caProvider: holds no certificate; give PEM certificates, or their base64",
        ),
        (
            |config| config.auth = Auth::Universal { client_id: "\n".into(), client_secret: "s".into() },
            "the value that auth.universalAuthCredentials.clientId refers to is empty",
        ),
        (
            |config| config.auth = Auth::Universal { client_id: "c".into(), client_secret: "a\nb".into() },
            "the value that auth.universalAuthCredentials.clientSecret refers to is not one line of text",
        ),
        (
            |config| config.auth = Auth::Token { access_token: vec![0xff].into() },
            "the value that auth.tokenAuthCredentials.accessToken refers to is not one line of text",
        ),
        (
            |config| config.auth = oci("hunter2", None, "eu-frankfurt-1"),
            "auth.ociAuthCredentials.privateKey is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            |config| config.auth = oci(ENCRYPTED, None, "eu-frankfurt-1"),
            "auth.ociAuthCredentials.privateKey is encrypted; give its passphrase",
        ),
        (
            |config| config.auth = oci(OLD, Some("open sesame"), "eu-frankfurt-1"),
            "auth.ociAuthCredentials.privateKey is encrypted in an unusual way; encrypt it with AES (openssl pkcs8 \
             -topk8 -v2 aes256)",
        ),
        (
            |config| {
                config.auth =
                    Auth::Ldap { identity_id: "i".into(), ldap_username: "".into(), ldap_password: "p".into() }
            },
            "the value that auth.ldapAuthCredentials.ldapUsername refers to is empty",
        ),
    ];
    for (mistake, message) in mistakes {
        let mut config = config("https://infisical.example");
        mistake(&mut config);
        let error = wrong(config);
        assert_eq!(
            (error.kind, error.retry, error.message.as_str()),
            (ErrorKind::InvalidConfig, Retry::Never, message)
        );
    }
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
const OLD: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: \
                   DES-EDE3-CBC,101112131415161718191A1B1C1D1E1F\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";

fn oci(key: &str, passphrase: Option<&str>, region: &str) -> Auth {
    Auth::Oci {
        identity_id: "i".into(),
        private_key: key.into(),
        private_key_passphrase: passphrase.map(Into::into),
        fingerprint: "20:3b".into(),
        user_id: "ocid1.user".into(),
        tenancy_id: "ocid1.tenancy".into(),
        region: region.into(),
    }
}

/// The store with another slug.
fn elsewhere(url: &str, project: &str, environment: &str, recursive: bool) -> Infisical {
    let mut config = config(url);
    config.scope.project_slug = project.into();
    config.scope.environment_slug = environment.into();
    config.scope.recursive = recursive;
    store(config)
}

#[tokio::test]
async fn a_wrong_slug_is_an_error_and_never_empty_values() {
    let no_project = "there is no environment dev of project wbe: the machine identity knows no project with this slug; \
                      correct secretsScope.projectSlug (the slug stands in the project's settings)";
    let no_environment = "there is no environment dve of project web-x1y2: the project has no environment with this slug; \
                          correct secretsScope.environmentSlug";
    for absence in [Absence::Empty, Absence::NotFound] {
        let server = server_with(Settings { absence, ..Settings::default() }, vec![universal_identity()]);
        put(&server, "/", "A", "a");
        for (project, environment, message) in [("wbe", "dev", no_project), ("web-x1y2", "dve", no_environment)] {
            for recursive in [false, true] {
                let store = elsewhere(server.url(), project, environment, recursive);
                for error in everything_refused(&store).await {
                    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, message));
                }
            }
        }
    }
}

/// What each kind of call is told, if all fail.
async fn everything_refused(store: &Infisical) -> Vec<Error> {
    let mut errors = vec![
        store.check().await.expect_err("a wrong slug"),
        refused(store, "A").await,
        refused(store, "x/A").await,
        list(store, Query::default()).await.expect_err("a wrong slug"),
    ];
    let scattered: Vec<_> = (0..10).map(|number| at(&format!("{number}/A"))).collect();
    for together in [&["A", "B"].map(at)[..], &scattered] {
        errors.extend(fetch(store, together).await.into_iter().map(|answer| answer.expect_err("a wrong slug")));
    }
    errors
}

#[tokio::test]
async fn a_check_reads_no_value_and_tells_a_missing_folder() {
    let server = server();
    put(&server, "/app", "A", "a");
    assert_eq!(scoped(server.url(), "/app", true).check().await, Ok(()));
    assert_eq!(calls(&server), [1, 1, 0]);
    assert!(server.make_folder(&dev("/empty")));
    assert_eq!(scoped(server.url(), "/empty", false).check().await, Ok(()));
    let error = scoped(server.url(), "/none", false).check().await.expect_err("no folder");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(
        error.message,
        "there is no folder /none in environment dev of project web-x1y2; create it, or correct secretsScope.secretsPath"
    );
    let line = "GET /api/v3/secrets/raw?workspaceSlug=web-x1y2&environment=dev&secretPath=%2F&include_imports=false&\
                recursive=false&expandSecretReferences=false&viewSecretValue=false";
    let scripted = ScriptedServer::expecting([
        ("POST /api/v1/auth/universal-auth/login", Reply::json(200, &json!({"accessToken": "t", "expiresIn": 60}))),
        (line, Reply::json(200, &json!({"secrets": [{"secretKey": "A"}], "imports": []}))),
    ])
    .await;
    assert_eq!(store(config(&scripted.url())).check().await, Ok(()));
    scripted.finish();
}

#[tokio::test]
async fn an_address_that_is_not_infisicals_is_told() {
    let page = ScriptedServer::answering(|_| Reply::text(200, "<!doctype html><p>Welcome!")).await;
    let error = refused(&store(config(&page.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.contains("is a web page; check that the store's address is the backend's API"), "{error}");

    let nothing = ScriptedServer::answering(|_| Reply::text(404, "404 page not found")).await;
    let error = refused(&store(config(&nothing.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig, "{error}");

    let other = ScriptedServer::answering(|request| match request.method.as_str() {
        "POST" => Reply::json(200, &json!({"accessToken": "t", "expiresIn": 60})),
        _ => Reply::json(404, &json!({"statusCode": 404, "error": "Not Found", "message": "Route GET:/x not found"})),
    })
    .await;
    let error = refused(&store(config(&other.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(error.message, "the server does not know this API; check that hostAPI is the address of Infisical");

    let mut unreachable = config("http://127.0.0.1:1");
    unreachable.auth = universal();
    let error = refused(&store(unreachable), "A").await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let listen = Listen { tls: Some(Certificate { chain: chain.clone(), key }), ..Listen::default() };
    let contents = Contents {
        identities: vec![Identity::universal("client-id", "client-secret", PROJECT)],
        projects: vec![Project::new(PROJECT, &["dev"])],
        ..Contents::default()
    };
    let server = InfisicalServer::start_with(listen, Settings::default(), contents).expect("a free port");
    put(&server, "/", "A", "a");
    let error = refused(&store(config(server.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("name its CA in caBundle or caProvider"), "{error}");
    let mut trusting = config(server.url());
    trusting.tls.roots = Some(chain.into_bytes());
    assert_eq!(value(&store(trusting), "A").await, "a");
}

#[tokio::test]
async fn a_bad_day_of_the_login_is_not_a_refusal() {
    for (status, kind) in [(429, ErrorKind::Throttled), (500, ErrorKind::Unavailable), (503, ErrorKind::Unavailable)] {
        let server = server();
        server.faults().set("login", Fault::Status { status, retry_after: None });
        assert_eq!(refused(&store(config(server.url())), "A").await.kind, kind, "{status}");
    }
    let server = server();
    server.faults().set("login", Fault::Empty);
    assert_eq!(refused(&store(config(server.url())), "A").await.kind, ErrorKind::Malformed);
}

#[tokio::test]
async fn a_locked_identity_is_told_apart_from_a_wrong_secret() {
    let server = ScriptedServer::answering(|_| {
        let message = "This identity auth method is temporarily locked, please try again later";
        Reply::json(401, &json!({"statusCode": 401, "error": "UnauthorizedError", "message": message}))
    })
    .await;
    let error = refused(&store(config(&server.url())), "A").await;
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.starts_with("auth.universalAuthCredentials is locked for some minutes"), "{error}");
}

#[tokio::test]
async fn a_reference_to_what_may_not_be_read_is_told() {
    let identity =
        Identity::universal("client-id", "client-secret", PROJECT).allowed(vec![Rule::only(PROJECT, "/app/*")]);
    let server = server_with(Settings::default(), vec![identity]);
    put(&server, "/secret", "S", "s");
    put(&server, "/app", "A", "${dev.secret.S}");
    let error = refused(&store(config(server.url())), "app/A").await;
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert_eq!(
        error.message,
        "the secret A in folder /app of environment dev of project web-x1y2 refers to secrets that the machine identity \
         may not read; grant it access to those, or set secretsScope.expandSecretReferences to false"
    );
}
