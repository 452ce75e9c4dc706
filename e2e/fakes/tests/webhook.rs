//! The fake server for webhook stores as a client sees it.

use keyferry_fakes::{faults::Fault, webhook::WebhookTarget};
use serde_json::{Value, json};

struct Client<'a>(&'a WebhookTarget);

impl Client<'_> {
    async fn send(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = reqwest::Client::new().request(method, format!("{}{path}", self.0.url()));
        if !token.is_empty() {
            request = request.header("Authorization", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, TOKEN, None).await
    }
}

const TOKEN: &str = "Bearer webhook-token";

#[tokio::test]
async fn a_key_is_read_by_path_and_by_body() {
    let server = WebhookTarget::start().expect("a free port");
    server.put("a/b", json!({"p": "one"}));
    server.put("a/b", json!({"p": "two"}));
    let client = Client(&server);
    let newest = json!({"key": "a/b", "version": 2, "value": {"p": "two"}});
    assert_eq!(client.get("/v1/secrets/a%2Fb?version=&property=").await, (200, newest));
    let old = json!({"key": "a/b", "version": 1, "value": "one"});
    assert_eq!(client.get("/v1/secrets/a%2Fb?version=1&property=p").await, (200, old.clone()));
    let question = json!({"key": "a/b", "version": "1", "property": "p", "namespace": "team"});
    assert_eq!(client.send("POST", "/v1/secrets", TOKEN, Some(question)).await, (200, old));
    assert_eq!((server.counts().of("read"), server.counts().of("ask")), (2, 1));
}

#[tokio::test]
async fn a_text_is_answered_as_it_is() {
    let server = WebhookTarget::start().expect("a free port");
    server.put("a", "it's plain");
    let request = reqwest::Client::new().get(format!("{}/v1/raw/a", server.url()));
    let answer = request.basic_auth("anybody", Some("webhook-token")).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "it's plain");
}

#[tokio::test]
async fn what_is_not_allowed_is_refused() {
    let server = WebhookTarget::start().expect("a free port");
    server.put("a", "x");
    server.put("closed", "x");
    server.deny("closed");
    let client = Client(&server);
    for (method, path, token, body, status) in [
        ("GET", "/v1/secrets/a", "", None, 401),
        ("GET", "/v1/secrets/a", "Bearer other", None, 401),
        ("GET", "/v1/secrets/a", "Basic other", None, 401),
        ("GET", "/v1/secrets/closed", TOKEN, None, 403),
        ("GET", "/v1/secrets/b", TOKEN, None, 404),
        ("GET", "/v1/secrets/a?version=2", TOKEN, None, 404),
        ("GET", "/v1/secrets/a?property=p", TOKEN, None, 404),
        ("GET", "/v1/secrets/a?other=1", TOKEN, None, 400),
        ("GET", "/v1/raw/a?version=1", TOKEN, None, 400),
        ("POST", "/v1/secrets?version=1", TOKEN, Some(json!({"key": "a"})), 400),
        ("GET", "/other", TOKEN, None, 404),
        ("PUT", "/v1/secrets/a", TOKEN, None, 405),
        ("POST", "/v1/secrets", TOKEN, Some(json!({"key": "a", "other": 1})), 422),
    ] {
        let (answered, refusal) = client.send(method, path, token, body).await;
        assert_eq!((answered, refusal["error"].is_string()), (status, true), "{method} {path}");
    }
}

#[tokio::test]
async fn it_is_driven_from_outside() {
    let server = WebhookTarget::start().expect("a free port");
    let client = Client(&server);
    let put = json!({"key": "a", "value": "x"});
    assert_eq!(client.send("PUT", "/_fake/values", "", Some(put)).await.0, 200);
    assert_eq!(client.send("GET", "/_fake/values", "", None).await, (200, json!({"a": 1})));
    assert_eq!(client.send("PUT", "/_fake/token", "", Some(json!({"token": "t"}))).await.0, 200);
    assert_eq!(client.get("/v1/secrets/a").await.0, 401);
    assert_eq!(client.send("GET", "/v1/secrets/a", "Bearer t", None).await.0, 200);
    assert_eq!(client.send("PUT", "/_fake/denied", "", Some(json!({"key": "a"}))).await.0, 200);
    assert_eq!(client.send("GET", "/v1/secrets/a", "Bearer t", None).await.0, 403);
    assert_eq!(client.send("DELETE", "/_fake/values?key=a", "", None).await.0, 204);
    server.faults().set_times("read", Fault::Status { status: 503, retry_after: None }, 1);
    assert_eq!(client.send("GET", "/v1/secrets/a", "Bearer t", None).await.0, 503);
    assert_eq!(client.send("GET", "/v1/secrets/a", "Bearer t", None).await.0, 404);
}
