//! Bad days of Google's.

use std::{sync::Arc, time::Duration};

use keyferry_core::{ErrorKind, Provider, Retry};
use keyferry_fakes::{faults::Fault, gcp::GoogleCloud};
use keyferry_gcp::Gcp;

use crate::cloud::{Heard, at_version, cloud, config, fetch, key, latest, read, reader};

fn observed(cloud: &GoogleCloud) -> (Gcp, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let store = Gcp::new(config(cloud, key(cloud)), Arc::clone(&heard) as _).expect("a valid store");
    (store, heard)
}

#[tokio::test]
async fn each_request_is_reported_once_and_nothing_is_tried_again() {
    let cloud = cloud();
    let (store, heard) = observed(&cloud);
    read(&store, latest("a")).await;
    fetch(&store, latest("missing")).await.unwrap_err();
    for status in [429, 500, 503] {
        cloud.faults().set("AccessSecretVersion", Fault::Status { status, retry_after: None });
        fetch(&store, latest("a")).await.unwrap_err();
    }
    let reads = |outcome| ("AccessSecretVersion", outcome);
    let expected = [
        ("RequestToken", Ok(())),
        reads(Ok(())),
        reads(Err(ErrorKind::NotFound)),
        reads(Err(ErrorKind::Throttled)),
        reads(Err(ErrorKind::Unavailable)),
        reads(Err(ErrorKind::Unavailable)),
    ];
    assert_eq!(heard.calls(), expected);
    assert_eq!(cloud.counts().of("AccessSecretVersion"), 5);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_has_timed_out() {
    let cloud = cloud();
    let (store, heard) = observed(&cloud);
    store.check().await.unwrap();
    cloud.faults().set("AccessSecretVersion", Fault::BlackHole);
    let hole = fetch(&store, latest("a"));
    tokio::time::timeout(Duration::from_millis(200), hole).await.unwrap_err();
    assert_eq!(heard.calls().last(), Some(&("AccessSecretVersion", Err(ErrorKind::TimedOut))));
}

#[tokio::test]
async fn the_servers_wish_for_a_pause_is_passed_on_also_by_the_login() {
    let cloud = cloud();
    let store = reader(&cloud);
    let throttled = Fault::Status { status: 429, retry_after: Some(7) };
    for operation in ["RequestToken", "AccessSecretVersion"] {
        cloud.faults().set_times(operation, throttled.clone(), 1);
        let error = fetch(&store, latest("a")).await.unwrap_err();
        assert_eq!(
            (error.kind, error.retry),
            (ErrorKind::Throttled, Retry::After(Duration::from_secs(7))),
            "{operation}"
        );
    }
    assert_eq!(read(&store, latest("a")).await, "value of a");
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_down_is_unavailable() {
    let cloud = cloud();
    let store = reader(&cloud);
    read(&store, latest("a")).await;
    cloud.faults().set("AccessSecretVersion", Fault::HangUp);
    assert_eq!(fetch(&store, latest("a")).await.unwrap_err().kind, ErrorKind::Unavailable);
    cloud.server().down().await;
    let error = fetch(&store, at_version("a", "1")).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Backoff), "{error}");
    cloud.faults().clear_all();
    cloud.server().up().await.expect("the same port");
    assert_eq!(read(&store, latest("a")).await, "value of a");
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_at_once() {
    let cloud = cloud();
    let (store, heard) = observed(&cloud);
    read(&store, latest("a")).await;
    cloud.expire_tokens();
    assert_eq!(read(&store, latest("a")).await, "value of a");
    let operations: Vec<_> =
        heard.calls().into_iter().map(|(operation, outcome)| (operation, outcome.is_ok())).collect();
    let (login, read) = ("RequestToken", "AccessSecretVersion");
    assert_eq!(operations, [(login, true), (read, true), (read, false), (login, true), (read, true)]);
}
