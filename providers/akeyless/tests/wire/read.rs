//! Reading items.

use keyferry_core::{ErrorKind, Locator, Want};
use keyferry_fakes::{
    akeyless::{Access, Item, ItemType, Settings},
    faults::Fault,
};
use serde_json::{Value, json};

use crate::store::{ACCESS_ID, ACCESS_KEY, Store, latest, text, version};

fn numbered(count: usize) -> (Vec<Item>, Vec<Locator>) {
    let name = |number: usize| format!("/app/{number:03}");
    let items = (0..count).map(|number| Item::secret(&name(number), &format!("value {number}")));
    (items.collect(), (0..count).map(|number| latest(&name(number))).collect())
}

#[tokio::test]
async fn every_type_of_item_is_read() {
    let store = Store::new(vec![
        Item::secret("/a/static", "p\u{e4}ss\n"),
        Item::rotated("/a/payload", json!({"payload": "{\"token\":1}"})),
        Item::rotated("/a/target", json!({"target_value": {"user": "u", "age": 9_007_199_254_740_993_u64}})),
        Item::rotated("/a/rotated", json!({"username": "u", "password": "<p>"})),
        Item::dynamic("/a/dynamic", json!({"user": "tmp_{serial}", "ttl": 60})),
        Item::certificate("/a/certificate", "CERT", "KEY"),
    ]);
    for (name, value) in [
        ("/a/static", "p\u{e4}ss\n"),
        ("/a/payload", r#"{"token":1}"#),
        ("/a/target", r#"{"age":9007199254740993,"user":"u"}"#),
        ("/a/rotated", r#"{"password":"\u003cp\u003e","username":"u"}"#),
        ("/a/dynamic", r#"{"ttl":60,"user":"tmp_1"}"#),
        ("/a/certificate", r#"{"certificate_pem":"CERT","private_key_pem":"KEY"}"#),
        ("a/static", "p\u{e4}ss\n"),
    ] {
        assert_eq!(store.read(name).await.as_deref(), Ok(value), "{name}");
    }
}

#[tokio::test]
async fn calls_are_named_as_dashboards_know_them() {
    let store = Store::new(vec![
        Item::secret("/a", "1"),
        Item::rotated("/b", json!({"payload": "2"})),
        Item::dynamic("/c", json!({"x": 1})),
        Item::certificate("/d", "CERT", "KEY"),
    ]);
    for name in ["/a", "/b", "/c", "/d"] {
        store.read(name).await.expect("a value");
    }
    let expected = [
        "Auth",
        "DescribeItem",
        "GetSecretValue",
        "DescribeItem",
        "GetRotatedSecretValue",
        "DescribeItem",
        "GetDynamicSecretsValue",
        "DescribeItem",
        "GetCertificateValue",
    ];
    assert_eq!(store.calls.take(), expected);
}

#[tokio::test]
async fn static_items_are_read_together_and_described_once() {
    let (items, at) = numbered(120);
    let store = Store::new(items);
    for round in 1..=2 {
        let answers = store.fetch(&at).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(text(&answer.expect("a value").value), format!("value {number}"));
        }
        let counts = ["auth", "describe-item", "get-secret-value"].map(|command| store.count(command));
        assert_eq!(counts, [1, 120, 3 * round], "round {round}");
    }
}

#[tokio::test]
async fn a_bad_item_harms_no_other_and_is_read_alone_from_then_on() {
    let (mut items, mut at) = numbered(5);
    items.push(Item::secret("/denied", "x"));
    at.insert(2, latest("/denied"));
    at.insert(4, latest("/none"));
    let store = Store::new(items);
    store.fetch(&at).await;
    store.gateway.grant(Access::api_key(ACCESS_ID, ACCESS_KEY).limited_to(&["/app/*"]));
    for expected_reads in [1 + 6, 2] {
        store.gateway.counts().reset();
        let answers = store.fetch(&at).await;
        let kinds: Vec<_> =
            answers.iter().map(|answer| answer.as_ref().map(drop).map_err(|error| error.kind)).collect();
        let (good, denied) = (Ok(()), Err(ErrorKind::AccessDenied));
        assert_eq!(kinds, [good, good, denied, good, denied, good, good]);
        assert_eq!(store.count("get-secret-value"), expected_reads);
    }
    store.gateway.grant(Access::api_key(ACCESS_ID, ACCESS_KEY));
    for expected_reads in [2, 1] {
        store.gateway.counts().reset();
        let answers = store.fetch(&at).await;
        assert_eq!(answers[4].as_ref().map_err(|error| error.kind).err(), Some(ErrorKind::NotFound));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 6);
        assert_eq!(store.count("get-secret-value"), expected_reads);
    }
}

#[tokio::test]
async fn an_item_that_the_gateway_leaves_out_is_asked_for_alone() {
    let (items, mut at) = numbered(3);
    let store = Store::with(Settings { partial_batches: true, ..Settings::default() }, items, |_| ());
    store.fetch(&at).await;
    store.gateway.remove("/app/001");
    let kinds: Vec<_> = store.fetch(&at).await.into_iter().map(|answer| answer.map(drop).map_err(|e| e.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::NotFound), Ok(())]);
    at.remove(1);
    assert!(store.fetch(&at).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn an_item_of_another_type_than_before_is_noticed() {
    let store = Store::new(vec![Item::secret("/a", "1"), Item::secret("/b", "2")]);
    let at = [latest("/a"), latest("/b")];
    store.fetch(&at).await;
    store.gateway.put(Item::rotated("/a", json!({"payload": "rotated"})));
    let values: Vec<_> =
        store.fetch(&at).await.into_iter().map(|answer| text(&answer.expect("a value").value)).collect();
    assert_eq!(values, ["rotated", "2"]);
    store.gateway.put(Item::secret("/a", "3"));
    assert_eq!(store.read("/a").await.as_deref(), Ok("3"));
}

#[tokio::test]
async fn an_item_that_is_gone_is_not_found_and_comes_back() {
    let store = Store::new(vec![Item::secret("/a", "1")]);
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
    store.gateway.remove("/a");
    for _ in 0..2 {
        let error = store.error("/a").await;
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "there is no item /a"));
    }
    store.gateway.put(Item::secret("/a", "2"));
    assert_eq!(store.read("/a").await.as_deref(), Ok("2"));
}

#[tokio::test]
async fn versions_are_numbers() {
    let store = Store::new(vec![Item::secret("/a", "1"), Item::rotated("/b", json!({"payload": "1"}))]);
    store.gateway.rotate("/a", "2");
    store.gateway.rotate("/b", json!({"payload": "2"}));
    let at = [version("/a", "1"), latest("/a"), version("/b", "1"), version("/a", "0"), version("/a", "latest")];
    let answers = store.fetch(&at).await;
    let values: Vec<_> = answers.iter().map(|answer| text(&answer.as_ref().expect("a value").value)).collect();
    assert_eq!(values, ["1", "2", "1", "2", "2"]);
    let versions: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().version.is_some()).collect();
    assert_eq!(versions, [true, false, true, false, false]);
    let error = store.read_at(version("/a", "7")).await.expect_err("no such version");
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_has_no_value_is_said_to_have_none() {
    let store = Store::new(vec![Item::new("/key", ItemType::Key, Value::Null), Item::secret("/a", "1")]);
    let error = store.error("/key").await;
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.starts_with("/key is of a type that has no value"), "{error}");
    let error = store.read_at(Locator { want: Want::Metadata, ..latest("/a") }).await.expect_err("no metadata");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("metadataPolicy"), "{error}");
}

