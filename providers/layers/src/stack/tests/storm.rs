//! What a store costs and bears when many read it, and when things go wrong: on simulated time.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use keyferry_core::{Error, ErrorKind, Locator, Provider, Retry, SecretBytes, Unobserved};
use keyferry_testkit::{Memory, Step};
use proptest::prelude::*;
use tokio::time::{Instant, advance, sleep, timeout};

use crate::{
    Layers, Settings,
    fixtures::{fail, numbered},
};

fn layers() -> Layers {
    Layers::new(Settings::default(), Arc::new(Unobserved))
}

fn keys(count: usize) -> Memory {
    (0..count).fold(Memory::new(), |memory, number| memory.with(&format!("key-{number}"), &format!("value-{number}")))
}

fn hint(error: &Error) -> Duration {
    match error.retry {
        Retry::After(hint) => hint,
        Retry::Backoff | Retry::Never => Duration::ZERO,
    }
}

/// Reads again and again as an ExternalSecret does that cannot be synced: doubling its pause up to `longest`, and
/// never before the hint. Returns when it has succeeded.
async fn insist(provider: &dyn Provider, at: &[Locator], longest: Duration) {
    let mut pause = Duration::from_secs(1);
    loop {
        match &provider.fetch(at, Instant::now()).await[0] {
            Ok(_) => return,
            Err(error) => sleep(pause.max(hint(error)).mul_f64(1.0 + 0.2 * rand::random::<f64>())).await,
        }
        pause = (pause * 2).min(longest);
    }
}

