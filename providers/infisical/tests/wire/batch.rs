//! Reading several secrets at once.

use keyferry_core::{ErrorKind, Locator, Provider};
use keyferry_fakes::{
    faults::Fault,
    infisical::{Identity, Import, InfisicalServer, Place, Rule, Secret, Settings},
};
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::fixtures::{
    PROJECT, at, calls, config, dev, fetch, metadata, put, scoped, server, server_with, store, text, version,
};

fn limited(rules: Vec<Rule>) -> InfisicalServer {
    let identity = Identity::universal("client-id", "client-secret", PROJECT).allowed(rules);
    server_with(Settings::default(), vec![identity])
}

#[tokio::test]
async fn a_hundred_keys_of_a_folder_cost_one_listing() {
    let server = server();
    let mut wanted = Vec::new();
    for number in 0..100 {
        put(&server, "/app", &format!("KEY_{number}"), &format!("value {number}"));
        wanted.push(at(&format!("app/KEY_{}", 99 - number)));
    }
    let store = store(config(server.url()));
    assert!(store.capabilities().batch.get() >= 100);
    let answers = fetch(&store, &wanted).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(text(answer), format!("value {}", 99 - number));
    }
    assert_eq!(calls(&server), [1, 1, 0]);
}

#[tokio::test]
async fn each_folder_is_asked_once_and_a_single_key_by_its_name() {
    let server = server();
    for path in ["/", "/a", "/b"] {
        put(&server, path, "X", &format!("X in {path}"));
        put(&server, path, "Y", &format!("Y in {path}"));
    }
    let store = store(config(server.url()));
    let answers = fetch(&store, &["/a/Y", "X", "b/X", "/b/Y", "/a/X"].map(at)).await;
    let values: Vec<_> = answers.iter().map(text).collect();
    assert_eq!(values, ["Y in /a", "X in /", "X in /b", "Y in /b", "X in /a"]);
    assert_eq!(calls(&server), [1, 2, 1]);
}

#[tokio::test]
async fn one_bad_key_leaves_the_others_untouched() {
    let server = server();
    put(&server, "/", "A", "a");
    put(&server, "/", "B", "b");
    let store = store(config(server.url()));
    let answers = fetch(&store, &[at("A"), at("NONE"), at("x/"), at("B"), version("A", "no")]).await;
    assert_eq!((text(&answers[0]), text(&answers[3])), ("a".into(), "b".into()));
    let kinds: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).map(|error| error.kind).collect();
    assert_eq!(kinds, [ErrorKind::NotFound, ErrorKind::InvalidConfig, ErrorKind::InvalidConfig]);
    // The listing does not say whether a key is absent or out of sight, so that it is asked for by name.
    assert_eq!(calls(&server), [1, 1, 1]);
}

#[tokio::test]
async fn a_listing_answers_what_reading_by_name_answers() {
    let server = server();
    let prod = |path| Place::new(PROJECT, "prod", path);
    for (place, name, value) in [
        (dev("/"), "OWN", "own"),
        (prod("/one"), "OWN", "shadowed by own"),
        (prod("/one"), "TWICE", "from the first import"),
        (prod("/two"), "TWICE", "from the last import"),
        (prod("/one"), "DEEP", "${TWICE}"),
        (prod("/three"), "DEEPER", "imported by an import"),
        (dev("/below"), "TWICE", "of a subfolder"),
        (dev("/below"), "SUB", "of a subfolder"),
    ] {
        assert!(server.put(Secret::new(&place, name, value)).is_some());
    }
    for (into, path) in [(dev("/"), "/one"), (dev("/"), "/two"), (prod("/one"), "/three")] {
        assert!(server.import(Import { into, from_environment: "prod".into(), from_path: path.into() }));
    }
    // A recursive scope widens searches only: a key names one folder.
    let store = scoped(server.url(), "/", true);
    let wanted = ["OWN", "TWICE", "DEEP", "DEEPER", "SUB"].map(at);
    let together = fetch(&store, &wanted).await;
    for (locator, answer) in wanted.iter().zip(&together) {
        let alone = fetch(&store, std::slice::from_ref(locator)).await.remove(0);
        assert_eq!(answer.as_ref().ok(), alone.as_ref().ok(), "{locator:?}");
    }
    assert_eq!(
        together[..4].iter().map(text).collect::<Vec<_>>(),
        ["own", "from the last import", "from the first import", "imported by an import"]
    );
    assert!(together[4].as_ref().is_err_and(|error| error.kind == ErrorKind::NotFound));
}

