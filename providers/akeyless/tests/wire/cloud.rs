//! Logging in as what the clouds say the operator is.

use std::sync::{Arc, LazyLock, Mutex};

use keyferry_akeyless::{Akeyless, AkeylessConfig, Auth, AwsKeys, Azure, Environment, ServiceAccount};
use keyferry_core::{ErrorKind, Provider, Unobserved};
use keyferry_fakes::{
    akeyless::{Access, AkeylessGateway, Method},
    keys::Issuer,
};
use keyferry_rest::BaseUrl;
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::store::{ACCESS_ID, Mint, config};

/// Who signs whatever a cloud would.
static CLOUD: LazyLock<Issuer> = LazyLock::new(Issuer::default);

/// A gateway that admits the access id by this method, and a provider that logs in with `auth`.
fn store(method: Method, auth: Auth, environment: Environment) -> (AkeylessGateway, Akeyless) {
    let gateway = AkeylessGateway::start().expect("a free port");
    gateway.grant(Access::new(ACCESS_ID, method));
    let config = AkeylessConfig { auth, environment, ..config(&format!("{}/v2", gateway.url())) };
    let provider = Akeyless::new(config, Arc::new(Unobserved)).expect("a usable configuration");
    (gateway, provider)
}

fn address(server: &ScriptedServer) -> Option<BaseUrl> {
    BaseUrl::parse(&server.url()).ok()
}

fn entra(object_id: &str) -> (Method, Reply) {
    let audience = "https://management.azure.com/";
    let token = CLOUD.sign(&json!({"iss": "https://sts.windows.net/tenant/", "aud": audience, "oid": object_id}));
    let (keys, object_id) = (CLOUD.keys(), Some(object_id.to_owned()));
    let method = Method::AzureAd { keys, object_id, tenant: "tenant".to_owned() };
    (method, Reply::json(200, &json!({"access_token": token, "expires_in": 3600})))
}

#[tokio::test]
async fn the_operators_aws_identity_logs_in() {
    let keys = AwsKeys {
        access_key_id: "AKID".into(),
        secret_access_key: "hunter2".into(),
        session_token: Some("session".into()),
        region: "eu-west-1".into(),
    };
    let environment = Environment { aws: Some(keys), ..Environment::default() };
    let known = Method::AwsIam { keys: [("AKID".to_owned(), "hunter2".to_owned())].into() };
    let (_gateway, provider) = store(known, Auth::AwsIam, environment);
    provider.check().await.expect("a login");
    assert!(!format!("{provider:?}").contains("hunter2"));
}

#[tokio::test]
async fn the_operators_google_identity_logs_in() {
    for (param, audience) in [(None, "akeyless.io"), (Some(" other\n".into()), "other")] {
        let line = format!(
            "GET /computeMetadata/v1/instance/service-accounts/default/identity?audience={audience}&format=full"
        );
        let token = CLOUD.sign(&json!({"iss": "https://accounts.google.com", "aud": audience}));
        let token = Reply::text(200, token);
        let google = ScriptedServer::expecting([(line.as_str(), token)]).await;
        let environment = Environment { gcp_metadata: address(&google), ..Environment::default() };
        let method = Method::Gcp { audience: audience.to_owned(), keys: CLOUD.keys() };
        let (_gateway, provider) = store(method, Auth::Gcp { audience: param }, environment);
        provider.check().await.expect("a login");
        assert_eq!(google.finish()[0].header("Metadata-Flavor"), "Google");
    }
}

#[tokio::test]
async fn a_node_without_a_google_identity_is_told_apart_from_a_broken_one() {
    for (reply, kind) in [
        (Reply::text(404, "not found"), ErrorKind::Unauthenticated),
        (Reply::text(503, "later"), ErrorKind::Unavailable),
        (Reply::text(200, "<html>log in to this network</html>"), ErrorKind::InvalidConfig),
    ] {
        let google = ScriptedServer::answering(move |_| reply.clone()).await;
        let environment = Environment { gcp_metadata: address(&google), ..Environment::default() };
        let method = Method::Gcp { audience: "akeyless.io".to_owned(), keys: CLOUD.keys() };
        let (gateway, provider) = store(method, Auth::Gcp { audience: None }, environment);
        assert_eq!(provider.check().await.expect_err("no identity").kind, kind);
        assert_eq!(gateway.counts().of("auth"), 0);
    }
}

#[tokio::test]
async fn a_managed_identity_logs_in() {
    let line =
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    for (id, query) in [(Some("object".into()), "&object_id=object"), (None, "&client_id=client")] {
        let (method, token) = entra("object");
        let metadata = ScriptedServer::expecting([(format!("{line}{query}").as_str(), token)]).await;
        let azure = Azure { metadata: address(&metadata), client_id: Some("client".into()), ..Azure::default() };
        let auth = Auth::AzureAd { id, service_account: None };
        let (_gateway, provider) = store(method, auth, Environment { azure, ..Environment::default() });
        provider.check().await.expect("a login");
        assert_eq!(metadata.finish()[0].header("Metadata"), "true");
    }
}

