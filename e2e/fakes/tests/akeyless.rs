//! The fake Akeyless gateway as a client sees it.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_fakes::{
    akeyless::{Access, AkeylessGateway, Contents, Item, ItemType, Method, Settings},
    faults::Fault,
    keys::Issuer,
    server::{Certificate, Listen},
    token_review::Review,
};
use serde_json::{Value, json};

const NAME: &str = "/app/db/password";

fn gateway(settings: Settings) -> AkeylessGateway {
    let contents = Contents {
        access: vec![Access::api_key("p-all", "k"), Access::api_key("p-app", "k").limited_to(&["/app/*"])],
        items: vec![
            Item::secret(NAME, "one").tagged(&["db"]),
            Item::rotated("/app/rotated", json!({"payload": "p"})),
            Item::dynamic("/app/dynamic", json!({"user": "u-{serial}"})),
            Item::certificate("/app/certificate", "CERT", "KEY"),
            Item::new("/app/key", ItemType::Key, Value::Null),
            Item::secret("/other/secret", "two"),
        ],
    };
    AkeylessGateway::start_with(Listen::default(), settings, contents).expect("a free port")
}

async fn post(url: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{url}{path}")).json(&body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

struct Client<'a> {
    url: &'a str,
    token: String,
}

impl<'a> Client<'a> {
    async fn login(gateway: &'a AkeylessGateway, access_id: &str) -> Self {
        let (status, answer) = post(gateway.url(), "/auth", json!({"access-id": access_id, "access-key": "k"})).await;
        assert_eq!(status, 200, "{answer}");
        Self { url: gateway.url(), token: answer["token"].as_str().expect("a token").to_owned() }
    }

    async fn call(&self, command: &str, mut body: Value) -> (u16, Value) {
        body["token"] = json!(self.token);
        post(self.url, &format!("/{command}"), body).await
    }

    async fn value(&self, name: &str) -> Value {
        let (status, answer) = self.call("get-secret-value", json!({"names": [name]})).await;
        assert_eq!(status, 200, "{answer}");
        answer[name].clone()
    }

    async fn names(&self, query: Value) -> Vec<String> {
        let (status, answer) = self.call("list-items", query).await;
        assert_eq!(status, 200, "{answer}");
        let items = answer["items"].as_array().expect("items").iter();
        items.map(|item| item["item_name"].as_str().expect("a name").to_owned()).collect()
    }
}

#[tokio::test]
async fn every_base_answers_and_nothing_else() {
    let gateway = gateway(Settings::default());
    for base in ["", "/v2", "/api/v2"] {
        let login = json!({"access-id": "p-all", "access-key": "k"});
        assert_eq!(post(gateway.url(), &format!("{base}/auth"), login).await.0, 200, "{base}");
        let (_, answer) = post(gateway.url(), base, json!({})).await;
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("unknown command")), "{base}");
    }
    assert_eq!(post(gateway.url(), "/v3/auth", json!({})).await, (404, Value::Null));
    let get = reqwest::get(format!("{}/auth", gateway.url())).await.expect("an answer");
    assert_eq!(get.status().as_u16(), 405);
}

#[tokio::test]
async fn logins_are_checked() {
    let gateway = gateway(Settings::default());
    let status = async |body| post(gateway.url(), "/auth", body).await.0;
    assert_eq!(status(json!({"access-id": "p-all", "access-key": "k", "access-type": "access_key"})).await, 200);
    assert_eq!(status(json!({"access-id": "p-all", "access-key": "wrong"})).await, 401);
    assert_eq!(status(json!({"access-id": "p-none", "access-key": "k"})).await, 401);
    assert_eq!(status(json!({"access-id": "p-all", "access-type": "gcp", "cloud-id": "x"})).await, 401);
    assert_eq!(status(json!({"access-id": "p-all"})).await, 400);
    let login = json!({"access-id": "p-all", "access-key": "k"});
    assert_eq!(post(gateway.url(), "/auth?debug=true", login.clone()).await.0, 400);
    let form = reqwest::Client::new().post(format!("{}/auth", gateway.url())).form(&login).send().await;
    assert_eq!(form.expect("an answer").status().as_u16(), 400);
    assert_eq!(status(json!({"access-key": "k"})).await, 400);
    assert_eq!(status(json!({"access-id": "p-all", "access-key": "k", "accessKey": "k"})).await, 400);
    let review = Review::Keys(Issuer::default().keys());
    gateway.grant(Access::new("p-k8s", Method::K8s { config_name: "c".into(), review, subjects: vec![] }));
    let kubernetes = json!({"access-id": "p-k8s", "access-type": "k8s", "k8s-auth-config-name": "other",
        "k8s-service-account-token": "x"});
    assert_eq!(status(kubernetes).await, 404);
}