#[tokio::test]
async fn a_key_out_of_sight_is_denied_and_not_missing() {
    let server = limited(vec![Rule::only(PROJECT, "/OPEN*")]);
    for name in ["OPEN_1", "OPEN_2", "CLOSED"] {
        put(&server, "/", name, name);
    }
    let answers = fetch(&store(config(server.url())), &["OPEN_1", "OPEN_2", "CLOSED"].map(at)).await;
    assert_eq!((text(&answers[0]), text(&answers[1])), ("OPEN_1".into(), "OPEN_2".into()));
    let denied = answers[2].as_ref().expect_err("denied");
    assert_eq!(denied.kind, ErrorKind::AccessDenied);
    assert_eq!(
        denied.message,
        "the machine identity may not read the secret CLOSED in folder / of environment dev of project web-x1y2; make it \
         a member of project web-x1y2 with a role that may describe secrets and read their values there"
    );
}

#[tokio::test]
async fn a_neighbour_that_spoils_the_listing_does_not_spoil_the_keys() {
    let server = limited(vec![Rule::only(PROJECT, "/OPEN*"), Rule::only(PROJECT, "/SEEN").without_values()]);
    for name in ["OPEN_1", "OPEN_2", "SEEN"] {
        put(&server, "/", name, name);
    }
    let answers = fetch(&store(config(server.url())), &["OPEN_1", "OPEN_2"].map(at)).await;
    assert_eq!(answers.iter().map(text).collect::<Vec<_>>(), ["OPEN_1", "OPEN_2"]);
    assert_eq!(calls(&server), [1, 1, 2]);
}

#[tokio::test]
async fn a_folder_that_is_too_long_for_one_answer_is_read_by_name() {
    let server = ScriptedServer::answering(|request| {
        let entry = |name: &str, value: String| json!({"secretKey": name, "secretValue": value});
        match (request.method.as_str(), request.path.rsplit('/').next()) {
            ("POST", _) => Reply::json(200, &json!({"accessToken": "t", "expiresIn": 3600})),
            (_, Some("raw")) => Reply::json(200, &json!({"secrets": [entry("A", "x".repeat(9 << 20))]})),
            (_, name) => Reply::json(200, &json!({"secret": entry("A", name.unwrap_or_default().to_owned())})),
        }
    })
    .await;
    let answers = fetch(&store(config(&server.url())), &["A", "B"].map(at)).await;
    assert_eq!(answers.iter().map(text).collect::<Vec<_>>(), ["A", "B"]);
}

#[tokio::test]
async fn a_missing_folder_is_found_out_once() {
    let server = server();
    let wanted: Vec<Locator> = (0..50).map(|number| at(&format!("none/KEY_{number}"))).collect();
    let answers = fetch(&store(config(server.url())), &wanted).await;
    for answer in answers {
        let error = answer.expect_err("no folder");
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.message, "there is no folder /none in environment dev of project web-x1y2");
    }
    // The listing, one key, and whether the environment exists.
    assert_eq!(calls(&server), [1, 1, 2]);
}

#[tokio::test]
async fn a_server_out_of_order_is_not_asked_for_each_key() {
    let server = server();
    put(&server, "/", "A", "a");
    server.faults().set("list-secrets", Fault::Status { status: 503, retry_after: None });
    let wanted: Vec<Locator> = (0..50).map(|number| at(&format!("KEY_{number}"))).collect();
    let answers = fetch(&store(config(server.url())), &wanted).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable)));
    assert_eq!(calls(&server), [1, 1, 0]);
    server.faults().clear_all();
    server.faults().set("get-secret", Fault::Status { status: 500, retry_after: None });
    let answers = fetch(&store(config(server.url())), &wanted).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable)));
    assert_eq!(calls(&server), [2, 2, 1]);
}