/// Checks again and again as a store does that does not work.
async fn check_until_it_works(provider: &dyn Provider, longest: Duration) {
    let mut pause = Duration::from_secs(1);
    while provider.check().await.is_err() {
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_costs_a_thousand_readers_less_than_sixty_calls_an_hour() {
    const HOUR: Duration = Duration::from_hours(1);
    let memory = keys(1000).latency(Duration::from_millis(50)).always(fail(ErrorKind::Unauthenticated));
    let provider = layers().stack(memory.provider());
    let all = numbered(1000);
    let readers = join_all(all.chunks(1).map(|at| insist(&*provider, at, HOUR)));
    let check = check_until_it_works(&*provider, Duration::from_mins(5));
    assert!(timeout(HOUR, async { tokio::join!(readers, check) }).await.is_err());
    assert!((10..=60).contains(&memory.calls().len()), "{} calls", memory.calls().len());
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_not_held_back_by_what_the_old_ones_met() {
    let (layers, old) = (layers(), keys(10).always(fail(ErrorKind::Unauthenticated)));
    let refused = layers.stack(old.provider());
    for at in numbered(10).chunks(1) {
        assert!(refused.fetch(at, Instant::now()).await[0].is_err());
    }
    assert!(old.calls().len() < 10, "its circuit is open");
    let accepted = layers.stack(keys(10).provider());
    assert!(accepted.fetch(&numbered(10), Instant::now()).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_a_wrong_login_does_not_shut_out_the_others_of_a_shared_store() {
    let layers = layers();
    let (wrong, right) = (keys(10).always(fail(ErrorKind::Unauthenticated)), keys(10));
    let (wrong, right) = (layers.stack(wrong.provider()), layers.stack(right.provider()));
    for at in numbered(10).chunks(1) {
        assert!(wrong.fetch(at, Instant::now()).await[0].is_err());
        assert!(right.fetch(at, Instant::now()).await[0].is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_slow_another() {
    async fn read_all(provider: &dyn Provider) -> Duration {
        let (all, began) = (numbered(200), Instant::now());
        join_all(all.chunks(1).map(|at| provider.fetch(at, began))).await;
        began.elapsed()
    }
    let healthy = || layers().stack(keys(200).latency(Duration::from_millis(20)).provider());
    let alone = read_all(&*healthy()).await;
    let hung = layers().stack(Memory::new().always(Step::Hang).provider());
    let healthy = healthy();
    let (beside, bounded) = tokio::join!(read_all(&*healthy), read_all(&*hung));
    assert_eq!(beside, alone);
    assert!(bounded <= Settings::default().deadline, "{bounded:?}");
}

#[tokio::test(start_paused = true)]
async fn sixty_four_new_secrets_of_a_slow_backend_are_there_within_a_second() {
    let provider = layers().stack(keys(64).latency(Duration::from_millis(200)).provider());
    let (all, began) = (numbered(64), Instant::now());
    join_all(all.chunks(1).map(|at| provider.fetch(at, Instant::now()))).await;
    assert!(began.elapsed() <= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_tick_costs_one_read_for_each_key_and_one_call_for_each_batch() {
    for (batch, calls) in [(1, 100), (20, 5)] {
        let memory = keys(100).batch(batch).latency(Duration::from_millis(30));
        let provider = layers().stack(memory.provider());
        let (all, tick) = (numbered(100), Instant::now());
        // Two readers of each key, the second half a second later.
        join_all((0..2_u32).flat_map(|round| all.chunks(1).map(move |at| (round, at))).map(|(round, at)| {
            let provider = &provider;
            async move {
                sleep(Duration::from_millis(500) * round).await;
                assert!(provider.fetch(at, tick).await[0].is_ok());
            }
        }))
        .await;
        assert_eq!(memory.calls().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asks_for_a_pause_is_not_asked_meanwhile() {
    let pause = Duration::from_secs(5);
    let slow_down = Error::new(ErrorKind::Throttled, "Memory", "Fetch", "slow down").with_retry(Retry::After(pause));
    let memory = keys(500).latency(Duration::from_millis(20));
    let provider = layers().stack(memory.provider());
    let all = numbered(500);
    assert!(provider.fetch(&all[..1], Instant::now()).await[0].is_ok());
    memory.break_with(Step::Fail(slow_down));
    let began = Instant::now();
    let mend = async {
        sleep(pause).await;
        memory.mend();
    };
    let readers = join_all(all.chunks(1).map(|at| provider.fetch(at, began)));
    let (answers, ()) = tokio::join!(readers, mend);
    assert!(answers.iter().flatten().all(Result::is_ok));
    assert!(began.elapsed() < pause * 2, "{:?}", began.elapsed());
    let meanwhile = memory.calls().iter().filter(|call| call.when >= began && call.when < began + pause).count();
    assert!(meanwhile <= Settings::default().max_in_flight, "{meanwhile} calls");
}

#[tokio::test(start_paused = true)]
async fn recovery_is_noticed_within_seconds() {
    let memory = keys(20).always(fail(ErrorKind::Unavailable));
    let provider = layers().stack(memory.provider());
    let all = numbered(20);
    let outage = Duration::from_mins(10);
    let began = Instant::now();
    let readers = join_all(all.chunks(1).map(|at| insist(&*provider, at, Duration::from_secs(30))));
    let mend = async {
        sleep(outage).await;
        memory.mend();
    };
    tokio::join!(readers, mend);
    let recovery = began.elapsed().saturating_sub(outage);
    assert!(recovery < Duration::from_mins(1), "{recovery:?}");
}

#[tokio::test(start_paused = true)]
async fn one_sick_secret_does_not_harm_the_others() {
    let memory = keys(10).sick("key-0", fail(ErrorKind::Unavailable), 1000);
    let provider = layers().stack(memory.provider());
    let all = numbered(10);
    for _ in 0..20 {
        assert!(provider.fetch(&all[..1], Instant::now()).await[0].is_err());
        advance(Duration::from_secs(30)).await;
    }
    assert!(provider.fetch(&all[1..], Instant::now()).await.iter().all(Result::is_ok));
}

#[derive(Clone, Debug)]
struct Reader {
    wait: Duration,
    keys: Vec<usize>,
    /// How much older than its question an answer may be.
    grace: Duration,
}

fn reader() -> impl Strategy<Value = Reader> {
    let keys = prop::collection::vec(0_usize..6, 1..4);
    (0_u64..3000, keys, 0_u64..2000).prop_map(|(wait, keys, grace)| Reader {
        wait: Duration::from_millis(wait),
        keys,
        grace: Duration::from_millis(grace),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let failures = [ErrorKind::Unavailable, ErrorKind::NotFound, ErrorKind::Throttled, ErrorKind::Malformed];
    prop_oneof![
        8 => prop::sample::select(failures.to_vec()).prop_map(fail),
        1 => Just(Step::Hang),
        1 => Just(Step::Panic),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever goes wrong: each reader gets one answer for each key, in its order and in time, and a value is always
    /// that of its key.
    #[test]
    fn nobody_gets_what_he_did_not_ask_for(
        readers in prop::collection::vec(reader(), 1..30),
        script in prop::collection::vec(step(), 0..10),
        batch in 1_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let memory = keys(6).batch(batch).latency(Duration::from_millis(40)).script(script);
            let provider = layers().stack(memory.provider());
            join_all(readers.into_iter().map(|reader| {
                let provider = &provider;
                async move {
                    sleep(reader.wait).await;
                    let at: Vec<_> = reader.keys.iter().map(|key| numbered(6)[*key].clone()).collect();
                    let asked = Instant::now();
                    let answers = provider.fetch(&at, asked.checked_sub(reader.grace).unwrap_or(asked)).await;
                    assert_eq!(answers.len(), at.len());
                    for (key, answer) in reader.keys.iter().zip(answers) {
                        if let Ok(fetched) = answer {
                            assert_eq!(fetched.value, SecretBytes::from(format!("value-{key}")));
                        }
                    }
                    // Behind a call that hangs, behind those who find out, and its own.
                    assert!(asked.elapsed() <= 2 * Settings::default().deadline + Duration::from_secs(2));
                }
            }))
            .await;
        });
    }
}