/// Of each cloud one thing after the other is wrong.
#[tokio::test]
async fn identities_of_clouds_are_checked_with_the_clouds_keys() {
    let gateway = gateway(Settings::default());
    let (cloud, stranger) = (Issuer::default(), Issuer::default());
    let (keys, audience) = (cloud.keys(), "akeyless.io".to_owned());
    let object_id = Some("object".to_owned());
    gateway.grant(Access::new("p-azure", Method::AzureAd { keys: keys.clone(), object_id, tenant: "t".into() }));
    gateway.grant(Access::new("p-gcp", Method::Gcp { audience, keys: keys.clone() }));
    gateway.grant(Access::new("p-aws", Method::AwsIam { keys: [].into() }));
    let review = Review::Keys(keys);
    gateway.grant(Access::new("p-k8s", Method::K8s { config_name: "c".into(), review, subjects: vec!["me".into()] }));
    let azure = json!({"iss": "https://sts.windows.net/t/", "aud": "https://management.azure.com/", "oid": "object"});
    let gcp = json!({"iss": "https://accounts.google.com", "aud": "akeyless.io"});
    let login = async |kind: &str, token: &str| {
        let mut body = json!({"access-id": format!("p-{kind}"), "k8s-auth-config-name": "c"});
        let (kind, field) = match kind {
            "azure" => ("azure_ad", "cloud-id"),
            "aws" => ("aws_iam", "cloud-id"),
            "k8s" => ("k8s", "k8s-service-account-token"),
            kind => (kind, "cloud-id"),
        };
        (body["access-type"], body[field]) = (json!(kind), json!(STANDARD.encode(token)));
        post(gateway.url(), "/auth", body).await.0
    };
    for (kind, claims, wrong) in [
        ("azure", azure, vec![("iss", "https://sts.windows.net/u/"), ("aud", "other"), ("oid", "other")]),
        ("gcp", gcp, vec![("iss", "https://evil.example"), ("aud", "other")]),
        ("k8s", json!({"sub": "me"}), vec![("sub", "other")]),
    ] {
        assert_eq!(login(kind, &cloud.sign(&claims)).await, 200, "{kind}");
        assert_eq!(login(kind, &stranger.sign(&claims)).await, 401, "{kind}");
        assert_eq!(login(kind, &cloud.sign_with(&json!({"alg": "none"}), &claims)).await, 401, "{kind}");
        for (name, value) in wrong {
            let mut claims = claims.clone();
            claims[name] = json!(value);
            assert_eq!(login(kind, &cloud.sign(&claims)).await, 401, "{kind} {name}");
        }
        for (name, value) in [("exp", 1_u64), ("nbf", 4_000_000_000)] {
            let mut claims = claims.clone();
            claims[name] = json!(value);
            assert_eq!(login(kind, &cloud.sign(&claims)).await, 401, "{kind} {name}");
        }
    }
    assert_eq!(login("aws", "{}").await, 401);
}

#[tokio::test]
async fn tokens_end_and_are_needed() {
    let gateway = gateway(Settings::default());
    let client = Client::login(&gateway, "p-all").await;
    assert_eq!(client.value(NAME).await, "one");
    gateway.expire_tokens();
    assert_eq!(client.call("get-secret-value", json!({"names": [NAME]})).await.0, 401);
    assert_eq!(post(gateway.url(), "/describe-item", json!({"name": NAME})).await.0, 401);
    let client = Client::login(&gateway, "p-all").await;
    let universal = json!({"name": NAME, "uid-token": client.token});
    assert_eq!(post(gateway.url(), "/describe-item", universal).await.0, 401);
    gateway.revoke("p-all");
    assert_eq!(client.call("describe-item", json!({"name": NAME})).await.0, 401);
}

#[tokio::test]
async fn a_role_sees_only_its_items() {
    let gateway = gateway(Settings::default());
    let client = Client::login(&gateway, "p-app").await;
    assert_eq!(client.call("describe-item", json!({"name": "/other/secret"})).await.0, 403);
    assert_eq!(client.call("get-secret-value", json!({"names": ["/other/secret"]})).await.0, 403);
    assert!(!client.names(json!({})).await.contains(&"/other/secret".to_owned()));
}

