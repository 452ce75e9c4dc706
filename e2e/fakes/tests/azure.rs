//! The fake Azure as a client sees it: what the real services refuse, it refuses too.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyferry_fakes::{
    azure::{Application, AzureCloud, Contents, Federation, Kind, ManagedIdentity, Object, Settings},
    faults::Fault,
    keys::Issuer,
    server::Listen,
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use reqwest::{Method, StatusCode};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

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
    AzureCloud::start_with(Listen::default(), Settings::default(), contents).expect("a free port")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn endpoint(cloud: &AzureCloud) -> String {
    format!("{}/{}/oauth2/v2.0/token", cloud.url(), tenant())
}

/// The token, or Entra ID's number for what is wrong.
async fn log_in(cloud: &AzureCloud, fields: &[(&str, &str)]) -> Result<String, u64> {
    let answer = client().post(endpoint(cloud)).form(fields).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    match body["access_token"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err(body["error_codes"][0].as_u64().expect("a number")),
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
    for request in [
        client().get(endpoint(&cloud)),
        client().post(endpoint(&cloud)).json(&json!({"client_id": "client"})),
        client().post(format!("{}?dc=1", endpoint(&cloud))).form(&with_secret("s", SCOPE)),
    ] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(answer.json::<Value>().await.expect("JSON")["error_codes"].is_array());
    }
}

