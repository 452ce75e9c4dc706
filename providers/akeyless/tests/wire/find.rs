//! Listing items.

use std::collections::BTreeMap;

use keyferry_core::{Provider, Query};
use keyferry_fakes::akeyless::{Item, ItemType, Settings};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::store::Store;

async fn pages(store: &Store, mut query: Query) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = store.provider.list(&query, Instant::now()).await.expect("a page");
        pages.push(page.items.iter().map(|listed| listed.name.to_string()).collect());
        match &page.next {
            None => return pages,
            Some(next) => query.after = Some(next.clone()),
        }
    }
}

async fn names(store: &Store, path: Option<&str>, tags: &[(&str, &str)]) -> Vec<String> {
    let tags: BTreeMap<_, _> = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    pages(store, Query { path: path.map(str::to_owned), tags, after: None }).await.concat()
}

fn store() -> Store {
    Store::new(vec![
        Item::secret("/app/a", "1").tagged(&["db", "prod"]),
        Item::rotated("/app/b", json!({"payload": "2"})).tagged(&["prod"]),
        Item::dynamic("/app/sub/c", json!({"x": 3})).tagged(&["db"]),
        Item::secret("/other/app/d", "4"),
        Item::secret("/application", "5"),
        Item::new("/app/key", ItemType::Key, Value::Null),
    ])
}

#[tokio::test]
async fn everything_that_has_a_value_is_listed() {
    let all = ["/app/a", "/app/b", "/app/sub/c", "/application", "/other/app/d"];
    assert_eq!(names(&store(), None, &[]).await, all);
}

#[tokio::test]
async fn a_path_is_the_beginning_of_names() {
    let store = store();
    for path in ["/app", "app", "/app/"] {
        assert_eq!(names(&store, Some(path), &[]).await, ["/app/a", "/app/b", "/app/sub/c"], "{path}");
    }
    assert_eq!(names(&store, Some("/"), &[]).await.len(), 5);
    assert!(names(&store, Some("/none"), &[]).await.is_empty());
}

#[tokio::test]
async fn one_of_the_tags_suffices_and_no_name_comes_twice() {
    let store = store();
    assert_eq!(names(&store, None, &[("x", "db")]).await, ["/app/a", "/app/sub/c"]);
    assert_eq!(names(&store, None, &[("x", "db"), ("y", "prod")]).await, ["/app/a", "/app/sub/c", "/app/b"]);
    assert_eq!(names(&store, Some("/app/sub"), &[("x", "db"), ("y", "prod")]).await, ["/app/sub/c"]);
    assert!(names(&store, None, &[("db", "none")]).await.is_empty());
}

#[tokio::test]
async fn a_long_listing_comes_in_pages() {
    let items = (0..2500).map(|number| Item::secret(&format!("/n/{number:04}"), "x").tagged(&["t"]));
    let store = Store::with(Settings::default(), items.collect(), |_| ());
    let pages = pages(&store, Query::default()).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert_eq!(pages.concat().last().map(String::as_str), Some("/n/2499"));
    assert_eq!(names(&store, None, &[("a", "t"), ("b", "u")]).await.len(), 2500);
}
