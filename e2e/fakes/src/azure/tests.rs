//! What the real services refuse, this one refuses too.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use reqwest::{Method, StatusCode};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::{Application, AzureCloud, Contents, Kind, ManagedIdentity, Object, Settings};
use crate::server::Listen;

const SCOPE: &str = "https://vault.azure.net/.default";

fn tenant() -> String {
    Settings::default().tenant
}

fn cloud(certificates: Vec<String>) -> AzureCloud {
    let application = Application { certificates, secrets: vec!["s".into()], ..Application::new(&tenant(), "client") };
    let contents = Contents {
        applications: vec![application],
        identities: vec![ManagedIdentity { client_id: "machine".into(), system: true }],
        objects: vec![Object::secret("a", "x")],
    };
    AzureCloud::start_with(Listen::default(), Settings::default(), contents).unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn endpoint(cloud: &AzureCloud) -> String {
    format!("{}/{}/oauth2/v2.0/token", cloud.url(), tenant())
}

/// The token, or Entra ID's number for what is wrong.
async fn log_in(cloud: &AzureCloud, fields: &[(&str, &str)]) -> Result<String, u64> {
    let answer = client().post(endpoint(cloud)).form(fields).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    match body["access_token"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err(body["error_codes"][0].as_u64().unwrap()),
    }
}

fn with_secret<'a>(secret: &'a str, scope: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("client_id", "client"), ("grant_type", "client_credentials"), ("scope", scope), ("client_secret", secret)]
}