/// An application's key and certificate.
struct Signer {
    certificate: String,
    der: Vec<u8>,
    key: RsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key");
        let pkcs8 = PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
        let signing = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_RSA_SHA256).expect("a key");
        let made = CertificateParams::new(vec![]).expect("no names").self_signed(&signing).expect("a certificate");
        let key = RsaKeyPair::from_pkcs8(der.as_ref()).expect("a key");
        Self { certificate: made.pem(), der: made.der().to_vec(), key }
    }

    fn sign(&self, algorithm: &str, claims: &Value) -> String {
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der);
        self.sign_as(&json!({"alg": algorithm, "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint)}), claims)
    }

    fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let is_pss = header["alg"] == "PS256";
        let encoding: &'static dyn RsaEncoding = if is_pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("a signature");
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
    let other = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &stranger.der));
    for header in
        [json!({"alg": "RS256"}), json!({"alg": "RS256", "x5t#S256": other}), json!({"alg": "RS256", "x5t": "AAAA"})]
    {
        assert_eq!(show(signer.sign_as(&header, &claims(&cloud, "3"))).await, Some(700_027), "{header}");
    }
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &signer.der);
    let header = json!({"alg": "RS256", "x5t": URL_SAFE_NO_PAD.encode(sha1)});
    assert_eq!(show(signer.sign_as(&header, &claims(&cloud, "3"))).await, None);
    for (member, value, number) in [
        ("aud", json!("https://elsewhere.example"), 700_023),
        ("exp", json!(1), 700_024),
        ("exp", Value::Null, 700_024),
        ("nbf", json!(4_000_000_000_u64), 700_024),
        ("nbf", Value::Null, 700_024),
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
async fn entra_id_checks_everything_about_a_federated_token() {
    let (issuer, stranger) = (Issuer::default(), Issuer::default());
    let federation = Federation {
        audience: "api://AzureADTokenExchange".into(),
        issuer: "https://issuer.example".into(),
        keys: issuer.keys(),
        subject: "system:serviceaccount:apps:reader".into(),
    };
    let cloud = cloud(vec![]);
    cloud.register(Application { federations: vec![federation], ..Application::new(&tenant(), "client") });
    let show = async |token: String| {
        let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields =
            [&with_secret("", SCOPE)[..3], &[("client_assertion_type", assertion_type), ("client_assertion", &token)]];
        log_in(&cloud, &fields.concat()).await.err()
    };
    let claims = json!({
        "iss": "https://issuer.example",
        "sub": "system:serviceaccount:apps:reader",
        "aud": ["api://AzureADTokenExchange"],
        "exp": Timestamp::now().as_second() + 60,
    });
    assert_eq!(show(issuer.sign(&claims)).await, None);
    assert_eq!(show(stranger.sign(&claims)).await, Some(50013));
    assert_eq!(show(issuer.sign_with(&json!({"alg": "HS256"}), &claims)).await, Some(50013));
    for (member, value, number) in [
        ("iss", json!("https://evil.example"), 700_211),
        ("sub", json!("system:serviceaccount:apps:other"), 700_213),
        ("aud", json!("kubernetes"), 700_212),
        ("exp", json!(1), 700_024),
        ("exp", Value::Null, 700_024),
        ("nbf", json!(4_000_000_000_u64), 700_024),
    ] {
        let mut claims = claims.clone();
        claims[member] = value;
        assert_eq!(show(issuer.sign(&claims)).await, Some(number), "{member}");
    }
}

#[tokio::test]
async fn the_metadata_service_wants_its_header_and_only_what_it_knows() {
    let cloud = cloud(vec![]);
    let url = |query: &str| format!("{}/metadata/identity/oauth2/token?{query}", cloud.url());
    let status = async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    let ask = async |query: &str, header: bool| {
        let request = client().get(url(query));
        status(if header { request.header("Metadata", "true") } else { request }).await
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
    let forwarded = client().get(url(good)).header("Metadata", "true").header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(status(forwarded).await, 400);
    assert_eq!(status(client().get(url(good)).header("Metadata", "True")).await, 400);
    assert_eq!(status(client().post(url(good)).header("Metadata", "true")).await, 405);
}

#[tokio::test]
async fn the_vault_wants_a_token_an_api_version_and_good_names() {
    let cloud = cloud(vec![]);
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let ask = async |method: Method, path: &str, token: &str| {
        let request = client().request(method, format!("{}{path}", cloud.url())).bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    };
    let get = async |path: &str| ask(Method::GET, path, &token).await.0;
    assert_eq!(get("/secrets/a?api-version=7.0").await, 200);
    assert_eq!(get("/secrets/a/?api-version=7.4").await, 200);
    assert_eq!(get("/secrets/b?api-version=7.0").await, 404);
    assert_eq!(get(&format!("/secrets/a/{}?api-version=7.0", "0".repeat(32))).await, 404);
    assert_eq!(get(&format!("/secrets/{}?api-version=7.0", "a".repeat(127))).await, 404);
    for path in [
        "/secrets/a",
        "/secrets/a?api-version=1.0",
        "/secrets/a?api-version=7.0&extra=1",
        "/secrets/a_b?api-version=7.0",
        "/secrets/a/xyz?api-version=7.0",
        "/secrets/a/0f?api-version=7.0",
        &format!("/secrets/{}?api-version=7.0", "a".repeat(128)),
        "/secrets?api-version=7.0&maxresults=0",
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
async fn a_page_goes_on_only_where_it_began() {
    let cloud = cloud(vec![]);
    cloud.put(Object::secret("b", "x"));
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let ask = async |url: String| client().get(url).bearer_auth(&token).send().await.expect("an answer");
    let first = ask(format!("{}/secrets?api-version=7.0&maxresults=1", cloud.url())).await;
    let next = first.json::<Value>().await.expect("JSON")["nextLink"].as_str().unwrap().to_owned();
    assert_eq!(ask(next.replace("/secrets?", "/keys?")).await.status(), StatusCode::BAD_REQUEST);
    let last: Value = ask(next).await.json().await.expect("JSON");
    assert!(last["value"][0]["id"].as_str().unwrap().ends_with("/secrets/b") && last["nextLink"].is_null());
}

#[tokio::test]
async fn who_may_not_read_may_not_in_capitals_either() {
    let cloud = cloud(vec![]);
    cloud.deny(Kind::Secret, "a");
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let answer = client().get(format!("{}/secrets/A?api-version=7.0", cloud.url())).bearer_auth(&token).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn faults_speak_the_words_of_each_service() {
    let cloud = cloud(vec![]);
    cloud.faults().set("*", Fault::Status { status: 429, retry_after: Some(3) });
    let body = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (429, b"3".as_slice()));
        answer.json::<Value>().await.expect("JSON")
    };
    assert_eq!(body(client().post(endpoint(&cloud))).await["error"], "temporarily_unavailable");
    assert_eq!(body(client().get(format!("{}/secrets/a", cloud.url()))).await["error"]["code"], "Throttled");
    let machine = body(client().get(format!("{}/metadata/identity/oauth2/token", cloud.url()))).await;
    assert_eq!(machine["error_description"], "Too Many Requests");
    let counts = ["RequestToken", "GetSecret", "GetManagedIdentityToken"].map(|name| cloud.counts().of(name));
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test]
async fn a_cloud_in_another_process_is_driven_over_http() {
    let cloud = AzureCloud::start().expect("a free port");
    let send = async |method: Method, path: &str, body: Value| {
        let request = client().request(method, format!("{}/_fake{path}", cloud.url())).json(&body);
        request.send().await.expect("an answer").error_for_status().unwrap();
    };
    let application = json!({"tenant": tenant(), "clientId": "client", "secrets": ["s"]});
    send(Method::PUT, "/applications", application).await;
    send(Method::PUT, "/objects", json!({"name": "a", "secret": "x", "tags": {"b": "c"}})).await;
    let token = log_in(&cloud, &with_secret("s", SCOPE)).await.unwrap();
    let read = async || {
        let url = format!("{}/secrets/a?api-version=7.0", cloud.url());
        client().get(url).bearer_auth(&token).send().await.expect("an answer").json::<Value>().await.expect("JSON")
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
