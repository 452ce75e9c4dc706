//! What an answer means that is no success: something about the login, about an item, or nothing, because no gateway
//! has sent it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use keyferry_akeyless::Akeyless;
use keyferry_core::{Error, ErrorKind, Fetched, Locator, Provider, Query, Result, Unobserved};
use keyferry_fakes::akeyless::{Access, Item};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::store::{ACCESS_ID, ACCESS_KEY, Store, config, latest, text, version};

/// Something that answers commands, and a provider that takes it for its gateway.
struct Scripted {
    server: ScriptedServer,
    provider: Akeyless,
}

impl Scripted {
    /// Each login yields another token: `t-1`, `t-2`, …
    async fn new(answer: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let logins = AtomicU32::new(0);
        let server = ScriptedServer::answering(move |request| {
            let command = request.path.rsplit('/').next().unwrap_or_default();
            match command {
                "auth" => {
                    let token = format!("t-{}", logins.fetch_add(1, Ordering::Relaxed) + 1);
                    Reply::json(200, &json!({"token": token}))
                }
                _ => answer(command, &request.json()),
            }
        })
        .await;
        let config = config(&format!("{}/v2", server.url()));
        Self { provider: Akeyless::new(config, Arc::new(Unobserved)).expect("a usable configuration"), server }
    }

    async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        self.provider.fetch(at, Instant::now()).await
    }

    async fn read(&self, name: &str) -> Result<String> {
        let answer = self.fetch(&[latest(name)]).await.remove(0);
        answer.map(|fetched| text(&fetched.value))
    }

    async fn error(&self, name: &str) -> Error {
        self.read(name).await.expect_err(name)
    }

    /// How often a command was asked for.
    fn count(&self, command: &str) -> usize {
        self.server.requests().iter().filter(|request| request.path.ends_with(command)).count()
    }
}

fn refusal(status: u16, error: &str) -> Reply {
    Reply::json(status, &json!({"error": error}))
}

fn gone() -> Reply {
    Reply::json(404, &json!({"error": "NotFound", "message": "item does not exist"}))
}

/// Long enough that a login that was accepted before may be doubted.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}

fn described(kind: &str) -> Reply {
    Reply::json(200, &json!({"item_name": "/a", "item_type": kind}))
}

#[tokio::test]
async fn a_restarted_gateway_that_has_forgotten_the_login_is_logged_in_to_anew() {
    let store = Store::new(vec![Item::secret("/a", "1")]);
    store.read("/a").await.expect("a value");
    store.gateway.forget_tokens();
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
    assert_eq!(store.count("auth"), 2);
}

#[tokio::test]
async fn a_login_that_has_ended_is_replaced_however_the_gateway_says_it() {
    for (status, error) in [(400, "bad token"), (401, "Unauthorized"), (403, "Forbidden"), (404, "no"), (500, "failed")]
    {
        let store = Scripted::new(move |command, body| match (command, body["token"].as_str()) {
            ("validate-token", token) => Reply::json(200, &json!({"is_valid": token == Some("t-2")})),
            ("describe-item", Some("t-2")) => described("STATIC_SECRET"),
            ("get-secret-value", Some("t-2")) => Reply::json(200, &json!({"/a": "1"})),
            _ => refusal(status, error),
        })
        .await;
        store.provider.check().await.expect("a login");
        later().await;
        assert_eq!(store.read("/a").await.as_deref(), Ok("1"), "{status} {error}");
        assert_eq!(store.count("/auth"), 2, "{status} {error}");
    }
}

#[tokio::test]
async fn items_that_may_not_be_read_cost_one_question_about_the_login_in_a_while() {
    let items = (0..20).map(|number| Item::rotated(&format!("/{number}"), json!({"payload": "x"})));
    let store = Store::new(items.collect());
    store.gateway.grant(Access::api_key(ACCESS_ID, ACCESS_KEY).limited_to(&["/none"]));
    store.provider.check().await.expect("a login");
    let at: Vec<_> = (0..20).map(|number| latest(&format!("/{number}"))).collect();
    for asked in [0, 1] {
        for answer in store.fetch(&at).await {
            assert_eq!(answer.expect_err("no permission").kind, ErrorKind::AccessDenied);
        }
        assert_eq!((store.count("validate-token"), store.count("auth")), (asked, 1));
        later().await;
    }
}

#[tokio::test]
async fn a_gateway_that_cannot_tell_whether_a_login_holds_is_believed() {
    let store = Scripted::new(|command, _| match command {
        "validate-token" => refusal(404, "unknown command 'validate-token'"),
        _ => gone(),
    })
    .await;
    store.provider.check().await.expect("a login");
    later().await;
    assert_eq!(store.error("/a").await.kind, ErrorKind::NotFound);
}