#[tokio::test]
async fn entra_id_checks_secret_scope_and_form() {
    let cloud = cloud(vec![]);
    log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    assert_eq!(log_in(&cloud, &with_secret("t", SCOPE)).await, Err(7_000_215));
    assert_eq!(log_in(&cloud, &with_secret("s", "https://vault.azure.cn/.default")).await, Err(500_011));
    assert_eq!(log_in(&cloud, &with_secret("s", "https://vault.azure.net")).await, Err(1_002_012));
    assert_eq!(log_in(&cloud, &with_secret("s", SCOPE)[1..]).await, Err(900_144));
    assert_eq!(log_in(&cloud, &with_secret("s", SCOPE)[..3]).await, Err(7_000_216));
    let unknown = [with_secret("s", SCOPE), vec![("extra", "1")]].concat();
    assert_eq!(log_in(&cloud, &unknown).await, Err(900_144));
    let password = [&[("grant_type", "password")], &with_secret("s", SCOPE)[2..], &[("client_id", "client")]].concat();
    assert_eq!(log_in(&cloud, &password).await, Err(70003));
    let got = client().get(endpoint(&cloud)).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// An application's key and certificate.
struct Signer {
    certificate: String,
    der: Vec<u8>,
    key: RsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pkcs8 = PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
        let signing = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_RSA_SHA256).unwrap();
        let made = CertificateParams::new(vec![]).unwrap().self_signed(&signing).unwrap();
        let key = RsaKeyPair::from_pkcs8(der.as_ref()).unwrap();
        Self { certificate: made.pem(), der: made.der().to_vec(), key }
    }

    fn sign(&self, algorithm: &str, claims: &Value) -> String {
        let encoding: &'static dyn RsaEncoding = if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der);
        let header = json!({"alg": algorithm, "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint)});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims(cloud: &AzureCloud, id: &str) -> Value {
    let now = Timestamp::now().as_second();
    let audience = endpoint(cloud);
    json!({"aud": audience, "exp": now + 60, "iss": "client", "jti": id, "nbf": now, "sub": "client"})
}

#[tokio::test]
async fn entra_id_checks_everything_about_an_assertion() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let cloud = cloud(vec![signer.certificate.clone()]);
    let show = async |assertion: String| {
        let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [
            &with_secret("", SCOPE)[..3],
            &[("client_assertion_type", assertion_type), ("client_assertion", &assertion)],
        ];
        log_in(&cloud, &fields.concat()).await.err()
    };
    assert_eq!(show(signer.sign("RS256", &claims(&cloud, "1"))).await, None);
    assert_eq!(show(signer.sign("PS256", &claims(&cloud, "2"))).await, None);
    assert_eq!(show(signer.sign("RS256", &claims(&cloud, "1"))).await, Some(700_027), "used before");
    assert_eq!(show(stranger.sign("RS256", &claims(&cloud, "3"))).await, Some(700_027));
    assert_eq!(show(signer.sign("HS256", &claims(&cloud, "3"))).await, Some(700_027));
    for (member, value, number) in [
        ("aud", json!("https://elsewhere.example"), 700_023),
        ("exp", json!(1), 700_024),
        ("nbf", json!(4_000_000_000_u64), 700_024),
        ("jti", json!(""), 50027),
        ("sub", json!("other"), 700_021),
        ("iss", json!("other"), 700_211),
    ] {
        let mut claims = claims(&cloud, "4");
        claims[member] = value;
        assert_eq!(show(signer.sign("RS256", &claims)).await, Some(number), "{member}");
    }
    assert_eq!(show("a.b".into()).await, Some(50027));
}

#[tokio::test]
async fn the_metadata_service_wants_its_header_and_only_what_it_knows() {
    let cloud = cloud(vec![]);
    let ask = async |query: &str, header: bool| {
        let url = format!("{}/metadata/identity/oauth2/token?{query}", cloud.url());
        let request = client().get(url);
        let request = if header { request.header("Metadata", "true") } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    let good = "api-version=2018-02-01&resource=https://vault.azure.net";
    assert_eq!(ask(good, true).await, 200);
    assert_eq!(ask(&format!("{good}&client_id=machine"), true).await, 200);
    assert_eq!(ask(good, false).await, 400);
    for query in [
        "resource=https://vault.azure.net".to_owned(),
        "api-version=2018-02-01".to_owned(),
        format!("{good}&client_id=other"),
        format!("{good}&extra=1"),
    ] {
        assert_eq!(ask(&query, true).await, 400, "{query}");
    }
}

#[tokio::test]
async fn the_vault_wants_a_token_an_api_version_and_good_names() {
    let cloud = cloud(vec![]);
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let ask = async |method: Method, path: &str, token: &str| {
        let request = client().request(method, format!("{}{path}", cloud.url())).bearer_auth(token);
        let answer = request.send().await.unwrap();
        let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    };
    let get = async |path: &str| ask(Method::GET, path, &token).await.0;
    assert_eq!(get("/secrets/a?api-version=7.0").await, 200);
    assert_eq!(get("/secrets/a/?api-version=7.4").await, 200);
    assert_eq!(get("/secrets/b?api-version=7.0").await, 404);
    for path in [
        "/secrets/a",
        "/secrets/a?api-version=1.0",
        "/secrets/a?api-version=7.0&extra=1",
        "/secrets/a_b?api-version=7.0",
        "/secrets/a/xyz?api-version=7.0",
        "/secrets?api-version=7.0&maxresults=26",
        "/secrets?api-version=7.0&$skiptoken=%21",
    ] {
        assert_eq!(get(path).await, 400, "{path}");
    }
    assert_eq!(ask(Method::PUT, "/secrets/a?api-version=7.0", &token).await.0, 405);
    let (status, challenge) = ask(Method::GET, "/secrets/a?api-version=7.0", "other").await;
    let expected = format!(
        r#"Bearer authorization="https://login.microsoftonline.com/{}", resource="https://vault.azure.net""#,
        tenant()
    );
    assert_eq!((status, challenge), (401, Some(expected)));
    cloud.expire_tokens();
    assert_eq!(get("/secrets/a?api-version=7.0").await, 401);
}

#[tokio::test]
async fn a_cloud_in_another_process_is_driven_over_http() {
    let cloud = AzureCloud::start().unwrap();
    let send = async |method: Method, path: &str, body: Value| {
        let request = client().request(method, format!("{}/_fake{path}", cloud.url())).json(&body);
        request.send().await.unwrap().error_for_status().unwrap();
    };
    let application = json!({"tenant": tenant(), "clientId": "client", "secrets": ["s"]});
    send(Method::PUT, "/applications", application).await;
    send(Method::PUT, "/objects", json!({"name": "a", "secret": "x", "tags": {"b": "c"}})).await;
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let read = async || {
        let url = format!("{}/secrets/a?api-version=7.0", cloud.url());
        client().get(url).bearer_auth(&token).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let secret = read().await;
    assert_eq!((&secret["value"], &secret["tags"]["b"]), (&"x".into(), &"c".into()));
    send(Method::PUT, "/denials", json!({"kind": "secret", "name": "a"})).await;
    assert_eq!(read().await["error"]["innererror"]["code"], "ForbiddenByRbac");
    send(Method::PUT, "/firewall", Value::Null).await;
    assert_eq!(read().await["error"]["innererror"]["code"], "ForbiddenByFirewall");
    send(Method::DELETE, "/firewall", Value::Null).await;
    send(Method::DELETE, "/objects?kind=secret&name=a", Value::Null).await;
    assert!(!cloud.delete(Kind::Secret, "a"));
    send(Method::DELETE, "/applications?clientId=client", Value::Null).await;
    assert_eq!(log_in(&cloud, &with_secret("s", SCOPE)).await, Err(700_016));
}