#[tokio::test]
async fn the_gateways_cache_is_passed_by_on_request() {
    let settings = Settings { cache: true, ..Settings::default() };
    let items = || {
        vec![Item::secret("/a", "1"), Item::rotated("/b", json!({"payload": "1"})), Item::certificate("/c", "1", "k")]
    };
    for (ignore_cache, seen) in [(false, "1"), (true, "2")] {
        let store = Store::with(settings.clone(), items(), |config| config.ignore_cache = ignore_cache);
        let at = ["/a", "/b", "/c"].map(latest);
        store.fetch(&at).await;
        store.gateway.rotate("/a", "2");
        store.gateway.rotate("/b", json!({"payload": "2"}));
        store.gateway.rotate("/c", json!({"certificate_pem": "2", "private_key_pem": "k"}));
        for answer in store.fetch(&at).await {
            assert!(text(&answer.expect("a value").value).contains(seen), "ignoreCache {ignore_cache}");
        }
    }
}

#[tokio::test]
async fn a_gateway_that_fails_is_not_asked_for_each_item_of_a_batch() {
    let (items, at) = numbered(20);
    let store = Store::new(items);
    store.fetch(&at).await;
    store.gateway.faults().set("get-secret-value", Fault::Status { status: 500, retry_after: None });
    store.gateway.counts().reset();
    let answers = store.fetch(&at).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable)));
    assert!(store.count("get-secret-value") <= 2, "{:?}", store.gateway.counts().all());
}

#[tokio::test]
async fn an_item_on_which_the_gateway_fails_spoils_one_fetch_at_most() {
    let (items, at) = numbered(3);
    let store = Store::new(items);
    store.fetch(&at).await;
    // The request for all, and the one for the first item by itself.
    let fault = Fault::Status { status: 500, retry_after: None };
    store.gateway.faults().set_times("get-secret-value", fault, 2);
    assert!(store.fetch(&at).await.iter().all(Result::is_err));
    store.gateway.counts().reset();
    assert!(store.fetch(&at).await.iter().all(Result::is_ok));
    assert_eq!(store.count("get-secret-value"), 2, "the first by itself, the others together");
}

#[tokio::test]
async fn a_dynamic_item_is_read_once_for_each_fetch() {
    let store = Store::new(vec![Item::dynamic("/d", json!({"user": "{serial}"}))]);
    for number in 1..=3 {
        assert_eq!(store.read("/d").await.unwrap(), format!(r#"{{"user":"{number}"}}"#));
    }
    assert_eq!(store.count("get-dynamic-secret-value"), 3);
}