/// What answers at the address of a gateway that is down must not look as if secrets were gone.
#[tokio::test]
async fn nobody_but_a_gateway_says_that_an_item_is_gone() {
    let strangers = [
        Reply::text(404, "404 page not found"),
        Reply::text(404, "<html>no such page</html>"),
        Reply::json(404, &json!({"message": "no Route matched with those values"})),
        Reply::json(404, &json!({"timestamp": 1, "status": 404, "error": "Not Found", "path": "/v2/describe-item"})),
        refusal(404, "nothing here"),
        Reply::json(405, &json!({})),
    ];
    for (stranger, at_once) in strangers.iter().flat_map(|stranger| [(stranger, true), (stranger, false)]) {
        let moved = Arc::new(AtomicBool::new(false));
        let away = Arc::clone(&moved);
        let answer = stranger.clone();
        let store = Scripted::new(move |command, _| match command {
            _ if away.load(Ordering::Relaxed) => answer.clone(),
            "describe-item" => described("STATIC_SECRET"),
            _ => Reply::json(200, &json!({"/a": "1"})),
        })
        .await;
        assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
        moved.store(true, Ordering::Relaxed);
        if !at_once {
            later().await;
        }
        for name in ["/a", "/b"] {
            let error = store.error(name).await;
            assert_eq!(error.kind, ErrorKind::InvalidConfig, "{stranger:?} {error}");
            assert!(error.message.ends_with("check akeylessGWApiURL"), "{error}");
        }
        let error = store.provider.list(&Query::default(), Instant::now()).await.expect_err("no listing");
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{stranger:?} {error}");
    }
}

#[tokio::test]
async fn an_item_whose_value_is_missing_is_not_missing_itself() {
    for (kind, at) in [
        ("CERTIFICATE", latest("/a")),
        ("DYNAMIC_SECRET", latest("/a")),
        ("DYNAMIC_SECRET", version("/a", "3")),
        ("ROTATED_SECRET", latest("/a")),
        ("STATIC_SECRET", latest("/a")),
    ] {
        let store = Scripted::new(move |command, _| match command {
            "describe-item" => described(kind),
            _ => gone(),
        })
        .await;
        // Also when the type is remembered.
        for _ in 0..2 {
            let error = store.fetch(std::slice::from_ref(&at)).await.remove(0).expect_err("no value");
            assert_eq!(error.kind, ErrorKind::Unavailable, "{kind}");
            let expected = "there is an item /a, but no value of it; look at it and its target in Akeyless";
            assert_eq!(error.message, expected, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_missing_version_is_named() {
    let store = Store::new(vec![Item::secret("/a", "1"), Item::rotated("/b", json!({"payload": "1"}))]);
    for name in ["/a", "/b"] {
        let error = store.read_at(version(name, "7")).await.expect_err("no such version");
        let expected = format!("there is no version 7 of item {name}");
        assert_eq!((error.kind, error.message), (ErrorKind::NotFound, expected));
    }
}

/// The refusal of all together is about one of them; nobody knows of which until each was asked for.
#[tokio::test]
async fn a_gateway_that_fails_in_the_middle_of_a_batch_makes_no_item_look_gone() {
    let store = Scripted::new(|command, body| match command {
        "describe-item" => described("STATIC_SECRET"),
        _ if body["names"].as_array().is_some_and(|names| names.len() > 1) => gone(),
        _ => refusal(503, "later"),
    })
    .await;
    let at = ["/a", "/b", "/c"].map(latest);
    for answer in store.fetch(&at).await {
        assert_eq!(answer.expect_err("a failure").kind, ErrorKind::Unavailable);
    }
    assert_eq!(store.count("get-secret-value"), 2);
}

#[tokio::test]
async fn an_empty_value_is_no_value() {
    let store = Store::new(vec![Item::secret("/a", ""), Item::secret("/b", "2")]);
    let answers = store.fetch(&["/a", "/b"].map(latest)).await;
    let error = answers[0].as_ref().expect_err("an empty value");
    let expected = "the value of /a in the answer is empty; give the item one";
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Malformed, expected));
    assert!(answers[1].is_ok());
}

#[tokio::test]
async fn items_without_a_usable_value_harm_no_other() {
    let store = Scripted::new(|command, body| match (command, body["names"].as_array().map(Vec::as_slice)) {
        ("describe-item", _) => described("STATIC_SECRET"),
        (_, Some([name])) if name == "/good" => Reply::json(200, &json!({"/good": "1"})),
        (_, Some([name])) if name == "/empty" => Reply::json(200, &json!({"/empty": ""})),
        _ => gone(),
    })
    .await;
    let answers = store.fetch(&["/empty", "/lost", "/good"].map(latest)).await;
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.map(drop).map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Err(ErrorKind::Malformed), Err(ErrorKind::Unavailable), Ok(())]);
}

#[tokio::test]
async fn an_answer_without_items_is_no_empty_listing() {
    for (answer, kind) in [
        (json!({"items": null}), None),
        (json!({"items": []}), None),
        (json!({}), Some(ErrorKind::Malformed)),
        (json!({"items": {}}), Some(ErrorKind::Malformed)),
    ] {
        let reply = Reply::json(200, &answer);
        let store = Scripted::new(move |_, _| reply.clone()).await;
        let page = store.provider.list(&Query::default(), Instant::now()).await;
        assert_eq!(page.as_ref().err().map(|error| error.kind), kind, "{answer}");
        assert!(page.is_err() || page.is_ok_and(|page| page.items.is_empty()));
    }
    let store = Scripted::new(|_, _| refusal(404, "NoSuchFolder")).await;
    let error = store.provider.list(&Query::default(), Instant::now()).await.expect_err("no listing");
    assert_eq!(error.kind, ErrorKind::InvalidConfig, "a listing that is not there is no missing item");
}
