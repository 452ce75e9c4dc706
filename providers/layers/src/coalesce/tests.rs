//! Who shares which answer, on paused time, and once with real threads.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use keyferry_core::{ErrorKind, Locator, Provider, Query, SecretBytes};
use keyferry_testkit::{Memory, Step};
use tokio::time::{Instant, advance, sleep, timeout};

use super::{Coalesce, STALLED};
use crate::{
    Settings,
    fixtures::{Told, fail, locators, numbered},
    stack::Layer,
};

const LATENCY: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(1);

fn coalesced(memory: &Memory) -> (Arc<dyn Provider>, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Coalesce::new(&Settings::default(), told.clone()).wrap(memory.provider()), told)
}

fn keys(count: usize) -> Memory {
    (0..count).fold(Memory::new(), |memory, number| memory.with(&format!("key-{number}"), "v"))
}

async fn read(provider: &Arc<dyn Provider>, at: &[Locator], since: Instant) -> SecretBytes {
    let answers = provider.fetch(at, since).await;
    answers[0].as_ref().expect("an answer").value.clone()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_readers_of_twenty_keys_on_one_tick_cost_twenty_reads() {
    let memory = keys(20).latency(LATENCY);
    let (provider, told) = coalesced(&memory);
    let (all, tick) = (numbered(20), Instant::now());
    // The queue lets them through within three seconds, which is many times longer than a call takes.
    join_all((0..200_u32).map(|reader| {
        let (provider, all) = (&provider, &all);
        async move {
            sleep(Duration::from_millis(15) * reader).await;
            assert!(provider.fetch(all, tick).await.iter().all(Result::is_ok));
        }
    }))
    .await;
    assert_eq!(memory.calls().len(), 20);
    assert_eq!(told.shared(), 199 * 20);
}

#[tokio::test(start_paused = true)]
async fn equal_searches_on_one_tick_cost_one_listing_and_others_their_own() {
    let memory = keys(150).latency(LATENCY);
    let (provider, told) = coalesced(&memory);
    let tick = Instant::now();
    let below = |path: &str| Query { path: Some(path.to_owned()), ..Query::default() };
    // Two pages of all names, and one each of fewer.
    let searches = [Query::default(), below("key-1"), below("key-2")];
    join_all((0..30_u32).map(|reader| {
        let (provider, mut query) = (&provider, searches[reader as usize % searches.len()].clone());
        async move {
            sleep(Duration::from_millis(15) * reader).await;
            while let Some(next) = provider.list(&query, tick).await.expect("a page").next.clone() {
                query.after = Some(next);
            }
        }
    }))
    .await;
    assert_eq!(memory.calls().len(), 4);
    assert_eq!(told.shared(), 9 * 4);
    advance(TICK).await;
    memory.put_text("key-150", "new");
    let again = provider.list(&below("key-150"), Instant::now()).await.expect("a page");
    assert_eq!(again.items.len(), 1);
    assert_eq!(provider.list(&below("key-1"), Instant::now()).await.expect("a page").items.len(), 62);
}

#[tokio::test(start_paused = true)]
async fn the_next_tick_reads_anew() {
    let memory = keys(1);
    let (provider, _) = coalesced(&memory);
    read(&provider, &numbered(1), Instant::now()).await;
    advance(TICK).await;
    memory.put_text("key-0", "rotated");
    assert_eq!(read(&provider, &numbered(1), Instant::now()).await, SecretBytes::from("rotated"));
}

#[tokio::test(start_paused = true)]
async fn a_forced_refresh_is_never_answered_by_a_call_that_began_before_it() {
    let memory = keys(1).latency(LATENCY);
    let (provider, _) = coalesced(&memory);
    let at = numbered(1);
    let tick = Instant::now();
    let reader = async {
        read(&provider, &at, tick).await;
    };
    let forced = async {
        sleep(TICK).await;
        memory.put_text("key-0", "rotated");
        assert_eq!(read(&provider, &at, Instant::now()).await, SecretBytes::from("rotated"));
    };
    tokio::join!(reader, forced);
    assert_eq!(memory.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_forced_refreshes_of_one_key_share_the_next_call() {
    let memory = keys(1).latency(LATENCY);
    let (provider, _) = coalesced(&memory);
    let at = numbered(1);
    join_all((0..100_u32).map(|reader| {
        let (provider, at) = (&provider, &at);
        async move {
            sleep(TICK * reader).await;
            read(provider, at, Instant::now()).await;
        }
    }))
    .await;
    assert_eq!(memory.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_holds_up_a_forced_refresh_only_briefly() {
    let memory = keys(1).script([Step::Hang]);
    let (provider, _) = coalesced(&memory);
    let (at, began) = (numbered(1), Instant::now());
    assert!(timeout(TICK, provider.fetch(&at, began)).await.is_err());
    read(&provider, &at, Instant::now()).await;
    assert_eq!(began.elapsed(), TICK + STALLED);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_keys_asked_for_at_the_same_time_are_full_batches() {
    let memory = keys(100).batch(20).latency(LATENCY);
    let (provider, _) = coalesced(&memory);
    let now = Instant::now();
    let answers = join_all(numbered(100).chunks(1).map(|at| provider.fetch(at, now))).await;
    assert!(answers.iter().flatten().all(Result::is_ok));
    let sizes: Vec<_> = memory.calls().iter().map(|call| call.at.len()).collect();
    assert_eq!(sizes, [20; 5]);
    assert_eq!(now.elapsed(), LATENCY, "full batches do not wait");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fill_a_batch_leaves_after_a_moment() {
    let memory = keys(3).batch(20);
    let (provider, _) = coalesced(&memory);
    let (all, began) = (numbered(3), Instant::now());
    let late = async {
        sleep(TICK).await;
        provider.fetch(&all[2..], began).await
    };
    tokio::join!(provider.fetch(&all[..2], began), late);
    let asked: Vec<_> = memory.calls().into_iter().map(|call| call.at).collect();
    assert_eq!(asked, [all]);
    assert_eq!(began.elapsed(), Settings::default().gather);
}

#[tokio::test(start_paused = true)]
async fn without_a_batch_call_nobody_waits() {
    let memory = keys(5).latency(LATENCY);
    let (provider, _) = coalesced(&memory);
    let began = Instant::now();
    provider.fetch(&numbered(5), began).await;
    assert_eq!(began.elapsed(), LATENCY);
    assert_eq!(memory.most_in_flight(), 5);
}

#[tokio::test(start_paused = true)]
async fn followers_get_their_answer_when_the_leader_is_cancelled() {
    let memory = keys(1).latency(LATENCY);
    let (provider, _) = coalesced(&memory);
    let (at, tick) = (numbered(1), Instant::now());
    let leader = async {
        assert!(timeout(LATENCY / 2, provider.fetch(&at, tick)).await.is_err());
    };
    let follower = async {
        sleep(LATENCY / 4).await;
        read(&provider, &at, tick).await;
    };
    tokio::join!(leader, follower);
    assert_eq!(memory.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_providers_never_share_an_answer() {
    let (one, other) = (keys(1), Memory::new().with("key-0", "of somebody else"));
    let layer = Coalesce::new(&Settings::default(), Arc::new(Told::default()));
    let (tick, at) = (Instant::now(), numbered(1));
    let first = layer.wrap(one.provider());
    let second = layer.wrap(other.provider());
    assert_eq!(read(&first, &at, tick).await, SecretBytes::from("v"));
    assert_eq!(read(&second, &at, tick).await, SecretBytes::from("of somebody else"));
    let twin = layer.wrap(one.provider());
    read(&twin, &at, tick).await;
    assert_eq!(one.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn lasting_failures_are_shared_and_passing_ones_are_not() {
    for (kind, calls) in [(ErrorKind::AccessDenied, 1), (ErrorKind::Unavailable, 2)] {
        let memory = keys(1).always(fail(kind));
        let (provider, _) = coalesced(&memory);
        let (at, tick) = (numbered(1), Instant::now());
        for _ in 0..2 {
            assert_eq!(provider.fetch(&at, tick).await[0].as_ref().unwrap_err().kind, kind);
        }
        assert_eq!(memory.calls().len(), calls, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_not_kept_when_nobody_wants_it_any_more() {
    let memory = keys(1);
    let (provider, _) = coalesced(&memory);
    let tick = Instant::now();
    let answer = provider.fetch(&numbered(1), tick).await.remove(0).unwrap();
    let value = Arc::downgrade(&answer);
    drop(answer);
    assert_eq!(value.strong_count(), 1);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(value.strong_count(), 0, "it is still in memory");
    read(&provider, &numbered(1), tick).await;
    assert_eq!(memory.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_its_readers_and_not_the_next() {
    let memory = keys(1).script([Step::Panic]);
    let (provider, _) = coalesced(&memory);
    let (at, tick) = (numbered(1), Instant::now());
    assert_eq!(provider.fetch(&at, tick).await[0].as_ref().unwrap_err().kind, ErrorKind::Unavailable);
    read(&provider, &at, tick).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_lacks_an_entry_fails_only_that() {
    let memory = keys(2).batch(2).forgetful();
    let (provider, _) = coalesced(&memory);
    let answers = provider.fetch(&numbered(2), Instant::now()).await;
    assert!(answers[0].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().kind, ErrorKind::Malformed);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_twice_in_one_question_is_read_once() {
    let memory = Memory::new().with("a", "1").with("b", "2");
    let (provider, _) = coalesced(&memory);
    let answers = provider.fetch(&locators(["a", "b", "a"]), Instant::now()).await;
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().value.clone()).collect();
    assert_eq!(values, ["1", "2", "1"].map(SecretBytes::from));
    assert_eq!(memory.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bound_in_the_future_is_taken_as_now() {
    let memory = keys(1);
    let (provider, _) = coalesced(&memory);
    read(&provider, &numbered(1), Instant::now() + Duration::from_secs(60)).await;
}

/// Paused time knows one thread only.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_on_many_threads_get_their_own_answers() {
    for batch in [1, 7] {
        let memory = (0..20).fold(Memory::new(), |memory, key| memory.with(&format!("key-{key}"), &format!("{key}")));
        let (provider, _) = coalesced(&memory.batch(batch));
        let readers = (0..2000).map(|reader| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move {
                let key = reader % 20;
                let value = read(&provider, &numbered(20)[key..=key], Instant::now()).await;
                assert_eq!(value, SecretBytes::from(key.to_string()));
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
    }
}
