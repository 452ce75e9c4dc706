//! The fake Google Cloud as a client sees it.

use std::time::Duration;

use axum::{Json, Router, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyferry_fakes::{
    faults::Fault,
    gcp::{Account, Cluster, Contents, GoogleCloud, Grant, Keys, Machine, Pool, Provider, Role, Secret, Settings},
    keys::Issuer,
    server::Listen,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use serde_json::{Value, json};

const READER: &str = "reader@p-1.iam.gserviceaccount.com";
const ACCESS: &str = "/v1/projects/p-1/secrets/a/versions/latest:access";
const POOL: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster";

fn cloud() -> GoogleCloud {
    let member = format!("serviceAccount:{READER}");
    let roles = [Role::Accessor, Role::Viewer].map(|role| Grant::new(&member, role, "p-1"));
    let contents = Contents {
        accounts: vec![Account::new(READER)],
        grants: roles.into(),
        secrets: vec![Secret::new("p-1", "a", b"value")],
        ..Contents::default()
    };
    GoogleCloud::start_with(Listen::default(), Settings::default(), contents).expect("a free port")
}

async fn form(cloud: &GoogleCloud, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}{path}", cloud.url())).form(fields);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn ask(cloud: &GoogleCloud, path: &str, token: &str) -> (u16, Value) {
    let request = reqwest::Client::new().get(format!("{}{path}", cloud.url())).bearer_auth(token);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// An assertion of the reader, with one claim or member of its header changed.
fn assertion(key: &Value, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let pair = KeyPair::from_pem(key["private_key"].as_str().expect("a key")).expect("a key");
    let now = Timestamp::now().as_second();
    let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]});
    let mut claims = json!({
        "iss": READER,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now,
        "exp": now + 3600,
    });
    change(&mut header, &mut claims);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()).expect("a signature")))
}

async fn login(cloud: &GoogleCloud, assertion: &str) -> (u16, Value) {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    form(cloud, "/token", &[("grant_type", grant), ("assertion", assertion)]).await
}

async fn token(cloud: &GoogleCloud) -> String {
    let key = cloud.make_key(READER).expect("the reader is there");
    let (status, answer) = login(cloud, &assertion(&key, |_, _| {})).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("Bearer")), "{answer}");
    answer["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn values_are_read_with_a_token_and_come_with_their_checksum() {
    let cloud = cloud();
    let (status, answer) = ask(&cloud, ACCESS, &token(&cloud).await).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["payload"], json!({"data": "dmFsdWU=", "dataCrc32c": crc32c::crc32c(b"value").to_string()}));
    let name = answer["name"].as_str().expect("a name");
    assert!(name.ends_with("/secrets/a/versions/1") && !name.contains("p-1"), "{name}");
    assert_eq!(ask(&cloud, ACCESS, "nonsense").await.0, 401);
    cloud.expire_tokens();
    assert_eq!(ask(&cloud, ACCESS, &token(&cloud).await).await.0, 200);
}

#[tokio::test]
async fn a_black_hole_is_one_projects() {
    let cloud = cloud();
    let token = token(&cloud).await;
    cloud.black_hole("p-2");
    let hangs = ask(&cloud, "/v1/projects/p-2/secrets/a/versions/latest:access", &token);
    tokio::select! {
        answer = hangs => panic!("{answer:?}"),
        (status, _) = async {
            // The other request is there before this one is sent.
            while cloud.counts().of("AccessSecretVersion") == 0 {
                tokio::task::yield_now().await;
            }
            ask(&cloud, ACCESS, &token).await
        } => assert_eq!(status, 200),
    }
}

