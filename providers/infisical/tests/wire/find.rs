//! Listings.

use std::collections::BTreeMap;

use keyferry_core::{ErrorKind, Query};
use keyferry_fakes::infisical::{Import, InfisicalServer, Place, Secret};

use crate::fixtures::{PROJECT, at, calls, config, dev, fetch_one, list, names, put, scoped, server, store, text};

fn path(path: &str) -> Query {
    Query { path: Some(path.to_owned()), ..Query::default() }
}

fn tags(pairs: &[(&str, &str)]) -> Query {
    let tags = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Query { tags, ..Query::default() }
}

fn import(server: &InfisicalServer, into: &str, from: &str) {
    let from_path = from.to_owned();
    assert!(server.import(Import { into: dev(into), from_environment: "prod".into(), from_path }));
}

fn put_prod(server: &InfisicalServer, path: &str, name: &str) {
    assert!(server.put(Secret::new(&Place::new(PROJECT, "prod", path), name, &format!("{name} of prod"))).is_some());
}

#[tokio::test]
async fn a_folder_is_listed_with_what_it_imports() {
    let server = server();
    for (folder, name) in [("/app", "B"), ("/app", "A"), ("/app/db", "C"), ("/", "D")] {
        put(&server, folder, name, "x");
    }
    put_prod(&server, "/shared", "A");
    put_prod(&server, "/shared", "E");
    import(&server, "/app", "/shared");
    let store = scoped(server.url(), "/app", false);
    assert_eq!(names(&store, Query::default()).await, ["A", "B", "E"]);
    assert_eq!(calls(&server), [1, 1, 0]);
    assert_eq!(text(&fetch_one(&store, at("E")).await), "E of prod");
}

#[tokio::test]
async fn a_recursive_scope_goes_into_subfolders() {
    let server = server();
    for (folder, name) in [("/app", "A"), ("/app/db", "A"), ("/app/db/x", "B"), ("/application", "C")] {
        put(&server, folder, name, folder);
    }
    let store = scoped(server.url(), "/app", true);
    let found = names(&store, Query::default()).await;
    assert_eq!(found, ["A", "db/A", "db/x/B"]);
    for (name, folder) in found.iter().zip(["/app", "/app/db", "/app/db/x"]) {
        assert_eq!(text(&fetch_one(&store, at(name)).await), folder);
    }
    assert_eq!(names(&store, path("/app/db")).await, ["db/A", "db/x/B"]);
    assert_eq!(names(&store, path("/none")).await, Vec::<String>::new());
}

#[tokio::test]
async fn imports_of_subfolders_are_found_through_the_folder_that_imports() {
    let server = server();
    put(&server, "/app/db", "OWN", "x");
    put_prod(&server, "/shared", "S");
    put_prod(&server, "/other", "O");
    import(&server, "/app/db", "/shared");
    import(&server, "/app", "/other");
    let store = scoped(server.url(), "/app", true);
    let found = names(&store, Query::default()).await;
    assert_eq!(found, ["O", "db/OWN", "db/S"]);
    assert_eq!(text(&fetch_one(&store, at("db/S")).await), "S of prod");
    // The whole tree, then each folder with secrets, to see what is imported where.
    assert_eq!(server.counts().of("list-secrets"), 3);
}

#[tokio::test]
async fn an_import_that_cannot_be_found_again_is_no_silent_gap() {
    let server = server();
    put(&server, "/app", "A", "x");
    assert!(server.make_folder(&dev("/app/empty")));
    put_prod(&server, "/shared", "S");
    import(&server, "/app/empty", "/shared");
    let error = list(&scoped(server.url(), "/app", true), Query::default()).await.expect_err("a gap");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert_eq!(
        error.message,
        "the secret S of folder /shared in environment prod is imported into a folder that has no secrets of its own, and \
         cannot be found through it; put a secret there, or name that folder in secretsScope.secretsPath"
    );
}

#[tokio::test]
async fn a_path_chooses_the_folder_where_the_scope_has_no_subfolders() {
    let server = server();
    for folder in ["/app", "/app/db", "/other"] {
        put(&server, folder, "A", folder);
    }
    let store = scoped(server.url(), "/app", false);
    for (wanted, found) in [("/app", "A"), ("/a", "A"), ("/app/db/", "db/A"), ("other", "/other/A")] {
        assert_eq!(names(&store, path(wanted)).await, [found], "{wanted}");
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
    let server = server();
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
