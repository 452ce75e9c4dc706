//! Listings.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Listed, Locator, Query};
use keyferry_fakes::infisical::{Absence, Identity, Import, InfisicalServer, Place, Rule, Secret, Settings};

use crate::fixtures::{
    PROJECT, at, calls, config, dev, fetch, fetch_one, found, list, names, put, scoped, server, server_with, store,
    text, universal_identity,
};

fn path(path: &str) -> Query {
    Query { path: Some(path.to_owned()), ..Query::default() }
}

fn tags(wanted: &[(&str, &str)]) -> Query {
    let tags = wanted.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Query { tags, ..Query::default() }
}

fn import(server: &InfisicalServer, into: &str, from: &str) {
    let from_path = from.to_owned();
    assert!(server.import(Import { into: dev(into), from_environment: "prod".into(), from_path }));
}

fn put_prod(server: &InfisicalServer, path: &str, name: &str) {
    assert!(server.put(Secret::new(&Place::new(PROJECT, "prod", path), name, &format!("{name} of prod"))).is_some());
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn a_folder_is_listed_with_what_it_imports() {
    let server = server();
    for (folder, name) in [("/app", "B"), ("/app", "A"), ("/app/db", "C"), ("/", "D")] {
        put(&server, folder, name, folder);
    }
    put_prod(&server, "/shared", "A");
    put_prod(&server, "/shared", "E");
    import(&server, "/app", "/shared");
    let store = scoped(server.url(), "/app", false);
    let expected = pairs([("A", "/app"), ("B", "/app"), ("E", "E of prod")]);
    assert_eq!(found(&store, Query::default()).await, expected);
    // One to search, one to read.
    assert_eq!(calls(&server), [1, 2, 0]);
}

#[tokio::test]
async fn a_recursive_scope_goes_into_subfolders_and_knows_secrets_by_their_plain_names() {
    let server = server();
    for (folder, name) in [("/app", "A"), ("/app/db", "A"), ("/app/db/x", "B"), ("/application", "C")] {
        put(&server, folder, name, folder);
    }
    let store = scoped(server.url(), "/app", true);
    assert_eq!(names(&store, Query::default()).await, ["A", "db/A", "db/x/B"]);
    let expected = pairs([("A", "/app"), ("A", "/app/db"), ("B", "/app/db/x")]);
    assert_eq!(found(&store, Query::default()).await, expected);
    for (wanted, expected) in [
        ("/app/db", &expected[1..]),
        // A path is the beginning of a folder's path, whatever that is.
        ("/app/d", &expected[1..]),
        ("/app/db/", &expected[2..]),
        ("/none", &[]),
    ] {
        assert_eq!(found(&store, path(wanted)).await, expected, "{wanted}");
    }
}

#[tokio::test]
async fn imports_of_all_folders_are_found() {
    let server = server();
    put(&server, "/app/db", "OWN", "own");
    assert!(server.make_folder(&dev("/app/empty")));
    for (folder, name) in [("/shared", "S"), ("/other", "O"), ("/third", "T")] {
        put_prod(&server, folder, name);
    }
    for (into, from) in [("/app/db", "/shared"), ("/app", "/other"), ("/app/empty", "/third")] {
        import(&server, into, from);
    }
    let store = scoped(server.url(), "/app", true);
    let expected = pairs([("OWN", "own"), ("O", "O of prod"), ("S", "S of prod"), ("T", "T of prod")]);
    assert_eq!(found(&store, Query::default()).await, expected);
    assert_eq!(calls(&server), [1, 2, 0]);
    // The API does not say into which folder an import goes.
    assert_eq!(found(&store, path("/app")).await, pairs([("OWN", "own")]));
}

#[tokio::test]
async fn a_search_prefers_own_secrets_of_any_folder_and_then_the_first_import() {
    for recursive in [false, true] {
        let server = server();
        put(&server, "/app", "OWN", "own");
        put(&server, "/app/db", "BELOW", "own");
        for (folder, name) in [("/one", "OWN"), ("/one", "BELOW"), ("/one", "TWICE"), ("/two", "TWICE")] {
            let secret = Secret::new(&Place::new(PROJECT, "prod", folder), name, folder);
            assert!(server.put(secret).is_some());
        }
        import(&server, "/app", "/one");
        import(&server, "/app", "/two");
        let store = scoped(server.url(), "/app", recursive);
        let below = if recursive { ("BELOW", "own") } else { ("BELOW", "/one") };
        let mut found = found(&store, Query::default()).await;
        found.sort();
        assert_eq!(found, pairs([below, ("OWN", "own"), ("TWICE", "/one")]));
        // By its name, the server itself reads it from the last import.
        assert_eq!(text(&fetch_one(&store, at("TWICE")).await), "/two");
    }
}

#[tokio::test]
async fn an_imported_secret_that_may_not_be_read_is_no_silent_gap() {
    let identity = Identity::universal("client-id", "client-secret", PROJECT).allowed(vec![
        Rule::only(PROJECT, "/app/*"),
        Rule::only(PROJECT, "/shared/OPEN"),
        Rule::only(PROJECT, "/shared/*").without_values(),
    ]);
    let server = server_with(Settings::default(), vec![identity]);
    put(&server, "/app", "A", "a");
    put_prod(&server, "/shared", "OPEN");
    put_prod(&server, "/shared", "SEEN");
    import(&server, "/app", "/shared");
    for (recursive, expected) in [
        (
            true,
            "the machine identity may see that a secret SEEN is imported into folder /app or one below it, but not its \
             value; grant it a role that may read values where the secret comes from",
        ),
        (
            false,
            "the machine identity may not read the secret SEEN in folder /app of environment dev of project web-x1y2; \
             make it a member of project web-x1y2 with a role that may describe secrets and read their values there",
        ),
    ] {
        let store = scoped(server.url(), "/app", recursive);
        let listed = list(&store, Query::default()).await.expect("a listing");
        let known: Vec<_> = listed.iter().map(Listed::known_as).collect();
        assert_eq!(known, ["A", "OPEN", "SEEN"]);
        let locators: Vec<_> = listed.iter().map(|item| Locator::latest(item.name.clone())).collect();
        let answers = fetch(&store, &locators).await;
        assert_eq!((text(&answers[0]), text(&answers[1])), ("a".into(), "OPEN of prod".into()));
        let denied = answers[2].as_ref().expect_err("no value");
        assert_eq!((denied.kind, denied.message.as_str()), (ErrorKind::AccessDenied, expected));
    }
}

#[tokio::test]
async fn what_changes_between_search_and_reading_is_read_as_it_is_then() {
    for recursive in [false, true] {
        let server = server();
        put(&server, "/app", "A", "a");
        put_prod(&server, "/shared", "GOES");
        put_prod(&server, "/shared", "STAYS");
        import(&server, "/app", "/shared");
        let store = scoped(server.url(), "/app", recursive);
        let listed = list(&store, Query::default()).await.expect("a listing");
        assert!(server.remove(&Place::new(PROJECT, "prod", "/shared"), "GOES"));
        put(&server, "/app", "STAYS", "own");
        let locators: Vec<_> = listed.iter().map(|item| Locator::latest(item.name.clone())).collect();
        let answers = fetch(&store, &locators).await;
        let gone = answers[1].as_ref().expect_err("no secret");
        assert_eq!((listed[1].known_as(), gone.kind), ("GOES", ErrorKind::NotFound));
        assert_eq!(text(&answers[2]), "STAYS of prod");
    }
}

#[tokio::test]
async fn a_path_chooses_the_folder_where_the_scope_has_no_subfolders() {
    let server = server();
    for folder in ["/app", "/app/db", "/other"] {
        put(&server, folder, "A", folder);
    }
    let store = scoped(server.url(), "/app", false);
    for (wanted, folder) in [("/app", "/app"), ("/a", "/app"), ("/app/db/", "/app/db"), ("other", "/other")] {
        assert_eq!(found(&store, path(wanted)).await, pairs([("A", folder)]), "{wanted}");
    }
    let error = list(&store, path("/none")).await.expect_err("no folder");
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert_eq!(
        error.message,
        "there is no folder /none in environment dev of project web-x1y2; create it, or correct find.path"
    );
}

#[tokio::test]
async fn tags_are_tags_and_metadata() {
    let server = server();
    for (name, tags, team) in [("A", &["blue"][..], "x"), ("B", &["blue", "red"], "y"), ("C", &[], "x")] {
        assert!(server.put(Secret::new(&dev("/"), name, "v").tagged(tags).described("team", team)).is_some());
    }
    let store = store(config(server.url()));
    assert_eq!(names(&store, tags(&[("team", "x")])).await, ["A", "C"]);
    assert_eq!(names(&store, tags(&[("blue", "")])).await, ["A", "B"]);
    assert_eq!(names(&store, tags(&[("blue", ""), ("team", "y")])).await, ["B"]);
    assert_eq!(names(&store, tags(&[("team", "")])).await, Vec::<String>::new());
    let listed = list(&store, tags(&[("red", "")])).await.expect("a listing");
    let expected = [("blue", ""), ("red", ""), ("team", "y")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(listed[0].tags, BTreeMap::from(expected));
}

#[tokio::test]
async fn an_empty_folder_is_empty_and_a_missing_one_a_mistake() {
    for absence in [Absence::Empty, Absence::NotFound] {
        let server = server_with(Settings { absence, ..Settings::default() }, vec![universal_identity()]);
        assert!(server.make_folder(&dev("/empty")));
        assert_eq!(names(&scoped(server.url(), "/empty", false), Query::default()).await, Vec::<String>::new());
        for recursive in [false, true] {
            let error = list(&scoped(server.url(), "/none", recursive), Query::default()).await.expect_err("no folder");
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert_eq!(
                error.message,
                "there is no folder /none in environment dev of project web-x1y2; create it, or correct \
                 secretsScope.secretsPath"
            );
        }
    }
}

#[tokio::test]
async fn a_thousand_names_come_at_once() {
    let server = server();
    for number in 0..1001 {
        put(&server, "/", &format!("KEY_{number:04}"), "x");
    }
    let found = names(&store(config(server.url())), Query::default()).await;
    assert_eq!((found.len(), found[1000].as_str()), (1001, "KEY_1000"));
    assert_eq!(calls(&server), [1, 1, 0]);
}
