//! Values, versions and metadata.

use std::time::Duration;

use futures::future::join_all;
use keyferry_core::{ErrorKind, Provider, SecretBytes};
use keyferry_fakes::{
    faults::Fault,
    gcp::{Place, Secret, State},
};
use keyferry_gcp::{GcpConfig, VersionSelection};
use tokio::time::Instant;

use crate::cloud::{PROJECT, at_version, cloud, config, fetch, key, latest, metadata, read, reader, store};

#[tokio::test]
async fn versions_are_read_by_number_and_alias() {
    let cloud = cloud();
    let aliases = [("prod".to_owned(), 1)].into();
    cloud.put(Secret { aliases, ..Secret::new(PROJECT, "a", b"newer") });
    let store = reader(&cloud);
    assert_eq!(read(&store, latest("a")).await, "newer");
    assert_eq!(read(&store, at_version("a", "2")).await, "newer");
    assert_eq!(read(&store, at_version("a", "1")).await, "value of a");
    assert_eq!(read(&store, at_version("a", "prod")).await, "value of a");
    let version = fetch(&store, at_version("a", "prod")).await.unwrap().version.clone();
    assert_eq!(version.map(|version| version.to_string()), Some("1".to_owned()));
}

#[tokio::test]
async fn regional_secrets_are_others_than_global_ones() {
    let cloud = cloud();
    let location = Some("europe-west1".to_owned());
    cloud.put(Secret { location: location.clone(), ..Secret::new(PROJECT, "a", b"regional") });
    let store = store(GcpConfig { location, ..config(&cloud, key(&cloud)) });
    assert_eq!(read(&store, latest("a")).await, "regional");
    assert_eq!(read(&reader(&cloud), latest("a")).await, "value of a");
}

#[tokio::test]
async fn annotations_and_labels_are_one_object() {
    let cloud = cloud();
    let pair = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let secret = Secret::new(PROJECT, "a", b"x");
    cloud.put(Secret { annotations: pair("example.com/owner", "us"), labels: pair("env", "prod"), ..secret });
    cloud.put(Secret::new(PROJECT, "bare", b"x"));
    let store = reader(&cloud);
    let expected = r#"{"annotations":{"example.com/owner":"us"},"labels":{"env":"prod"}}"#;
    assert_eq!(read(&store, metadata("a")).await, expected);
    assert_eq!(read(&store, metadata("bare")).await, r#"{"annotations":{},"labels":{}}"#);
    assert_eq!(fetch(&store, metadata("missing")).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_disabled_newest_version_is_an_error_unless_the_store_falls_back() {
    let cloud = cloud();
    let place = Place::new(PROJECT, "a");
    for value in [&b"second"[..], b"third", b"fourth"] {
        cloud.put(Secret::new(PROJECT, "a", value));
    }
    cloud.set_state(&place, 4, State::Disabled);
    cloud.set_state(&place, 3, State::Destroyed);
    let fails = reader(&cloud);
    let error = fetch(&fails, latest("a")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.starts_with("the latest version of the secret a is disabled; enable it, or set"), "{error}");
    assert_eq!(cloud.counts().of("ListSecretVersions"), 0);

    let falls_back =
        store(GcpConfig { version_selection: VersionSelection::LatestOrFetch, ..config(&cloud, key(&cloud)) });
    let fetched = fetch(&falls_back, latest("a")).await.unwrap();
    assert_eq!(fetched.value, SecretBytes::from("second"));
    assert_eq!(fetched.version.as_ref().map(ToString::to_string), Some("2".to_owned()));
    let error = fetch(&falls_back, at_version("a", "3")).await.unwrap_err();
    assert!(error.message.starts_with("version 3 of the secret a is destroyed"), "{error}");

    cloud.set_state(&place, 2, State::Disabled);
    cloud.set_state(&place, 1, State::Disabled);
    let error = fetch(&falls_back, latest("a")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    assert!(error.message.starts_with("the secret a has no version that is enabled"), "{error}");
}

#[tokio::test]
async fn one_bad_locator_leaves_the_others_untouched() {
    let cloud = cloud();
    let store = reader(&cloud);
    let at = [latest("a"), latest("b/c"), latest("missing"), at_version("a", "1")];
    let answers = store.fetch(&at, Instant::now()).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(drop).map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::InvalidConfig), Err(ErrorKind::NotFound), Ok(())]);
    assert_eq!(cloud.counts().of("AccessSecretVersion"), 3);
}

#[tokio::test]
async fn reads_do_not_wait_for_each_other_and_share_one_login() {
    let cloud = cloud();
    cloud.faults().set("AccessSecretVersion", Fault::Delay { millis: 200 });
    let store = reader(&cloud);
    let began = Instant::now();
    let many = vec![latest("a"); 32];
    let (together, alone) =
        tokio::join!(store.fetch(&many, began), join_all((0..32).map(|_| fetch(&store, latest("a")))));
    assert!(together.iter().chain(&alone).all(Result::is_ok));
    // One after the other they would take 12.8 s.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(cloud.counts().of("RequestToken"), 1);
    assert_eq!(cloud.counts().of("AccessSecretVersion"), 64);
}