#[tokio::test]
async fn an_assertion_is_checked_in_every_part() {
    type Change = fn(&mut Value, &mut Value);
    let cloud = cloud();
    let key = cloud.make_key(READER).expect("the reader is there");
    let changes: [(Change, &str); 9] = [
        (|header, _| header["alg"] = json!("HS256"), "invalid_grant"),
        (|header, _| header["kid"] = json!("other"), "invalid_grant"),
        (|_, claims| claims["iss"] = json!("nobody@p-1.iam.gserviceaccount.com"), "invalid_grant"),
        (|_, claims| claims["aud"] = json!("https://evil.example/token"), "invalid_grant"),
        (|_, claims| claims["exp"] = json!(1), "invalid_grant"),
        (|_, claims| claims["exp"] = json!(Timestamp::now().as_second() + 4000), "invalid_grant"),
        (|_, claims| claims["iat"] = json!(Timestamp::now().as_second() + 1000), "invalid_grant"),
        (|_, claims| claims["scope"] = json!(""), "invalid_scope"),
        (|_, claims| claims["sub"] = json!("somebody@example.com"), "unauthorized_client"),
    ];
    for (change, error) in changes {
        let assertion = assertion(&key, change);
        let (status, answer) = login(&cloud, &assertion).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{answer}");
    }
    let mut forged = assertion(&key, |_, _| {});
    forged.truncate(forged.len() - 8);
    assert_eq!(login(&cloud, &format!("{forged}AAAAAAAA")).await.0, 400);
    assert_eq!(cloud.counts().of("RequestToken"), 10);
}

