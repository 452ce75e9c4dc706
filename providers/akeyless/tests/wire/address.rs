//! Finding the API behind the address that a store names.

use std::{sync::Arc, time::Duration};

use keyferry_akeyless::Akeyless;
use keyferry_core::{ErrorKind, Provider, Unobserved};
use keyferry_fakes::{
    akeyless::{Access, AkeylessGateway, Contents, Item, Settings},
    faults::Fault,
    server::{Certificate, Listen},
};
use keyferry_rest::Tls;

use crate::store::{ACCESS_ID, ACCESS_KEY, Store, config};

fn at(bases: &[&str], named: &'static str) -> Store {
    let settings = Settings { bases: bases.iter().map(|&base| base.to_owned()).collect(), ..Settings::default() };
    Store::with(settings, vec![Item::secret("/a", "1")], |config| {
        config.gateway_url = format!("{}{named}", config.gateway_url.trim_end_matches("/v2"));
    })
}

#[tokio::test]
async fn the_api_is_found_wherever_a_store_points() {
    for (bases, named, probes) in [
        // The address tells.
        (["/v2"], "/v2", 0),
        (["/v2"], "/v2/", 0),
        (["/api/v2"], "/api/v2", 0),
        (["/gw/api/v2"], "/gw/api/v2", 0),
        // The root of the port that serves the API.
        ([""], "", 1),
        ([""], "/", 1),
        (["/own"], "/own", 1),
        // The root of the gateway.
        (["/v2"], "", 2),
        (["/api/v2"], "", 3),
        // A path in front of a gateway is kept.
        (["/gw/v2"], "/gw", 2),
        (["/gw/api/v2"], "/gw/", 3),
        // A path that belongs to another port of the gateway is not, as other operators have it.
        (["/v2"], "/console", 4),
    ] {
        let store = at(&bases, named);
        assert_eq!(store.read("/a").await.as_deref(), Ok("1"), "{bases:?} {named}");
        store.gateway.counts().reset();
        store.read("/a").await.expect("a value");
        assert_eq!(store.count("unknown"), 0, "the gateway was asked again");
        let probed = store.calls.take().iter().filter(|operation| **operation == "Probe").count();
        assert_eq!(probed, probes, "{bases:?} {named}");
    }
}

#[tokio::test]
async fn what_stands_before_a_gateway_does_not_decide() {
    let store = at(&[""], "");
    store.gateway.faults().set_times("unknown", Fault::Status { status: 503, retry_after: None }, 1);
    assert_eq!(store.error("/a").await.kind, ErrorKind::Unavailable);
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn what_led_astray_is_forgotten_when_it_is_found_out() {
    let store = at(&[""], "");
    // As what an ingress says while it has no gateway behind it.
    let away = Fault::Status { status: 403, retry_after: None };
    store.gateway.faults().set_times("unknown", away, 3);
    assert_eq!(store.error("/a").await.kind, ErrorKind::InvalidConfig);
    tokio::time::pause();
    // A refused login is not tried again at once.
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(store.read("/a").await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_wrong_address_is_no_missing_item() {
    let store = at(&["/v2"], "/other/v2");
    let error = store.error("/a").await;
    let expected = "no Akeyless API there knows the login; check akeylessGWApiURL";
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidConfig, expected));
    let store = Store::new(vec![]);
    store.gateway.server().down().await;
    assert_eq!(store.error("/a").await.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_repeating_it() {
    for address in ["gw.example", "ftp://gw.example", "https://me:hunter2@gw.example", "https://gw.example?x=hunter2"] {
        let error = Akeyless::new(config(address), Arc::new(Unobserved)).expect_err(address);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("akeylessGWApiURL ") && !error.message.contains("hunter2"), "{error}");
    }
    assert!(Akeyless::new(config(""), Arc::new(Unobserved)).is_ok());
}

#[tokio::test]
async fn the_stores_own_authority_is_trusted_also_while_probing() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let certificate = Certificate { chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let listen = Listen { tls: Some(certificate), ..Listen::default() };
    let contents = Contents { access: vec![Access::api_key(ACCESS_ID, ACCESS_KEY)], items: vec![] };
    let gateway = AkeylessGateway::start_with(listen, Settings::default(), contents).expect("a free port");
    let provider = |tls: Tls| {
        let mut config = config(gateway.url());
        config.tls = tls;
        Akeyless::new(config, Arc::new(Unobserved)).expect("a usable configuration")
    };
    let error = provider(Tls::default()).check().await.expect_err("an unknown authority");
    assert!(error.message.contains("caBundle"), "{error:?}");
    let trusting = provider(Tls { roots: Some(made.cert.pem().into_bytes()), ..Tls::default() });
    trusting.check().await.expect("a login");
    assert_eq!(gateway.counts().of("unknown"), 1);
}