#[tokio::test]
async fn a_node_without_a_managed_identity_says_so() {
    for (status, kind) in
        [(400, ErrorKind::Unauthenticated), (404, ErrorKind::Unavailable), (429, ErrorKind::Throttled)]
    {
        let metadata = ScriptedServer::answering(move |_| Reply::json(status, &json!({"error": "x"}))).await;
        let azure = Azure { metadata: address(&metadata), ..Azure::default() };
        let auth = Auth::AzureAd { id: Some("object".into()), service_account: None };
        let (_gateway, provider) = store(entra("object").0, auth, Environment { azure, ..Environment::default() });
        assert_eq!(provider.check().await.expect_err("no identity").kind, kind);
    }
}

#[tokio::test]
async fn a_service_account_logs_in_as_its_application() {
    let annotations = [("azure.workload.identity/client-id", "app"), ("azure.workload.identity/tenant-id", "tenant-a")];
    for (annotations, client, tenant) in [(&annotations[..], "app", "tenant-a"), (&[], "param", "tenant-b")] {
        let (method, token) = entra("object");
        let line = format!("POST /{tenant}/oauth2/v2.0/token");
        let login = ScriptedServer::expecting([(line.as_str(), token)]).await;
        let azure = Azure { authority: address(&login), tenant_id: Some("tenant-b".into()), ..Azure::default() };
        let mint =
            Arc::new(Mint { token: "minted".into(), audiences: Mutex::default(), annotations: annotations.into() });
        let account = ServiceAccount { source: Arc::<Mint>::clone(&mint), audiences: vec!["mine".into()] };
        let auth = Auth::AzureAd { id: Some("param".into()), service_account: Some(account) };
        let (_gateway, provider) = store(method, auth, Environment { azure, ..Environment::default() });
        provider.check().await.expect("a login");
        assert_eq!(*mint.audiences.lock().expect("no panic"), ["mine", "api://AzureADTokenExchange"]);
        let form = login.finish()[0].text();
        for part in [
            &format!("client_id={client}"),
            "client_assertion=minted",
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            "scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
        ] {
            assert!(form.contains(part), "{part} in {form}");
        }
    }
}

#[tokio::test]
async fn the_operators_own_application_logs_in() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from-file\n").expect("a written file");
    for (secret, part) in [(Some("hunter2".into()), "client_secret=hunter2"), (None, "client_assertion=from-file")] {
        let (method, token) = entra("object");
        let login = ScriptedServer::expecting([("POST /tenant/oauth2/v2.0/token", token)]).await;
        let azure = Azure {
            authority: address(&login),
            client_id: Some("app".into()),
            client_secret: secret,
            federated_token_file: Some(file.path().to_owned()),
            tenant_id: Some("tenant".into()),
            ..Azure::default()
        };
        let auth = Auth::AzureAd { id: None, service_account: None };
        let (_gateway, provider) = store(method, auth, Environment { azure, ..Environment::default() });
        provider.check().await.expect("a login");
        let form = login.finish()[0].text();
        assert!(form.contains(part), "{form}");
    }
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_is_named() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for (file, expected) in [
        ("/no/such/file".as_ref(), "of the operator names does not exist; mount it into the operator's pod"),
        ("/dev/zero".as_ref(), "of the operator names is no file with a token; correct the operator's Deployment"),
        (empty.path(), "names is empty; set it"),
    ] {
        let azure = Azure {
            client_id: Some("app".into()),
            federated_token_file: Some(file.to_owned()),
            tenant_id: Some("tenant".into()),
            ..Azure::default()
        };
        let auth = Auth::AzureAd { id: None, service_account: None };
        let (gateway, provider) = store(entra("o").0, auth, Environment { azure, ..Environment::default() });
        let error = provider.check().await.expect_err("no token");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.contains("AZURE_FEDERATED_TOKEN_FILE") && error.message.ends_with(expected), "{error}");
        assert_eq!(gateway.counts().of("auth"), 0);
    }
}

#[tokio::test]
async fn what_a_workload_identity_lacks_is_named() {
    let error = |id: Option<&str>, azure: Azure| {
        let mint = Arc::new(Mint { token: "t".into(), audiences: Mutex::default(), annotations: vec![] });
        let service_account = Some(ServiceAccount { source: mint, audiences: vec![] });
        let auth = Auth::AzureAd { id: id.map(Into::into), service_account };
        let environment = Environment { azure, ..Environment::default() };
        let config = AkeylessConfig { auth, environment, ..config("https://gw.example/v2") };
        Akeyless::new(config, Arc::new(Unobserved)).expect_err("something is missing").message
    };
    let tenant = Azure { tenant_id: Some("t".into()), ..Azure::default() };
    assert!(error(None, tenant).contains("azure.workload.identity/client-id"));
    assert!(error(Some("app"), Azure::default()).contains("azure.workload.identity/tenant-id"));
}

#[tokio::test]
async fn a_refusal_of_entra_is_a_refused_login_that_shows_nothing() {
    let answer = json!({"error": "invalid_client", "error_description": "hunter2"});
    let login = ScriptedServer::answering(move |_| Reply::json(401, &answer)).await;
    let azure = Azure {
        authority: address(&login),
        client_id: Some("app".into()),
        client_secret: Some("hunter2".into()),
        tenant_id: Some("tenant".into()),
        ..Azure::default()
    };
    let auth = Auth::AzureAd { id: None, service_account: None };
    let (_gateway, provider) = store(entra("o").0, auth, Environment { azure, ..Environment::default() });
    let error = provider.check().await.expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.ends_with("AZURE_CLIENT_SECRET of the operator"), "{error}");
    assert!(!format!("{error:?}{provider:?}").contains("hunter2"), "{error:?}");
}