#[tokio::test]
async fn items_are_described_and_read_by_type() {
    let gateway = gateway(Settings::default());
    let client = Client::login(&gateway, "p-all").await;
    for (name, kind, command, body) in [
        (NAME, "STATIC_SECRET", "get-secret-value", json!({"names": [NAME]})),
        ("/app/rotated", "ROTATED_SECRET", "get-rotated-secret-value", json!({"names": "/app/rotated"})),
        ("/app/dynamic", "DYNAMIC_SECRET", "get-dynamic-secret-value", json!({"name": "/app/dynamic"})),
        ("/app/certificate", "CERTIFICATE", "get-certificate-value", json!({"name": "/app/certificate"})),
    ] {
        let (_, item) = client.call("describe-item", json!({"name": name})).await;
        assert_eq!((item["item_type"].as_str(), item["item_name"].as_str()), (Some(kind), Some(name)));
        assert_eq!(client.call(command, body).await.0, 200, "{name}");
        let (status, refusal) = client.call("get-secret-value", json!({"names": [name]})).await;
        assert_eq!(status, if name == NAME { 200 } else { 400 }, "{refusal}");
    }
    assert_eq!(client.call("describe-item", json!({"name": "/app/none"})).await.0, 404);
    assert_eq!(client.call("describe-item", json!({})).await.0, 400);
    let first = client.call("get-dynamic-secret-value", json!({"name": "/app/dynamic"})).await;
    assert_ne!(first, client.call("get-dynamic-secret-value", json!({"name": "/app/dynamic"})).await);
}

#[tokio::test]
async fn several_names_are_read_together_unless_one_is_bad() {
    let names = json!({"names": [NAME, "/other/secret", "/none"]});
    let strict = gateway(Settings::default());
    let client = Client::login(&strict, "p-all").await;
    let (_, both) = client.call("get-secret-value", json!({"names": [NAME, "other/secret"]})).await;
    assert_eq!(both, json!({NAME: "one", "other/secret": "two"}));
    assert_eq!(client.call("get-secret-value", names.clone()).await.0, 404);
    let lenient = gateway(Settings { partial_batches: true, ..Settings::default() });
    let client = Client::login(&lenient, "p-all").await;
    assert_eq!(client.call("get-secret-value", names).await, (200, json!({NAME: "one", "/other/secret": "two"})));
}

#[tokio::test]
async fn versions_can_be_asked_for() {
    let gateway = gateway(Settings::default());
    gateway.rotate(NAME, "two");
    let client = Client::login(&gateway, "p-all").await;
    let read = async |version| client.call("get-secret-value", json!({"names": [NAME], "version": version})).await;
    assert_eq!(read(0).await.1[NAME], "two");
    assert_eq!(read(1).await.1[NAME], "one");
    assert_eq!(read(3).await.0, 404);
}

#[tokio::test]
async fn listings_are_filtered_and_paged() {
    let gateway = gateway(Settings { page: 2, ..Settings::default() });
    let client = Client::login(&gateway, "p-all").await;
    assert_eq!(client.names(json!({})).await.len(), 6);
    assert_eq!(client.names(json!({"filter": "/db/"})).await, [NAME]);
    assert_eq!(client.names(json!({"path": "/app", "current-folder": true})).await.len(), 4);
    assert_eq!(client.names(json!({"tag": "db"})).await, [NAME]);
    assert_eq!(client.names(json!({"type": ["rotated-secret"]})).await, ["/app/rotated"]);
    let mut seen = Vec::new();
    let mut page = String::new();
    loop {
        let query = json!({"auto-pagination": "disabled", "pagination-token": page, "type": ["static-secret", "key"]});
        let (_, answer) = client.call("list-items", query).await;
        seen.push(answer["items"].as_array().expect("items").len());
        page = answer["next_page"].as_str().expect("a text").to_owned();
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [2, 1]);
    assert_eq!(client.call("list-items", json!({"type": ["secret"]})).await.0, 400);
    assert_eq!(client.call("list-items", json!({"pagination-token": "?"})).await.0, 400);
    assert_eq!(client.call("list-items", json!({"auto-pagination": "off"})).await.0, 400);
}

#[tokio::test]
async fn the_cache_hides_a_rotation_until_it_is_passed_by() {
    let gateway = gateway(Settings { cache: true, ..Settings::default() });
    let client = Client::login(&gateway, "p-all").await;
    assert_eq!(client.value(NAME).await, "one");
    gateway.rotate(NAME, "two");
    assert_eq!(client.value(NAME).await, "one");
    let (_, fresh) = client.call("get-secret-value", json!({"names": [NAME], "ignore-cache": "true"})).await;
    assert_eq!(fresh[NAME], "two");
    gateway.flush_cache();
    assert_eq!(client.value(NAME).await, "two");
}

