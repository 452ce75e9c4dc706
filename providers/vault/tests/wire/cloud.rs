//! Logins as an identity of AWS or Google: what their clouds are asked, and what Vault is shown.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Provider, ServiceAccountToken, TokenSource};
use keyferry_rest::BaseUrl;
use keyferry_testkit::{Reply, ScriptedServer};
use keyferry_vault::{GoogleEndpoints, GoogleIdentity, GoogleLogin, LoginMethod, VaultConfig, WorkloadIdentity};
use serde_json::{Value, json};

use crate::rig::{Rig, granted, login, refused};

/// A ServiceAccount with one annotation, which notes the audiences of its tokens.
#[derive(Debug, Default)]
struct Account {
    annotation: Option<(&'static str, &'static str)>,
    audiences: Mutex<Vec<String>>,
}

impl Account {
    fn annotated(key: &'static str, value: &'static str) -> Arc<Self> {
        Arc::new(Self { annotation: Some((key, value)), audiences: Mutex::default() })
    }

    fn audiences(&self) -> Vec<String> {
        self.audiences.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl TokenSource for Account {
    async fn token(&self, audiences: &[String], valid_for: Duration) -> Result<ServiceAccountToken, Error> {
        self.audiences.lock().expect("not poisoned").extend_from_slice(audiences);
        Ok(ServiceAccountToken { token: "account-token".into(), valid_for })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotation.filter(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

fn address(server: &ScriptedServer) -> Option<BaseUrl> {
    BaseUrl::parse(&server.url()).ok()
}

async fn failure(config: VaultConfig) -> Error {
    let rig = Rig::expecting(config, []).await;
    let error = rig.vault.check().await.expect_err("a failure");
    rig.finish();
    error
}

const EMAIL: &str = "reader@p-1.iam.gserviceaccount.com";
const JWT: &str = "e30.e30.c2ln";
const GOOGLE_LOGIN: &str = "POST /v1/auth/gcp/login";

fn google(identity: GoogleIdentity, endpoints: GoogleEndpoints) -> VaultConfig {
    login("gcp", LoginMethod::Google(Box::new(GoogleLogin { role: "web".into(), identity, endpoints })))
}

/// What Vault is shown by a login that it accepts.
async fn shown(config: VaultConfig, line: &str) -> Value {
    let rig = Rig::expecting(config, [(line, granted("t-1", 3600))]).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    rig.finish().remove(0).json()
}

fn claims(jwt: &Value) -> Value {
    let part = jwt.as_str().and_then(|jwt| jwt.split('.').nth(1)).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn assert_signed_for_the_role(claims: &Value) {
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!(EMAIL), &json!("vault/web")));
    let left = claims["exp"].as_i64().expect("an end") - Timestamp::now().as_second();
    assert!((1..=900).contains(&left), "Vault accepts at most a quarter of an hour, not {left} seconds");
}

static KEY: LazyLock<String> = LazyLock::new(|| {
    let size = rcgen::RsaKeySize::_2048;
    rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).expect("a key").serialize_pem()
});

#[tokio::test]
async fn a_service_accounts_key_signs_for_the_role() {
    let key = json!({"type": "service_account", "client_email": EMAIL, "private_key_id": "k-1", "private_key": *KEY});
    let identity = GoogleIdentity::Key(key.to_string().into());
    let body = shown(google(identity, GoogleEndpoints::default()), GOOGLE_LOGIN).await;
    assert_eq!(body["role"], "web");
    assert_signed_for_the_role(&claims(&body["jwt"]));
    let header = body["jwt"].as_str().and_then(|jwt| jwt.split('.').next()).expect("a header");
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("JSON");
    assert_eq!(header["kid"], "k-1");
}

#[tokio::test]
async fn the_node_shows_an_identity_token_for_this_server_and_role() {
    let metadata = ScriptedServer::answering(|_| Reply::text(200, format!("{JWT}\n"))).await;
    let endpoints = GoogleEndpoints { metadata: address(&metadata), ..GoogleEndpoints::default() };
    let rig = Rig::expecting(google(GoogleIdentity::Ambient, endpoints), [(GOOGLE_LOGIN, granted("t-1", 3600))]).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    let audience = format!("{}/vault/web", rig.server.url()).replace(':', "%3A").replace('/', "%2F");
    assert_eq!(rig.heard.calls(), [("GetGcpIdentityToken", Ok(())), ("Login", Ok(()))]);
    assert_eq!(rig.finish()[0].json(), json!({"role": "web", "jwt": JWT}));
    let [asked] = metadata.finish().try_into().expect("one request");
    assert_eq!(asked.path, "/computeMetadata/v1/instance/service-accounts/default/identity");
    assert_eq!(asked.query, format!("audience={audience}&format=full"));
}

fn workload_identity(account: Arc<Account>) -> GoogleIdentity {
    GoogleIdentity::WorkloadIdentity(WorkloadIdentity {
        audiences: Vec::new(),
        cluster_location: Some("europe-west1".into()),
        cluster_name: Some("c-1".into()),
        cluster_project: Some("p-1".into()),
        tokens: account,
    })
}

#[tokio::test]
async fn a_workload_identity_has_its_service_account_sign_for_the_role() {
    let cloud = ScriptedServer::expecting([
        (
            "POST /v1/identitybindingtoken",
            Reply::json(200, &json!({"access_token": "federated", "expires_in": 3600, "token_type": "Bearer"})),
        ),
        (
            &format!("POST /v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"),
            Reply::json(200, &json!({"accessToken": "access", "expireTime": "2100-01-01T00:00:00Z"})),
        ),
        (
            &format!("POST /v1/projects/-/serviceAccounts/{EMAIL}:signJwt"),
            Reply::json(200, &json!({"keyId": "g", "signedJwt": JWT})),
        ),
    ])
    .await;
    let endpoints = GoogleEndpoints {
        iam_credentials: address(&cloud),
        secure_token: address(&cloud),
        ..GoogleEndpoints::default()
    };
    let account = Account::annotated("iam.gke.io/gcp-service-account", EMAIL);
    let identity = workload_identity(Arc::clone(&account));
    assert_eq!(shown(google(identity, endpoints), GOOGLE_LOGIN).await, json!({"role": "web", "jwt": JWT}));
    assert_eq!(account.audiences(), ["p-1.svc.id.goog"]);
    let asked = cloud.finish();
    let bearers: Vec<_> = asked.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(bearers, ["", "Bearer federated", "Bearer access"]);
    let payload = asked[2].json()["payload"].as_str().map(str::to_owned).expect("a payload");
    assert_signed_for_the_role(&serde_json::from_str(&payload).expect("JSON"));
}

#[tokio::test]
async fn what_a_google_identity_lacks_is_named_and_not_shown() {
    let nowhere = GoogleEndpoints::default;
    let no_key = failure(google(GoogleIdentity::Key("hunter2".into()), nowhere())).await;
    assert_eq!(no_key.kind, ErrorKind::InvalidConfig);
    assert!(no_key.message.starts_with("the key of auth.gcp.secretRef: it is not a JSON key file"), "{no_key}");
    assert!(!format!("{no_key:?}").contains("hunter2"));
    let nobody = failure(google(workload_identity(Arc::default()), nowhere())).await;
    assert_eq!(nobody.kind, ErrorKind::InvalidConfig);
    assert!(nobody.message.contains("no annotation iam.gke.io/gcp-service-account; annotate it"), "{nobody}");
}

#[tokio::test]
async fn a_refused_google_login_says_what_to_check() {
    let metadata = ScriptedServer::answering(|_| Reply::text(200, JWT)).await;
    let endpoints = GoogleEndpoints { metadata: address(&metadata), ..GoogleEndpoints::default() };
    let answer = refused(400, &["role requires that service account JWTs expire within 900 seconds"]);
    let rig = Rig::expecting(google(GoogleIdentity::Ambient, endpoints), [(GOOGLE_LOGIN, answer)]).await;
    let error = rig.vault.check().await.expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.contains("check role, its type, and which service accounts it admits"), "{error}");
}

#[cfg(feature = "aws")]
mod aws {
    use base64::engine::general_purpose::STANDARD;
    use keyferry_core::SecretBytes;
    use keyferry_testkit::Request;
    use keyferry_vault::{AwsIdentity, AwsLogin, AwsRole};

    use super::{
        Account, Arc, Engine, Error, ErrorKind, LoginMethod, Provider, Reply, Rig, ScriptedServer, Value, VaultConfig,
        address, failure, granted, login, refused, shown,
    };

    const AWS_LOGIN: &str = "POST /v1/auth/aws/login";
    const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

    fn iam(identity: AwsIdentity, role: Option<AwsRole>, sts: Option<&ScriptedServer>) -> VaultConfig {
        let login_as = AwsLogin {
            vault_role: "web".into(),
            identity,
            region: "eu-west-1".into(),
            role,
            server_id: None,
            sts_endpoint: sts.and_then(address),
        };
        login("aws", LoginMethod::Aws(Box::new(login_as)))
    }

    fn keys(secret: &str) -> AwsIdentity {
        AwsIdentity::Keys { access_key_id: "AKID".into(), secret_access_key: secret.into(), session_token: None }
    }

    fn role() -> AwsRole {
        AwsRole { arn: ROLE.into(), external_id: Some("x-1".into()) }
    }

    /// A session with this access key id, as STS answers to `action`.
    fn session(action: &str, id: &str) -> Reply {
        let credentials = format!(
            "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
        );
        Reply::text(
            200,
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{credentials}\
                 </{action}Result></{action}Response>"
            ),
        )
    }

    /// An STS that gives every session but those of `denied`.
    async fn sts(denied: Option<&'static str>) -> ScriptedServer {
        ScriptedServer::answering(move |request: &Request| {
            let body = request.text();
            let action = body.split('&').find_map(|part| part.strip_prefix("Action=")).unwrap_or_default();
            let id = if action == "AssumeRole" { "ASIAROLE" } else { "ASIAWEB" };
            if denied == Some(action) {
                return Reply::text(
                    403,
                    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                     <Message>hunter2 is not authorized</Message></Error><RequestId>r-1</RequestId></ErrorResponse>",
                );
            }
            session(action, id)
        })
        .await
    }

    /// Whose signature Vault is shown.
    fn signer(body: &Value) -> String {
        let headers = body["iam_request_headers"].as_str().expect("headers");
        let headers: Value = serde_json::from_slice(&STANDARD.decode(headers).expect("base64")).expect("JSON");
        let authorization = headers["Authorization"][0].as_str().expect("a signature");
        let (_, credential) = authorization.split_once("Credential=").expect("a credential");
        credential.split('/').next().expect("an id").to_owned()
    }

    #[tokio::test]
    async fn keys_sign_for_the_region() {
        let config = iam(keys("hunter2\n"), None, None);
        assert!(!format!("{config:?}").contains("hunter2"));
        let body = shown(config, AWS_LOGIN).await;
        assert_eq!((&body["role"], signer(&body).as_str()), (&"web".into(), "AKID"));
        let url = STANDARD.decode(body["iam_request_url"].as_str().expect("a URL")).expect("base64");
        assert_eq!(url, b"https://sts.eu-west-1.amazonaws.com/");
    }

    #[tokio::test]
    async fn a_role_is_assumed_with_its_external_id() {
        let sts = sts(None).await;
        let body = shown(iam(keys("s"), Some(role()), Some(&sts)), AWS_LOGIN).await;
        assert_eq!(signer(&body), "ASIAROLE");
        let [asked] = sts.finish().try_into().expect("one request");
        let form = asked.text();
        assert!(form.contains("ExternalId=x-1") && form.contains("role%2Freader"), "{form}");
        assert!(asked.header("authorization").contains("Credential=AKID/"));
    }

    #[tokio::test]
    async fn a_service_account_is_who_it_is_annotated_to_be_and_may_assume_another_role() {
        let sts = sts(None).await;
        let account = Account::annotated("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/web");
        let identity = AwsIdentity::ServiceAccount(Arc::clone(&account) as _);
        let rig = Rig::expecting(iam(identity, Some(role()), Some(&sts)), [(AWS_LOGIN, granted("t-1", 3600))]).await;
        assert_eq!(rig.vault.check().await, Ok(()));
        let calls = rig.heard.calls();
        assert_eq!(calls, [("AssumeRoleWithWebIdentity", Ok(())), ("AssumeRole", Ok(())), ("Login", Ok(()))]);
        assert_eq!(signer(&rig.finish()[0].json()), "ASIAROLE");
        assert_eq!(account.audiences(), ["sts.amazonaws.com"]);
        let [web, assumed] = sts.finish().try_into().expect("two requests");
        assert!(web.text().contains("WebIdentityToken=account-token"), "{}", web.text());
        assert!(assumed.header("authorization").contains("Credential=ASIAWEB/"));
    }

    #[tokio::test]
    async fn a_role_that_may_not_be_assumed_is_a_refused_login_that_shows_nothing() {
        let sts = sts(Some("AssumeRole")).await;
        let error = failure(iam(keys("s"), Some(role()), Some(&sts))).await;
        assert_eq!((error.kind, error.operation), (ErrorKind::Unauthenticated, "AssumeRole"));
        assert!(error.message.contains(ROLE) && error.message.contains("(AccessDenied)"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[tokio::test]
    async fn an_sts_that_does_not_answer_is_unavailable() {
        for reply in [Reply::text(500, "<ErrorResponse/>"), Reply::close()] {
            let sts = ScriptedServer::answering(move |_| reply.clone()).await;
            assert_eq!(failure(iam(keys("s"), Some(role()), Some(&sts))).await.kind, ErrorKind::Unavailable);
        }
        let empty = ScriptedServer::answering(|_| Reply::text(429, "slow down")).await;
        assert_eq!(failure(iam(keys("s"), Some(role()), Some(&empty))).await.kind, ErrorKind::Throttled);
    }

    #[tokio::test]
    async fn what_an_aws_identity_lacks_is_named() {
        let wrong = |error: Error, text: &str| {
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert!(error.message.contains(text) && !error.message.contains("hunter"), "{error}");
        };
        let nobody = AwsIdentity::ServiceAccount(Arc::new(Account::default()));
        wrong(failure(iam(nobody, None, None)).await, "no annotation eks.amazonaws.com/role-arn");
        wrong(failure(iam(keys("hunter 2"), None, None)).await, "the AWS credentials for auth.iam.secretRef");
        let empty = AwsIdentity::Keys {
            access_key_id: SecretBytes::default(),
            secret_access_key: "hunter2".into(),
            session_token: None,
        };
        wrong(failure(iam(empty, None, None)).await, "are empty");
    }

    #[tokio::test]
    async fn a_refused_aws_login_says_what_to_check() {
        for (answer, kind, text) in [
            ("entry for role web not found", ErrorKind::Unauthenticated, "vaultRole, which AWS principals it admits"),
            (
                "error validating X-Vault-AWS-IAM-Server-ID header: expected \"a\" but got \"hunter2\"",
                ErrorKind::Unauthenticated,
                "check vaultAwsIamServerID, which must be what iam_server_id_header_value is there",
            ),
            (
                "error making upstream request: error making request: Post \"http://hunter2\": connection refused",
                ErrorKind::Unavailable,
                "no answer from the STS that auth/aws asks",
            ),
        ] {
            let rig = Rig::expecting(iam(keys("s"), None, None), [(AWS_LOGIN, refused(400, &[answer]))]).await;
            let error = rig.vault.check().await.expect_err("a refusal");
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(text) && !error.message.contains("hunter2"), "{error}");
        }
    }
}
