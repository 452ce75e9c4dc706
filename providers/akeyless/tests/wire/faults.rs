//! Bad days of the gateway.

use std::time::Duration;

use keyferry_core::{ErrorKind, Provider, Retry};
use keyferry_fakes::{akeyless::Item, faults::Fault};

use crate::store::Store;

const VALUE: &str = "hunter2-the-value";

async fn error_after(command: &str, fault: Fault) -> keyferry_core::Error {
    let store = Store::new(vec![Item::secret("/a", VALUE)]);
    store.gateway.faults().set(command, fault);
    let error = store.error("/a").await;
    for shown in [format!("{error:?}"), error.to_string(), format!("{:?}", store.provider)] {
        assert!(!shown.contains(VALUE) && !shown.contains("t-"), "{shown}");
    }
    error
}

#[tokio::test]
async fn each_fault_has_its_kind() {
    let status = |status| Fault::Status { status, retry_after: None };
    for command in ["auth", "describe-item", "get-secret-value"] {
        for (fault, kind) in [
            (status(429), ErrorKind::Throttled),
            (status(500), ErrorKind::Unavailable),
            (status(503), ErrorKind::Unavailable),
            (Fault::Empty, ErrorKind::Malformed),
            (Fault::Truncated, ErrorKind::Malformed),
            (Fault::HangUp, ErrorKind::Unavailable),
        ] {
            assert_eq!(error_after(command, fault.clone()).await.kind, kind, "{command} {fault:?}");
        }
    }
    assert_eq!(error_after("auth", status(403)).await.kind, ErrorKind::Unauthenticated);
    assert_eq!(error_after("describe-item", status(403)).await.kind, ErrorKind::AccessDenied);
    assert_eq!(error_after("get-secret-value", status(403)).await.kind, ErrorKind::AccessDenied);
    assert_eq!(error_after("get-secret-value", status(401)).await.kind, ErrorKind::Unauthenticated);
    assert_eq!(error_after("describe-item", status(404)).await.kind, ErrorKind::NotFound);
    assert_eq!(error_after("get-secret-value", status(404)).await.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_gateways_wish_to_wait_is_passed_on() {
    let fault = Fault::Status { status: 429, retry_after: Some(7) };
    assert_eq!(error_after("get-secret-value", fault).await.retry, Retry::After(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_fault_that_has_passed_leaves_nothing_behind() {
    let store = Store::new(vec![Item::secret("/a", VALUE)]);
    for fault in [Fault::Empty, Fault::HangUp, Fault::Status { status: 403, retry_after: None }] {
        store.gateway.faults().set("*", fault);
        store.error("/a").await;
        store.gateway.faults().clear_all();
        tokio::time::pause();
        // A refused login is not tried again at once.
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::time::resume();
        assert_eq!(store.read("/a").await.as_deref(), Ok(VALUE));
        store.gateway.expire_tokens();
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let store = Store::new(vec![Item::secret("/a", VALUE)]);
    store.gateway.faults().set("auth", Fault::BlackHole);
    assert!(tokio::time::timeout(Duration::from_millis(50), store.provider.check()).await.is_err());
    store.gateway.faults().clear_all();
    assert_eq!(store.read("/a").await.as_deref(), Ok(VALUE));
}