#[tokio::test]
async fn calls_are_counted_and_faults_strike() {
    let gateway = gateway(Settings::default());
    let client = Client::login(&gateway, "p-all").await;
    let read = async || {
        let body = json!({"names": [NAME], "token": client.token});
        let request = reqwest::Client::new().post(format!("{}/v2/get-secret-value", gateway.url())).json(&body);
        request.timeout(Duration::from_millis(300)).send().await
    };
    let faults = gateway.faults();
    faults.set_times("get-secret-value", Fault::Status { status: 429, retry_after: Some(7) }, 1);
    let answer = read().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (429, b"7".as_slice()));
    assert!(answer.json::<Value>().await.expect("JSON")["error"].is_string());
    assert_eq!(read().await.expect("an answer").status().as_u16(), 200);
    faults.set_times("get-secret-value", Fault::Empty, 1);
    assert_eq!(read().await.expect("an answer").text().await.expect("a body"), "");
    let true_answer = read().await.expect("an answer").text().await.expect("a body");
    for fault in [Fault::Truncated, Fault::Drip { millis: 1 }, Fault::Delay { millis: 1 }] {
        faults.set_times("get-secret-value", fault.clone(), 1);
        let text = read().await.expect("an answer").text().await.expect("a body");
        let expected = if fault == Fault::Truncated { &true_answer[..true_answer.len() / 2] } else { &true_answer };
        assert_eq!(text, expected, "{fault:?}");
    }
    faults.set("get-secret-value", Fault::HangUp);
    assert!(read().await.is_err_and(|error| !error.is_timeout()));
    faults.set("*", Fault::BlackHole);
    faults.clear("get-secret-value");
    assert!(read().await.is_err_and(|error| error.is_timeout()));
    assert_eq!((gateway.counts().of("auth"), gateway.counts().of("get-secret-value")), (1, 9));
}

#[tokio::test]
async fn a_gateway_goes_down_and_comes_up_with_all_it_knew() {
    let gateway = gateway(Settings::default());
    let client = Client::login(&gateway, "p-all").await;
    gateway.server().down().await;
    assert!(reqwest::get(gateway.url()).await.is_err_and(|error| error.is_connect()));
    gateway.server().up().await.expect("the same port");
    assert_eq!(client.value(NAME).await, "one");
}

#[tokio::test]
async fn another_process_can_drive_it() {
    let gateway = AkeylessGateway::start().expect("a free port");
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}/_fake/{path}", gateway.url());
    let put = async |path: &str, body: Value| http.put(url(path)).json(&body).send().await.expect("an answer").status();
    assert!(put("access", json!({"id": "p-1", "type": "api_key", "key": "k"})).await.is_success());
    assert!(put("items", json!({"name": "/a", "value": "1", "tags": ["t"]})).await.is_success());
    assert!(put("items", json!({"name": "/a", "vlaue": "1"})).await.is_client_error());
    let client = Client::login(&gateway, "p-1").await;
    assert_eq!(client.value("/a").await, "1");
    let rotation = json!({"name": "/a", "value": "2"});
    let rotated = http.post(url("items/rotate")).json(&rotation).send().await.expect("an answer");
    assert!(rotated.status().is_success());
    assert_eq!(client.value("/a").await, "2");
    let items: Value = http.get(url("items")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(items, json!([{"name": "/a", "type": "static", "tags": ["t"], "versions": 2}]));
    assert!(put("faults/*", json!({"kind": "status", "status": 503})).await.is_success());
    assert_eq!(client.call("describe-item", json!({"name": "/a"})).await.0, 503);
    http.delete(url("faults")).send().await.expect("an answer");
    let counts: Value = http.get(url("counts")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(counts, json!({"auth": 1, "describe-item": 1, "get-secret-value": 2}));
    http.post(url("tokens/expire")).send().await.expect("an answer");
    assert_eq!(client.call("describe-item", json!({"name": "/a"})).await.0, 401);
    let client = Client::login(&gateway, "p-1").await;
    assert!(http.delete(url("items?name=/a")).send().await.expect("an answer").status().is_success());
    assert_eq!(client.call("describe-item", json!({"name": "/a"})).await.0, 404);
    assert!(http.delete(url("access?id=p-1")).send().await.expect("an answer").status().is_success());
    assert_eq!(post(gateway.url(), "/auth", json!({"access-id": "p-1", "access-key": "k"})).await.0, 401);
}

#[tokio::test]
async fn it_speaks_https() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let certificate = Certificate { chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let listen = Listen { tls: Some(certificate), ..Listen::default() };
    let gateway = AkeylessGateway::start_with(listen, Settings::default(), Contents::default()).expect("a free port");
    assert!(reqwest::Client::new().post(gateway.url()).send().await.is_err());
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM");
    let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
    let text = client.post(gateway.url()).send().await.expect("an answer").text().await.expect("a body");
    assert!(text.contains("unknown command"), "{text}");
}
