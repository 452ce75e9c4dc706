use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use keyferry_core::{Error, ErrorKind, Result};
use tokio::{
    task::JoinSet,
    time::{advance, sleep},
};

use super::{Lease, Login, Session, renew_after};

/// Yields 1, 2, 3 … for tokens, one second after it was asked, unless `refusing` says that it fails.
#[derive(Debug, Default)]
struct Counting {
    logins: AtomicU64,
    renewed: AtomicU64,
    ttl: Option<Duration>,
    refusing: std::sync::Mutex<Option<ErrorKind>>,
}

#[async_trait]
impl Login for Counting {
    type Token = u64;

    async fn login(&self, current: Option<&u64>) -> Result<Lease<u64>> {
        let token = self.logins.fetch_add(1, Ordering::Relaxed) + 1;
        self.renewed.store(current.copied().unwrap_or_default(), Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        match *self.refusing.lock().expect("not poisoned") {
            Some(kind) => Err(Error::new(kind, "Test", "Login", "no")),
            None => Ok(Lease { token, ttl: self.ttl }),
        }
    }
}

fn session(ttl: Option<u64>) -> Arc<Session<Counting>> {
    Arc::new(Session::new(Counting { ttl: ttl.map(Duration::from_secs), ..Counting::default() }))
}

fn refuse(session: &Session<Counting>, kind: Option<ErrorKind>) {
    *session.login().refusing.lock().expect("not poisoned") = kind;
}

fn logins(session: &Session<Counting>) -> u64 {
    session.login().logins.load(Ordering::Relaxed)
}

async fn token(session: &Session<Counting>) -> Result<u64> {
    session.grant().await.map(|grant| *grant)
}

async fn tokens(session: &Arc<Session<Counting>>, callers: usize) -> Vec<Result<u64>> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let session = Arc::clone(session);
        tasks.spawn(async move { token(&session).await });
    }
    tasks.join_all().await
}

#[test]
fn a_token_is_renewed_in_good_time() {
    for (ttl, after) in [(3600, 2400), (90, 60), (60, 30), (45, 15), (30, 10), (0, 0)] {
        assert_eq!(renew_after(Duration::from_secs(ttl)), Duration::from_secs(after), "{ttl}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_callers_log_in_once() {
    let session = session(None);
    assert_eq!(tokens(&session, 100).await, vec![Ok(1); 100]);
    assert_eq!(token(&session).await, Ok(1));
    assert_eq!(logins(&session), 1);
}

#[tokio::test(start_paused = true)]
async fn one_caller_renews_while_the_others_go_on() {
    let session = session(Some(90));
    assert_eq!(token(&session).await, Ok(1));
    advance(Duration::from_secs(58)).await;
    assert_eq!(tokens(&session, 3).await, vec![Ok(1); 3]);
    advance(Duration::from_secs(1)).await;
    let mut seen = tokens(&session, 3).await;
    seen.sort_by_key(|token| token.clone().unwrap_or_default());
    assert_eq!(seen, [Ok(1), Ok(1), Ok(2)]);
    assert_eq!(session.login().renewed.load(Ordering::Relaxed), 1);
    assert_eq!(token(&session).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_no_failure_while_the_token_holds() {
    let session = session(Some(90));
    assert_eq!(token(&session).await, Ok(1));
    advance(Duration::from_mins(1)).await;
    refuse(&session, Some(ErrorKind::Unavailable));
    assert_eq!(token(&session).await, Ok(1));
    assert_eq!(token(&session).await, Ok(1));
    assert_eq!(logins(&session), 2, "not tried again at once");
    advance(Duration::from_secs(30)).await;
    assert_eq!(token(&session).await.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
    refuse(&session, None);
    assert_eq!(token(&session).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_neither_used_nor_renewed() {
    let session = session(Some(90));
    assert_eq!(token(&session).await, Ok(1));
    advance(Duration::from_secs(90)).await;
    assert_eq!(tokens(&session, 5).await, vec![Ok(2); 5]);
    assert_eq!(session.login().renewed.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_login_answers_all_who_waited() {
    let session = session(None);
    for kind in [ErrorKind::Unavailable, ErrorKind::Unauthenticated] {
        refuse(&session, Some(kind));
        let before = logins(&session);
        let answers = tokens(&session, 50).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == kind)));
        assert_eq!(logins(&session), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_remembered_but_briefly() {
    let session = session(None);
    refuse(&session, Some(ErrorKind::Unauthenticated));
    for _ in 0..3 {
        assert_eq!(token(&session).await.map_err(|error| error.kind), Err(ErrorKind::Unauthenticated));
    }
    assert_eq!(logins(&session), 1);
    refuse(&session, None);
    advance(Duration::from_secs(5)).await;
    assert_eq!(token(&session).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_lacks_something_does_not_look_like_a_missing_secret() {
    let session = session(None);
    refuse(&session, Some(ErrorKind::NotFound));
    assert_eq!(token(&session).await.map_err(|error| error.kind), Err(ErrorKind::InvalidConfig));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_tried_again_at_once() {
    let session = session(None);
    refuse(&session, Some(ErrorKind::Unavailable));
    assert!(token(&session).await.is_err());
    advance(Duration::from_millis(1)).await;
    refuse(&session, None);
    assert_eq!(token(&session).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_leader_strands_nobody() {
    let session = session(None);
    let leader = tokio::spawn({
        let session = Arc::clone(&session);
        async move { token(&session).await }
    });
    tokio::task::yield_now().await;
    let followers = tokio::spawn({
        let session = Arc::clone(&session);
        async move { tokens(&session, 5).await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(followers.await.expect("not cancelled"), vec![Ok(2); 5]);
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "Test", "Read", "expired")
}

#[tokio::test(start_paused = true)]
async fn callers_with_the_same_refused_token_log_in_once_more_in_all() {
    let session = session(None);
    assert_eq!(token(&session).await, Ok(1));
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let session = Arc::clone(&session);
        tasks.spawn(async move {
            session.with(|grant| async move { if *grant == 1 { Err(refused()) } else { Ok(*grant) } }).await
        });
    }
    assert_eq!(tasks.join_all().await, vec![Ok(2); 20]);
    assert_eq!(logins(&session), 2);
}

#[tokio::test(start_paused = true)]
async fn a_brand_new_token_that_is_refused_ends_the_call() {
    let session = session(None);
    let calls = AtomicU64::new(0);
    let call = || {
        session.with(|_| async {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(refused())
        })
    };
    assert_eq!(call().await, Err(refused()));
    assert_eq!((calls.load(Ordering::Relaxed), logins(&session)), (1, 1));
    assert!(session.leave().is_none());
}

#[tokio::test(start_paused = true)]
async fn other_failures_keep_the_login() {
    let session = session(None);
    let denied = Error::new(ErrorKind::AccessDenied, "Test", "Read", "no");
    let answer: Result<()> = session.with(|_| async { Err(denied.clone()) }).await;
    assert_eq!(answer, Err(denied));
    assert_eq!(session.leave().map(|grant| *grant), Some(1));
}
