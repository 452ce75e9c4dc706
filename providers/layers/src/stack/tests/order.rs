//! Why the layers stand in this order: each test fails when the two that it names change places. Only retry would
//! keep to the deadline also from outside, since it leaves off before it.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use keyferry_core::{Error, ErrorKind, Locator, Provider, Retry};
use keyferry_testkit::{Memory, Step};
use tokio::time::{Instant, advance};

use crate::{
    Layers, Settings,
    fixtures::{Told, fail, locators, numbered},
};

fn stacked(memory: &Memory, settings: Settings) -> (Arc<dyn Provider>, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Layers::new(settings, told.clone()).stack(memory.provider()), told)
}

fn keys(count: usize) -> Memory {
    (0..count).fold(Memory::new(), |memory, number| memory.with(&format!("key-{number}"), "v"))
}

/// The outcome of one caller for each locator, all at the same time.
async fn at_once(provider: &Arc<dyn Provider>, at: &[Locator]) -> Vec<Result<(), ErrorKind>> {
    let now = Instant::now();
    let answers = join_all(at.chunks(1).map(|at| provider.fetch(at, now))).await;
    answers.into_iter().flatten().map(|answer| answer.map(drop).map_err(|error| error.kind)).collect()
}

fn after(seconds: u64) -> Step {
    let error = Error::new(ErrorKind::Unavailable, "Memory", "Fetch", "starting");
    Step::Fail(error.with_retry(Retry::After(Duration::from_secs(seconds))))
}

#[tokio::test(start_paused = true)]
async fn attempt_in_limit_because_the_wait_for_a_turn_must_not_eat_the_attempt() {
    let memory = keys(3).latency(Duration::from_secs(6));
    let (provider, _) = stacked(&memory, Settings { max_in_flight: 1, max_retries: 0, ..Settings::default() });
    // The third waits for twelve seconds, longer than an attempt may take.
    assert_eq!(at_once(&provider, &numbered(3)).await, [Ok(()); 3]);
}

#[tokio::test(start_paused = true)]
async fn limit_in_retry_because_every_try_costs_quota() {
    let memory = keys(1).script([fail(ErrorKind::Unavailable), fail(ErrorKind::Unavailable)]);
    let (provider, told) = stacked(&memory, Settings { rate: 1, burst: 1, ..Settings::default() });
    let began = Instant::now();
    assert_eq!(at_once(&provider, &numbered(1)).await, [Ok(())]);
    assert_eq!((told.waits().len(), began.elapsed().as_secs()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn limit_in_retry_because_who_pauses_must_not_occupy_a_place() {
    let memory = keys(2).sick("key-0", after(9), 1);
    let (provider, _) = stacked(&memory, Settings { max_in_flight: 1, ..Settings::default() });
    let now = Instant::now();
    let all = numbered(2);
    let pausing = provider.fetch(&all[..1], now);
    let other = async {
        assert!(provider.fetch(&all[1..], now).await[0].is_ok());
        assert!(now.elapsed() < Duration::from_secs(1));
    };
    tokio::join!(pausing, other);
}

#[tokio::test(start_paused = true)]
async fn retry_in_deadline_because_retries_and_queues_must_end() {
    for step in [Step::Hang, after(8)] {
        let memory = keys(3).always(step);
        let settings = Settings { max_in_flight: 1, max_retries: 100, ..Settings::default() };
        let deadline = settings.deadline;
        let (provider, _) = stacked(&memory, settings);
        let began = Instant::now();
        assert!(at_once(&provider, &numbered(3)).await.iter().all(Result::is_err));
        assert!(began.elapsed() <= deadline, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_in_breaker_because_a_call_that_found_no_end_is_a_failure() {
    let memory = keys(10).always(Step::Hang);
    // No attempt ever ends by itself.
    let (provider, _) = stacked(&memory, Settings { attempt_timeout: Duration::MAX, ..Settings::default() });
    let all = numbered(10);
    assert_eq!(at_once(&provider, &all[..4]).await, [Err(ErrorKind::TimedOut); 4]);
    let began = Instant::now();
    assert_eq!(at_once(&provider, &all[4..]).await, [Err(ErrorKind::TimedOut); 6]);
    assert_eq!((memory.calls().len(), began.elapsed()), (4, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn retry_in_breaker_because_calls_count_and_not_tries() {
    let memory =
        (0..8).fold(keys(8), |memory, number| memory.sick(&format!("key-{number}"), fail(ErrorKind::Unavailable), 3));
    let (provider, told) = stacked(&memory, Settings::default());
    for at in numbered(8).chunks(1) {
        assert_eq!(at_once(&provider, at).await, [Ok(())], "the fourth try succeeds");
    }
    assert_eq!((told.retried().len(), told.circuits().len()), (24, 0));
}

#[tokio::test(start_paused = true)]
async fn breaker_in_coalesce_because_many_waiters_are_one_failure() {
    let memory = keys(1).latency(Duration::from_millis(20)).always(fail(ErrorKind::Unavailable));
    let (provider, told) = stacked(&memory, Settings::default());
    let at = vec![numbered(1).remove(0); 100];
    assert_eq!(at_once(&provider, &at).await, [Err(ErrorKind::Unavailable); 100]);
    assert_eq!((memory.calls().len(), told.circuits().len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn breaker_in_coalesce_because_what_was_answered_can_be_shared_while_the_backend_is_away() {
    let memory = keys(9);
    let (provider, told) = stacked(&memory, Settings { max_retries: 0, ..Settings::default() });
    let (all, tick) = (numbered(9), Instant::now());
    assert!(provider.fetch(&all[..1], tick).await[0].is_ok());
    advance(Duration::from_millis(1)).await;
    memory.break_with(fail(ErrorKind::Unavailable));
    at_once(&provider, &all[1..]).await;
    assert_eq!(told.circuits().len(), 1);
    assert!(provider.fetch(&all[..1], tick).await[0].is_ok());
    assert!(provider.fetch(&all[..1], Instant::now()).await[0].is_err());
}

#[tokio::test(start_paused = true)]
async fn coalesce_in_observe_because_a_shared_answer_is_an_answer() {
    let memory = Memory::new().with("a", "1").latency(Duration::from_millis(20));
    let (provider, told) = stacked(&memory, Settings::default());
    let one = locators(["a"]).remove(0);
    at_once(&provider, &vec![one; 10]).await;
    assert_eq!((memory.calls().len(), told.finished().len(), told.shared()), (1, 10, 9));
}