#[tokio::test]
async fn metadata_come_with_the_listing_except_for_imports() {
    let server = server();
    for name in ["A", "B"] {
        assert!(server.put(Secret::new(&dev("/"), name, name).tagged(&["blue"])).is_some());
    }
    let shared = Place::new(PROJECT, "prod", "/shared");
    assert!(server.put(Secret::new(&shared, "C", "c").described("team", "x")).is_some());
    assert!(server.import(Import { into: dev("/"), from_environment: "prod".into(), from_path: "/shared".into() }));
    let store = store(config(server.url()));
    let answers = fetch(&store, &[metadata("A"), metadata("B")]).await;
    assert_eq!(answers.iter().map(text).collect::<Vec<_>>(), [r#"{"blue":""}"#, r#"{"blue":""}"#]);
    assert_eq!(calls(&server), [1, 1, 0]);
    let answers = fetch(&store, &[at("A"), metadata("C"), metadata("A")]).await;
    assert_eq!(answers.iter().map(text).collect::<Vec<_>>(), ["A", r#"{"team":"x"}"#, r#"{"blue":""}"#]);
    assert_eq!(calls(&server), [1, 2, 1]);
}

/// A store with ten folders below its own, each with a secret.
async fn spread(recursive: bool, rules: Vec<Rule>) -> (InfisicalServer, Vec<Result<String, ErrorKind>>) {
    let server = limited(rules);
    let mut wanted = Vec::new();
    for number in 0..10 {
        put(&server, &format!("/app/{number}"), "KEY", &format!("value {number}"));
        wanted.push(at(&format!("{number}/KEY")));
    }
    put(&server, "/app", "NEIGHBOUR", "x");
    let answers = fetch(&scoped(server.url(), "/app", recursive), &wanted).await;
    let values = answers.iter().map(|answer| answer.as_ref().map(|_| text(answer)).map_err(|error| error.kind));
    let values = values.collect();
    (server, values)
}

fn values() -> Vec<Result<String, ErrorKind>> {
    (0..10).map(|number| Ok(format!("value {number}"))).collect()
}

#[tokio::test]
async fn many_folders_of_a_recursive_scope_cost_one_listing() {
    let (server, found) = spread(true, vec![Rule::everything(PROJECT)]).await;
    assert_eq!((found, calls(&server)), (values(), [1, 1, 0]));
    let (server, found) = spread(false, vec![Rule::everything(PROJECT)]).await;
    assert_eq!((found, calls(&server)), (values(), [1, 0, 10]));
}

#[tokio::test]
async fn what_the_listing_of_a_scope_leaves_out_is_asked_for_by_name() {
    let rules = vec![Rule::only(PROJECT, "/app/1/*"), Rule::only(PROJECT, "/app/*").without_values()];
    let denied = |number| number != 1;
    let expected: Vec<_> = (0..10)
        .map(|number| if denied(number) { Err(ErrorKind::AccessDenied) } else { Ok(format!("value {number}")) })
        .collect();
    // The neighbour in the scope's own folder makes the server refuse the whole listing.
    let (server, found) = spread(true, rules).await;
    assert_eq!((found, calls(&server)), (expected.clone(), [1, 1, 10]));
    let rules = vec![Rule::only(PROJECT, "/app/1/*"), Rule::only(PROJECT, "/app/NEIGHBOUR")];
    let (server, found) = spread(true, rules).await;
    assert_eq!((found, calls(&server)), (expected, [1, 1, 9]));
}

#[tokio::test]
async fn a_server_that_fails_the_listing_of_a_scope_is_not_asked_for_each_folder() {
    let server = server();
    server.faults().set("list-secrets", Fault::Status { status: 503, retry_after: None });
    let wanted: Vec<Locator> = (0..50).map(|number| at(&format!("{number}/KEY"))).collect();
    let answers = fetch(&scoped(server.url(), "/", true), &wanted).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unavailable)));
    assert_eq!(calls(&server), [1, 1, 0]);
}

#[tokio::test]
async fn nothing_asked_is_nothing_sent() {
    let server = server();
    assert!(fetch(&store(config(server.url())), &[]).await.is_empty());
    assert_eq!(calls(&server), [0, 0, 0]);
}
