//! What goes over the wire, and what becomes of each answer.

use std::{
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use keyferry_core::{Call, CallObserver, Error, ErrorKind, Retry, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, LineLogin, Lines, Tls};
use keyferry_testkit::{Reply, ScriptedServer};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Call>>);

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("not poisoned").push(call);
    }
}

impl Heard {
    fn outcomes(&self) -> Vec<Result<(), ErrorKind>> {
        self.0.lock().expect("not poisoned").iter().map(|call| call.outcome).collect()
    }
}

struct Rig {
    server: ScriptedServer,
    client: Client,
    heard: Arc<Heard>,
}

async fn rig(reply: Reply) -> Rig {
    let heard = Arc::new(Heard::default());
    let client = Client::new("Test", &Tls::default(), Arc::clone(&heard) as _).expect("a client");
    Rig { server: ScriptedServer::answering(move |_| reply.clone()).await, client, heard }
}

impl Rig {
    async fn send(&self) -> Result<Answer, Error> {
        let url = BaseUrl::parse(&self.server.url()).expect("a URL").join("v1/a").expect("a path");
        self.client.get("Read", url).about("the secret a").send().await
    }

    async fn read(&self) -> Result<Held, Error> {
        self.send().await?.json()
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Held {
    #[serde(deserialize_with = "keyferry_rest::secret")]
    value: SecretBytes,
}

async fn failure(reply: Reply) -> Error {
    let rig = rig(reply).await;
    let error = rig.read().await.expect_err("a failure");
    assert_eq!(rig.heard.outcomes(), [Err(error.kind)], "the observer hears what the caller gets");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    error
}

#[tokio::test]
async fn a_request_carries_what_was_written() {
    let rig = rig(Reply::json(200, &json!({}))).await;
    let url = BaseUrl::parse(&rig.server.url()).expect("a URL").join("v1/a b").expect("a path");
    let answer = rig
        .client
        .post("Login", url)
        .header("X-Plain", "p")
        .secret_header("X-Token", &SecretBytes::from("t"))
        .bearer(&SecretBytes::from("b"))
        .query("version", "1&2")
        .json(&json!({"role": "web"}))
        .send()
        .await;
    assert!(answer.is_ok_and(|answer| answer.is_success()));
    let [request] = rig.server.finish().try_into().expect("one request");
    assert_eq!(request.line(), "POST /v1/a%20b?version=1%262");
    assert_eq!(["x-plain", "x-token", "authorization"].map(|name| request.header(name)), ["p", "t", "Bearer b"]);
    assert_eq!(request.json(), json!({"role": "web"}));
    assert!(request.header("user-agent").starts_with("keyferry/"));
}

#[tokio::test]
async fn a_form_is_sent_as_one() {
    let rig = rig(Reply::json(200, &json!({}))).await;
    let url = BaseUrl::parse(&rig.server.url()).expect("a URL").join("token").expect("a path");
    assert!(rig.client.post("Token", url).form(&[("grant_type", "x y"), ("s", "&")]).send().await.is_ok());
    let [request] = rig.server.finish().try_into().expect("one request");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(request.text(), "grant_type=x+y&s=%26");
}

#[tokio::test]
async fn a_good_answer_is_read_and_observed() {
    let rig = rig(Reply::json(200, &json!({"value": "hunter2", "other": 1})).dripping()).await;
    let answer = rig.send().await.expect("an answer");
    assert_eq!(answer.json(), Ok(Held { value: SecretBytes::from("hunter2") }));
    assert!(!format!("{answer:?} {:?}", answer.json::<Held>()).contains("hunter2"));
    assert!(rig.heard.outcomes().is_empty(), "the outcome is still open");
    drop(answer);
    assert_eq!(rig.heard.outcomes(), [Ok(())]);
}

#[tokio::test]
async fn what_is_not_the_whole_promised_json_is_malformed() {
    for (body, text) in [
        ("", "is empty"),
        (" \n", "is empty"),
        (r#"{"value": "hunter2"#, "ends half way"),
        ("<html>hunter2</html>", "is a web page"),
        (r#"{"value": hunter2}"#, "is not JSON"),
        (r#"{"value": "a"} hunter2"#, "is not JSON"),
        (r#"{"hunter2": "a"}"#, "lacks what it should hold"),
        (r#""hunter2""#, "lacks what it should hold"),
    ] {
        let error = failure(Reply::text(200, body)).await;
        assert_eq!((error.kind, error.retry), (ErrorKind::Malformed, Retry::Never), "{body}");
        assert!(error.message.contains(text), "{error}");
    }
    assert_eq!(failure(Reply::text(204, "")).await.kind, ErrorKind::Malformed);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_may_be_tried_again() {
    let error = failure(Reply::json(200, &json!({"value": "hunter2"})).truncated()).await;
    assert_eq!((error.kind, error.retry), (ErrorKind::Malformed, Retry::Backoff));
}

#[tokio::test]
async fn an_endless_answer_is_refused() {
    let error = failure(Reply::text(200, vec![b' '; (8 << 20) + 1])).await;
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.contains("longer than 8 MiB"), "{error}");
}

#[tokio::test]
async fn refusals_carry_status_request_id_and_hint() {
    let reply = Reply::json(429, &json!({"error": "hunter2"})).header("Retry-After", "9").header("X-Request-Id", "r1");
    let error = failure(reply).await;
    assert_eq!((error.kind, error.status), (ErrorKind::Throttled, Some(429)));
    assert_eq!(error.retry, Retry::After(Duration::from_secs(9)));
    assert_eq!(error.request_id.as_deref(), Some("r1"));
    assert_eq!(error.to_string(), "the server asks to slow down (the secret a) (Test Read: HTTP 429, request r1)");
}

#[tokio::test]
async fn only_a_404_in_json_says_that_a_secret_is_gone() {
    assert_eq!(failure(Reply::json(404, &json!({"errors": []}))).await.kind, ErrorKind::NotFound);
    assert_eq!(failure(Reply::text(404, "404 page not found")).await.kind, ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let rig = rig(Reply::text(307, "").header("Location", "/v1/b")).await;
    assert_eq!(rig.read().await.map_err(|error| error.kind), Err(ErrorKind::InvalidConfig));
    assert_eq!(rig.server.finish().len(), 1);
}

#[tokio::test]
async fn a_backend_may_know_better_than_the_status() {
    #[derive(Deserialize)]
    struct Refused {
        code: String,
    }
    let rig = rig(Reply::json(400, &json!({"code": "gone"}))).await;
    let answer = rig.send().await.expect("an answer");
    assert!(answer.hint::<Refused>().is_some_and(|refused| refused.code == "gone"));
    let error = answer.error(ErrorKind::NotFound, "it is gone");
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, Some(400)));
    drop(answer);
    assert_eq!(rig.heard.outcomes(), [Err(ErrorKind::NotFound)]);
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_not_there_is_unavailable() {
    let error = failure(Reply::close()).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("the connection ended before an answer came"), "{error}");

    let Rig { server, client, .. } = rig(Reply::close()).await;
    let url = BaseUrl::parse(&server.url()).expect("a URL").join("v1/a").expect("a path");
    drop(server);
    // The port is free once the listener's task is gone.
    let error = loop {
        match client.get("Read", url.clone()).send().await {
            Err(error) if error.message.contains("refused") => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff));
    assert!(error.message.starts_with("http://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_caller_who_gives_up_is_observed_as_a_time_out() {
    for reply in [Reply::hang(), Reply::json(200, &json!({"value": "hunter2"})).stalled()] {
        let rig = rig(reply).await;
        {
            let mut sending = Box::pin(rig.send());
            while rig.server.requests().is_empty() {
                let ended =
                    std::future::poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_ready())).await;
                assert!(!ended, "it ended by itself");
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(rig.heard.outcomes(), [Err(ErrorKind::TimedOut)]);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_without_the_value() {
    let rig = rig(Reply::close()).await;
    let url = BaseUrl::parse(&rig.server.url()).expect("a URL").as_url().clone();
    let newline =
        rig.client.get("Read", url.clone()).secret_header("X-Token", &SecretBytes::from("hunter2\n")).send().await;
    let error = newline.expect_err("a failure");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(error.message.contains("X-Token") || error.message.contains("x-token"), "{error}");
    assert!(!error.message.contains("hunter2"));
    let name = rig.client.get("Read", url).header("X Y", "z").send().await.expect_err("a failure");
    assert!(name.message.contains(r#""X Y" is not a name"#), "{name}");
    assert!(rig.server.requests().is_empty() && rig.heard.outcomes().is_empty());
}

struct SaysItOnce(bool);

impl LineLogin for SaysItOnce {
    fn answer(&mut self, _challenges: &[&str]) -> Option<SecretBytes> {
        (!std::mem::replace(&mut self.0, true)).then(|| SecretBytes::from("hunter2"))
    }
}

#[tokio::test]
async fn all_tries_of_a_login_on_a_line_are_one_call() {
    let rig = rig(Reply::text(401, "")).await;
    let lines = Lines::new("Test", &Tls::default()).expect("lines");
    let url = BaseUrl::parse(&rig.server.url()).expect("a URL").as_url().clone();
    let request = rig.client.get("Read", url).bearer(&SecretBytes::from("another"));
    let answer = request.send_on(&lines, &mut SaysItOnce(false)).await.expect("an answer");
    assert_eq!(answer.refusal().kind, ErrorKind::Unauthenticated);
    drop(answer);
    assert_eq!(rig.heard.outcomes(), [Err(ErrorKind::Unauthenticated)]);
    let requests = rig.server.requests();
    let shown: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(shown, ["", "hunter2"]);
}