#[tokio::test]
async fn what_the_api_does_not_have_is_refused() {
    let cloud = cloud();
    let token = token(&cloud).await;
    for path in [
        "/v1/projects/p-1/secrets?pagesize=1",
        "/v1/projects/p-1/secrets?pageSize=x",
        "/v1/projects/p-1/secrets?filter=name%3Da",
        "/v1/projects/p-1/secrets?filter=state:ENABLED",
        "/v1/projects/p-1/secrets?pageToken=x",
        "/v1/projects/p-1/secrets/a/versions?filter=name:a",
        "/v1/projects/p-1/secrets/a?filter=name:a",
    ] {
        let (status, answer) = ask(&cloud, path, &token).await;
        assert_eq!((status, &answer["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{path}: {answer}");
    }
    for path in ["/v1beta1/projects/p-1/secrets", "/v1/projects/p-1/secrets/a/versions/1:enable", "/v1/secrets"] {
        assert_eq!(ask(&cloud, path, &token).await, (404, Value::Null), "{path}");
    }
    let posted = reqwest::Client::new().post(format!("{}{ACCESS}", cloud.url())).bearer_auth(&token).send().await;
    assert_eq!(posted.expect("an answer").status().as_u16(), 405);
    for path in ["/token", "/v1/token", "/token?alt=json"] {
        let (status, answer) = form(&cloud, path, &[("grant", "x")]).await;
        assert_eq!((status, answer["error"].is_string()), (400, true), "{path}: {answer}");
    }
}

#[tokio::test]
async fn names_have_their_form() {
    let cloud = cloud();
    let token = token(&cloud).await;
    let long = "a".repeat(256);
    for path in [
        "secrets/a.b/versions/latest:access",
        "secrets/a%20b",
        &format!("secrets/{long}/versions"),
        "secrets/a/versions/1.0:access",
        "locations/eu%20west1/secrets",
    ] {
        let (status, answer) = ask(&cloud, &format!("/v1/projects/p-1/{path}"), &token).await;
        assert_eq!((status, &answer["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{path}: {answer}");
    }
    let longest = format!("/v1/projects/p-1/secrets/{}", &long[1..]);
    assert_eq!(ask(&cloud, &longest, &token).await.0, 404);
}

#[tokio::test]
async fn a_quota_project_must_be_one() {
    let cloud = cloud();
    let token = token(&cloud).await;
    let ask = async |project: &str| {
        let request = reqwest::Client::new().get(format!("{}{ACCESS}", cloud.url())).bearer_auth(&token);
        let answer = request.header("x-goog-user-project", project).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        answer["error"]["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((ask("p-1").await, ask("p-2").await), (String::new(), "USER_PROJECT_DENIED".to_owned()));
}

#[tokio::test]
async fn who_acts_as_another_says_how_and_may() {
    let cloud = cloud();
    let address = |name: &str| format!("{name}@p-1.iam.gserviceaccount.com");
    let member = |name: &str| format!("serviceAccount:{}", address(name));
    cloud.make_account(Account::new(&address("between")).used_by(&format!("serviceAccount:{READER}")));
    cloud.make_account(Account::new(&address("target")).used_by(&member("between")));
    let token = token(&cloud).await;
    let generate = async |bearer: &str, body: Value| {
        let url = format!("{}/v1/projects/-/serviceAccounts/{}:generateAccessToken", cloud.url(), address("target"));
        let answer = reqwest::Client::new().post(url).bearer_auth(bearer).json(&body).send().await;
        answer.expect("an answer").status().as_u16()
    };
    let between = format!("projects/-/serviceAccounts/{}", address("between"));
    let good = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"], "delegates": [between]});
    assert_eq!(generate(&token, good.clone()).await, 200);
    assert_eq!(generate("nonsense", good.clone()).await, 401);
    for (member, value, status) in [
        ("delegates", json!([address("between")]), 400),
        ("delegates", json!(["projects/p-1/serviceAccounts/between"]), 400),
        ("delegates", json!([]), 403),
        ("lifetime", json!("3601s"), 400),
        ("lifetime", json!("0s"), 400),
        ("lifetime", json!(3600), 400),
        ("lifetime", json!("3600s"), 200),
        ("scope", json!([]), 400),
        ("scope", json!("https://www.googleapis.com/auth/cloud-platform"), 400),
        ("other", json!(1), 400),
    ] {
        let mut body = good.clone();
        body[member] = value.clone();
        assert_eq!(generate(&token, body).await, status, "{member} {value}");
    }
}

#[tokio::test]
async fn faults_speak_the_words_of_each_service() {
    let cloud = cloud();
    let token = token(&cloud).await;
    cloud.faults().set("*", Fault::Status { status: 429, retry_after: Some(3) });
    let (_, secret) = ask(&cloud, ACCESS, &token).await;
    assert_eq!(secret["error"]["status"], "RESOURCE_EXHAUSTED");
    let (_, login) = form(&cloud, "/token", &[]).await;
    assert_eq!(login["error"], "rate_limit_exceeded");
    let metadata = reqwest::get(format!("{}/computeMetadata/v1/project/project-id", cloud.url())).await;
    let metadata = metadata.expect("an answer");
    assert_eq!((metadata.status().as_u16(), &metadata.headers()["retry-after"]), (429, &"3".parse().expect("text")));
    assert!(metadata.text().await.expect("text").starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn only_who_may_see_the_project_is_told_that_something_is_missing() {
    let cloud = cloud();
    let missing = "/v1/projects/p-1/secrets/missing/versions/latest:access";
    let (status, answer) = ask(&cloud, missing, &token(&cloud).await).await;
    assert_eq!((status, &answer["error"]["status"]), (404, &json!("NOT_FOUND")));
    let (status, answer) = ask(&cloud, &missing.replace("p-1", "p-2"), &token(&cloud).await).await;
    assert_eq!((status, &answer["error"]["details"][0]["reason"]), (403, &json!("CONSUMER_INVALID")));
}

#[tokio::test]
async fn the_metadata_server_answers_only_who_names_it() {
    let cloud = cloud();
    let url = format!("{}/computeMetadata/v1/project/project-id", cloud.url());
    let client = reqwest::Client::new();
    let asked = |flavor: &'static str| client.get(&url).header("Metadata-Flavor", flavor).send();
    assert_eq!(asked("Google").await.expect("an answer").status().as_u16(), 404);
    let project = "p-1".to_owned();
    cloud.run_on(Machine { attributes: [].into(), aws: None, email: READER.to_owned(), project });
    assert_eq!(asked("Vanilla").await.expect("an answer").status().as_u16(), 403);
    let answer = asked("Google").await.expect("an answer");
    assert_eq!(answer.headers()["metadata-flavor"], "Google");
    assert_eq!(answer.text().await.expect("text"), "p-1");
    let status = async |request: reqwest::RequestBuilder| {
        request.header("Metadata-Flavor", "Google").send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status(client.get(&url).header("X-Forwarded-For", "10.0.0.1")).await, 403);
    assert_eq!(status(client.get(format!("{url}?alt=json"))).await, 400);
    assert_eq!(status(client.post(&url)).await, 405);
    assert_eq!(status(client.get(url.replace("/v1/", "/v1//computeMetadata/v1/"))).await, 404);
}

#[tokio::test]
async fn federated_tokens_are_checked_with_the_keys_that_their_issuer_publishes() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let point = pair.der_bytes();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k", "x": x, "y": y}]});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/openid/v1/jwks", listener.local_addr().expect("an address"));
    let issuer = Router::new().route("/openid/v1/jwks", get(async move || Json(jwks)));
    tokio::spawn(async move { axum::serve(listener, issuer).await });

    let cloud = cloud();
    let provider = Provider::Oidc {
        audiences: vec![],
        issuer: "https://issuer.example".to_owned(),
        keys: Keys::Jwks { ca_file: None, url },
    };
    cloud.make_pool(Pool { audience: POOL.to_owned(), provider, subjects: [].into() });
    let exchange = async |issuer: &str, audience: &str, kid: &str| {
        let part = |value: Value| encoded(value.to_string().as_bytes());
        let now = Timestamp::now().as_second();
        let claims = json!({"iss": issuer, "aud": [audience], "sub": "me", "iat": now, "exp": now + 60});
        let message = format!("{}.{}", part(json!({"alg": "ES256", "kid": kid})), part(claims));
        let der = pair.sign(message.as_bytes()).expect("a signature");
        let subject = format!("{message}.{}", encoded(&fixed(&der)));
        let fields = [
            ("audience", POOL),
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("scope", "https://www.googleapis.com/auth/cloud-platform"),
            ("subject_token", &subject),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        let (status, answer) = form(&cloud, "/v1/token", &fields).await;
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let good = "https://issuer.example";
    assert_eq!(exchange(good, POOL, "k").await, (200, String::new()));
    assert_eq!(exchange(good, &format!("https:{POOL}"), "k").await, (200, String::new()));
    for (issuer, audience, kid) in [("https://other", POOL, "k"), (good, "sts.amazonaws.com", "k"), (good, POOL, "x")] {
        assert_eq!(
            exchange(issuer, audience, kid).await,
            (400, "invalid_grant".to_owned()),
            "{issuer} {audience} {kid}"
        );
    }
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What is wrong with a ServiceAccount's token, header and claims.
fn flawed_tokens(issuer: &Issuer, audience: &str) -> Vec<(&'static str, String)> {
    type Change = fn(&mut Value, &mut Value);
    let changes: [(&str, Change); 9] = [
        ("no issue", |_, claims| claims["iat"] = Value::Null),
        ("no end", |_, claims| claims["exp"] = Value::Null),
        ("long life", |_, claims| claims["exp"] = json!(Timestamp::now().as_second() + 48 * 3600)),
        ("expired", |_, claims| claims["exp"] = json!(1)),
        ("future issue", |_, claims| claims["iat"] = json!(Timestamp::now().as_second() + 1000)),
        ("early", |_, claims| claims["nbf"] = json!(Timestamp::now().as_second() + 1000)),
        ("issuer", |_, claims| claims["iss"] = json!("https://evil.example")),
        ("audience", |_, claims| claims["aud"] = json!("other")),
        ("no key", |header, _| header["kid"] = Value::Null),
    ];
    let flawed = changes.map(|(what, change)| {
        let (mut header, mut claims) = (json!({"alg": "RS256", "kid": "k"}), claims(audience));
        change(&mut header, &mut claims);
        (what, issuer.sign_with(&header, &claims))
    });
    let stranger = [("stranger", Issuer::default().sign(&claims(audience)))];
    flawed.into_iter().chain(stranger).collect()
}

fn claims(audience: &str) -> Value {
    let now = Timestamp::now().as_second();
    let subject = "system:serviceaccount:apps:reader";
    json!({"iss": "https://issuer.example", "aud": [audience], "sub": subject, "iat": now, "exp": now + 900})
}

#[tokio::test]
async fn a_federated_token_is_checked_in_every_part() {
    let (cloud, issuer) = (cloud(), Issuer::default());
    let (name, keys) = ("https://issuer.example".to_owned(), issuer.keys());
    let provider = Provider::Oidc { audiences: vec![], issuer: name, keys };
    cloud.make_pool(Pool { audience: POOL.to_owned(), provider, subjects: [].into() });
    let exchange = async |change: &[(&'static str, &str)]| {
        let good = issuer.sign(&claims(POOL));
        let mut fields = std::collections::BTreeMap::from([
            ("audience", POOL),
            ("grant_type", EXCHANGE),
            ("requested_token_type", ACCESS_TOKEN),
            ("scope", SCOPE),
            ("subject_token", &good),
            ("subject_token_type", JWT),
        ]);
        fields.extend(change.iter().copied());
        let fields: Vec<_> = fields.into_iter().collect();
        let (status, answer) = form(&cloud, "/v1/token", &fields).await;
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(exchange(&[]).await, (200, String::new()));
    for (what, token) in flawed_tokens(&issuer, POOL) {
        assert_eq!(exchange(&[("subject_token", &token)]).await, (400, "invalid_grant".to_owned()), "{what}");
    }
    let mut long = claims(POOL);
    long["sub"] = json!("a".repeat(128));
    assert_eq!(exchange(&[("subject_token", &issuer.sign(&long))]).await.1, "invalid_grant");
    for (field, value, error) in [
        ("scope", "", "invalid_request"),
        ("subject_token", "", "invalid_request"),
        ("requested_token_type", JWT, "invalid_request"),
        ("subject_token_type", "urn:ietf:params:aws:token-type:aws4_request", "invalid_request"),
        ("grant_type", "client_credentials", "invalid_request"),
        ("audience", "//iam.googleapis.com/other", "invalid_target"),
        ("other", "x", "invalid_request"),
    ] {
        assert_eq!(exchange(&[(field, value)]).await, (400, error.to_owned()), "{field}");
    }
    let json = reqwest::Client::new().post(format!("{}/v1/token", cloud.url())).json(&json!({})).send().await;
    assert_eq!(json.expect("an answer").status().as_u16(), 400);
}

#[tokio::test]
async fn a_clusters_token_is_checked_in_every_part() {
    let (cloud, issuer) = (cloud(), Issuer::default());
    cloud.make_cluster(Cluster {
        issuer: "https://issuer.example".to_owned(),
        keys: issuer.keys(),
        location: "l".to_owned(),
        name: "c".to_owned(),
        project: "p-1".to_owned(),
    });
    let pool = "p-1.svc.id.goog";
    let cluster = "https://container.googleapis.com/v1/projects/p-1/locations/l/clusters/c";
    let bind = async |member: &str, value: Value| {
        let mut body = json!({
            "audience": format!("identitynamespace:{pool}:{cluster}"),
            "grant_type": EXCHANGE,
            "requested_token_type": ACCESS_TOKEN,
            "scope": SCOPE,
            "subject_token": issuer.sign(&claims(pool)),
            "subject_token_type": JWT,
        });
        body[member] = value;
        let request = reqwest::Client::new().post(format!("{}/v1/identitybindingtoken", cloud.url())).json(&body);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(bind("scope", json!(SCOPE)).await, 200);
    for (what, token) in flawed_tokens(&issuer, pool) {
        assert_eq!(bind("subject_token", json!(token)).await, 400, "{what}");
    }
    let mut person = claims(pool);
    person["sub"] = json!("somebody");
    assert_eq!(bind("subject_token", json!(issuer.sign(&person))).await, 400);
    for (member, value) in
        [("audience", json!("other")), ("grant_type", json!("other")), ("scope", Value::Null), ("other", json!(1))]
    {
        assert_eq!(bind(member, value).await, 400, "{member}");
    }
}

/// The two numbers of a signature in ASN.1, each in 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let first = usize::from(der[3]);
    let (r, s) = (&der[4..4 + first], &der[6 + first..]);
    [r, s]
        .into_iter()
        .flat_map(|number| {
            let padded = [vec![0; 32], number.to_vec()].concat();
            padded[padded.len() - 32..].to_vec()
        })
        .collect()
}

#[tokio::test]
async fn a_cloud_in_another_process_is_driven_over_http() {
    let cloud = GoogleCloud::start().expect("a free port");
    let client = reqwest::Client::new();
    let put = async |path: &str, body: Value| {
        let request = client.put(format!("{}/_fake/{path}", cloud.url())).json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    };
    put("accounts", json!({"email": READER})).await;
    for role in ["accessor", "viewer"] {
        put("grants", json!({"member": format!("serviceAccount:{READER}"), "project": "p-1", "role": role})).await;
    }
    put("secrets", json!({"project": "p-1", "name": "a", "value": "x", "labels": {"env": "prod"}})).await;
    put("secrets", json!({"project": "p-1", "name": "a", "value": "y"})).await;
    put("secrets/state", json!({"project": "p-1", "name": "a", "version": 2, "state": "DISABLED"})).await;
    put("pools", json!({"audience": POOL, "provider": {"aws": {"account": "1", "keys": {"a": "b"}}}})).await;
    let keys = json!({"jwks": {"url": "https://127.0.0.1:6443/openid/v1/jwks", "caFile": "/ca.pem"}});
    put("clusters", json!({"issuer": "i", "keys": keys, "location": "l", "name": "c", "project": "p-1"})).await;
    put("machine", json!({"email": READER, "project": "p-1"})).await;

    let keys = client.post(format!("{}/_fake/accounts/keys", cloud.url())).json(&json!({"email": READER}));
    let key: Value = keys.send().await.expect("an answer").json().await.expect("a key file");
    let (_, answer) = login(&cloud, &assertion(&key, |_, _| {})).await;
    let token = answer["access_token"].as_str().expect("a token");
    let (status, answer) = ask(&cloud, ACCESS, token).await;
    assert_eq!((status, &answer["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
    let (_, answer) = ask(&cloud, "/v1/projects/p-1/secrets?filter=labels.env%3Dprod", token).await;
    assert_eq!(answer["secrets"][0]["labels"], json!({"env": "prod"}), "{answer}");
    let numbers = "/v1/projects/p-1/secrets/a/versions?filter=state:ENABLED&$alt=json;enum-encoding=int";
    let (_, answer) = ask(&cloud, numbers, token).await;
    assert_eq!(answer["versions"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["versions"][0]["state"], 1);

    let removed = client.delete(format!("{}/_fake/secrets?project=p-1&name=a", cloud.url())).send().await;
    assert_eq!(removed.expect("an answer").status().as_u16(), 204);
    assert_eq!(ask(&cloud, ACCESS, token).await.0, 404);
}

#[tokio::test]
async fn tokens_end_when_their_time_has_come() {
    let settings = Settings { token_ttl: Duration::ZERO, ..Settings::default() };
    let contents = Contents { accounts: vec![Account::new(READER)], ..Contents::default() };
    let cloud = GoogleCloud::start_with(Listen::default(), settings, contents).expect("a free port");
    let (status, answer) = ask(&cloud, ACCESS, &token(&cloud).await).await;
    assert_eq!((status, &answer["error"]["details"][0]["reason"]), (401, &json!("ACCESS_TOKEN_EXPIRED")));
}
