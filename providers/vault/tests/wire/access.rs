//! The life of a token: shared, renewed, doubted, replaced, revoked.

use std::sync::atomic::{AtomicUsize, Ordering};

use keyferry_core::{ErrorKind, Provider};
use keyferry_testkit::{Reply, Request};
use keyferry_vault::{Auth, VaultConfig};
use serde_json::json;
use tokio::time::{Duration, advance};

use crate::rig::{LOGIN, LOOKUP, READ, RENEW, Rig, app_role, granted, latest, refused, secret, token};

fn value() -> Reply {
    secret(&json!({"k": "v"}), 1)
}

fn denied() -> Reply {
    refused(403, &["permission denied"])
}

fn known() -> Reply {
    Reply::json(200, &json!({"data": {"ttl": 3000, "type": "service"}}))
}

fn tokens(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.header("x-vault-token")).collect()
}

#[tokio::test]
async fn one_login_serves_all_reads() {
    let rig = Rig::answering(app_role(), |request| match request.line().as_str() {
        LOGIN => granted("t-1", 3600),
        _ => value(),
    })
    .await;
    let keys: Vec<_> = (0..20).map(|n| latest(&format!("k{n}"))).collect();
    assert!(rig.vault.fetch(&keys, tokio::time::Instant::now()).await.iter().all(Result::is_ok));
    assert!(rig.value("again").await.is_ok());
    let requests = rig.server.requests();
    assert_eq!(requests.iter().filter(|request| request.line() == LOGIN).count(), 1);
    assert!(tokens(&requests)[1..].iter().all(|token| *token == "t-1"));
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced_once() {
    let script = [
        (LOGIN, granted("t-1", 3600)),
        (READ, value()),
        (READ, denied()),
        (LOOKUP, denied()),
        (LOGIN, granted("t-2", 3600)),
        (READ, value()),
    ];
    let rig = Rig::expecting(app_role(), script).await;
    assert!(rig.value("a").await.is_ok());
    assert!(rig.value("a").await.is_ok());
    assert_eq!(tokens(&rig.finish()), ["", "t-1", "t-1", "t-1", "", "t-2"]);
}

#[tokio::test]
async fn many_reads_with_the_same_ended_token_share_one_lookup_and_one_login() {
    let logins = AtomicUsize::new(0);
    let rig =
        Rig::answering(app_role(), move |request| match (request.line().as_str(), request.header("x-vault-token")) {
            (LOGIN, _) => granted(&format!("t-{}", logins.fetch_add(1, Ordering::Relaxed)), 3600),
            (READ, _) | (_, "t-1") => value(),
            _ => denied(),
        })
        .await;
    assert!(rig.value("a").await.is_ok());
    let keys: Vec<_> = (0..20).map(|n| latest(&format!("k{n}"))).collect();
    assert!(rig.vault.fetch(&keys, tokio::time::Instant::now()).await.iter().all(Result::is_ok));
    let count = |what| rig.server.requests().iter().filter(|request| request.line() == what).count();
    assert_eq!([count(LOOKUP), count(LOGIN)], [1, 2]);
}

#[tokio::test]
async fn a_server_that_says_so_needs_no_lookup() {
    let ended = refused(403, &["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]);
    let script =
        [(LOGIN, granted("t-1", 3600)), (READ, value()), (READ, ended), (LOGIN, granted("t-2", 3600)), (READ, value())];
    let rig = Rig::expecting(app_role(), script).await;
    assert!(rig.value("a").await.is_ok());
    assert!(rig.value("a").await.is_ok());
    rig.finish();
}

#[tokio::test]
async fn a_denied_path_costs_one_lookup_and_no_login() {
    let script = [
        (LOGIN, granted("t-1", 3600)),
        (READ, value()),
        (READ, denied()),
        (LOOKUP, known()),
        (READ, denied()),
        (LOOKUP, known()),
    ];
    let rig = Rig::expecting(app_role(), script).await;
    assert!(rig.value("a").await.is_ok());
    for _ in 0..2 {
        let error = rig.failure("a").await;
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(error.message.contains("kv/data/a") && error.message.contains("polic"), "{error}");
    }
    rig.finish();
}

#[tokio::test]
async fn a_brand_new_token_is_not_doubted() {
    let rig = Rig::expecting(app_role(), [(LOGIN, granted("t-1", 3600)), (READ, denied())]).await;
    assert_eq!(rig.failure("a").await.kind, ErrorKind::AccessDenied);
    rig.finish();
}

#[tokio::test]
async fn where_lookups_are_forbidden_a_denial_is_doubted_once() {
    let script = [
        (LOGIN, granted("t-1", 3600)),
        (READ, value()),
        (READ, denied()),
        (LOOKUP, denied()),
        (LOGIN, granted("t-2", 3600)),
        (READ, denied()),
        (LOOKUP, denied()),
        (READ, denied()),
        (READ, denied()),
    ];
    let rig = Rig::expecting(app_role(), script).await;
    assert!(rig.value("a").await.is_ok());
    for _ in 0..3 {
        assert_eq!(rig.failure("a").await.kind, ErrorKind::AccessDenied);
    }
    assert_eq!(rig.vault.check().await, Ok(()));
    rig.finish();
}

#[tokio::test]
async fn a_static_token_that_has_ended_is_told_from_a_denied_path() {
    let rig = Rig::expecting(token(), [(READ, denied()), (LOOKUP, denied())]).await;
    let error = rig.failure("a").await;
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.contains("a new one is needed"), "{error}");
    rig.finish();

    let rig = Rig::expecting(token(), [(READ, denied()), (LOOKUP, known())]).await;
    assert_eq!(rig.failure("a").await.kind, ErrorKind::AccessDenied);
    rig.finish();

    for (unclear, kind) in [(refused(500, &[]), ErrorKind::Unavailable), (refused(404, &[]), ErrorKind::InvalidConfig)]
    {
        let rig = Rig::expecting(token(), [(READ, denied()), (LOOKUP, unclear)]).await;
        assert_eq!(rig.failure("a").await.kind, kind);
        rig.finish();
    }
}

/// Every server says it in these words of a token that it knows, and in others of one that it does not.
#[tokio::test]
async fn a_token_that_may_not_look_itself_up_is_none_that_has_ended() {
    let forbidden = || refused(403, &["1 error occurred:\n\t* permission denied\n\n"]);
    let rig = Rig::expecting(token(), [(LOOKUP, forbidden()), (READ, forbidden()), (LOOKUP, forbidden())]).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    assert_eq!(rig.failure("a").await.kind, ErrorKind::AccessDenied);
    rig.finish();

    let script = [
        (LOGIN, granted("t-1", 3600)),
        (READ, value()),
        (READ, forbidden()),
        (LOOKUP, forbidden()),
        (LOOKUP, forbidden()),
    ];
    let rig = Rig::expecting(app_role(), script).await;
    assert!(rig.value("a").await.is_ok());
    assert_eq!(rig.failure("a").await.kind, ErrorKind::AccessDenied);
    assert_eq!(rig.vault.check().await, Ok(()));
    rig.finish();
}

#[tokio::test]
async fn a_check_proves_the_login() {
    let rig = Rig::expecting(token(), [(LOOKUP, known()), (LOOKUP, denied())]).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    assert_eq!(rig.vault.check().await.map_err(|error| error.kind), Err(ErrorKind::Unauthenticated));
    rig.finish();

    let script = [(LOGIN, granted("t-1", 3600)), (LOOKUP, known()), (READ, value())];
    let rig = Rig::expecting(app_role(), script).await;
    for _ in 0..2 {
        assert_eq!(rig.vault.check().await, Ok(()));
    }
    assert!(rig.value("a").await.is_ok());
    rig.finish();

    let none = VaultConfig { auth: Auth::None, ..token() };
    let rig = Rig::expecting(none, [(LOOKUP, denied()), (LOOKUP, refused(503, &["Vault is sealed"]))]).await;
    assert_eq!(rig.vault.check().await, Ok(()), "an agent's token may be forbidden to look itself up");
    assert_eq!(rig.vault.check().await.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
    assert_eq!(tokens(&rig.finish()), ["", ""]);
}

#[tokio::test]
async fn a_check_replaces_a_token_that_has_ended() {
    let script = [(LOGIN, granted("t-1", 3600)), (LOOKUP, denied()), (LOGIN, granted("t-2", 3600)), (LOOKUP, known())];
    let rig = Rig::expecting(app_role(), script).await;
    for _ in 0..2 {
        assert_eq!(rig.vault.check().await, Ok(()));
    }
    rig.finish();
}

/// Lets the first token grow old enough to be renewed.
async fn aged<'a>(script: impl IntoIterator<Item = (&'a str, Reply)>) -> Rig {
    let first = [(LOGIN, granted("t-1", 3600)), (READ, value())];
    let rig = Rig::expecting(app_role(), first.into_iter().chain(script)).await;
    assert!(rig.value("a").await.is_ok());
    tokio::time::pause();
    advance(Duration::from_mins(50)).await;
    tokio::time::resume();
    rig
}

#[tokio::test]
async fn an_ageing_token_is_renewed() {
    let rig = aged([(RENEW, granted("t-1", 3600)), (READ, value()), (READ, value())]).await;
    for _ in 0..2 {
        assert!(rig.value("a").await.is_ok());
    }
    assert_eq!(tokens(&rig.finish()), ["", "t-1", "t-1", "t-1", "t-1"]);
}

#[tokio::test]
async fn a_token_near_its_last_end_is_replaced() {
    let rig = aged([(RENEW, granted("t-1", 600)), (LOGIN, granted("t-2", 3600)), (READ, value())]).await;
    assert!(rig.value("a").await.is_ok());
    assert_eq!(tokens(&rig.finish()), ["", "t-1", "t-1", "", "t-2"]);
}

#[tokio::test]
async fn who_may_not_renew_logs_in() {
    let rig = aged([(RENEW, denied()), (LOGIN, granted("t-2", 3600)), (READ, value())]).await;
    assert!(rig.value("a").await.is_ok());
    rig.finish();
}

#[tokio::test]
async fn a_renewal_that_fails_for_now_does_no_harm() {
    let rig = aged([(RENEW, refused(500, &[])), (READ, value())]).await;
    assert!(rig.value("a").await.is_ok());
    rig.finish();
}

#[tokio::test]
async fn the_token_is_revoked_when_the_provider_is_closed() {
    const REVOKE: &str = "POST /v1/auth/token/revoke-self";
    let script = [(LOGIN, granted("t-1", 3600)), (REVOKE, Reply::text(204, ""))];
    let rig = Rig::expecting(app_role(), script).await;
    assert_eq!(rig.vault.check().await, Ok(()));
    rig.vault.close().await;
    rig.vault.close().await;
    assert_eq!(rig.heard.calls()[1..], [("RevokeSelf", Ok(()))]);
    assert_eq!(tokens(&rig.finish()), ["", "t-1"]);
}

#[tokio::test]
async fn reads_wait_for_the_state_that_the_login_left() {
    let with_index = |reply: Reply| reply.header("X-Vault-Index", "state-1");
    let config = |forward| VaultConfig { read_your_writes: true, forward_inconsistent: forward, ..app_role() };
    for (forward, inconsistent) in [(false, ""), (true, "forward-active-node")] {
        let rig = Rig::expecting(config(forward), [(LOGIN, with_index(granted("t-1", 3600))), (READ, value())]).await;
        assert!(rig.value("a").await.is_ok());
        let [login, read] = rig.finish().try_into().expect("two requests");
        assert_eq!([login.header("x-vault-index"), read.header("x-vault-index")], ["", "state-1"]);
        assert_eq!(read.header("x-vault-inconsistent"), inconsistent);
    }
    let rig = Rig::expecting(app_role(), [(LOGIN, with_index(granted("t-1", 3600))), (READ, value())]).await;
    assert!(rig.value("a").await.is_ok());
    assert_eq!(rig.finish()[1].header("x-vault-index"), "");
}
