//! Answers that others may still want. Pure: time is passed in.
//!
//! Readers of one tick follow each other closely: each of them is woken by the same clock and held up by nothing but
//! the queue. An answer is therefore kept for as long as somebody has used it within the last two seconds, and never
//! longer than a busy tick takes. These are secrets: what is not needed is dropped, and wiped.

use std::{collections::HashMap, time::Duration};

use keyferry_core::{ErrorKind, Result};
use tokio::time::Instant;

use super::question::Question;

/// How long after its last use.
const IDLE: Duration = Duration::from_secs(2);
/// How long at most: ten thousand readers on one tick, each of them written to the cluster.
const LONGEST: Duration = Duration::from_secs(30);
/// What is kept at most; beyond it answers serve those only who already wait for them.
const MOST_ENTRIES: usize = 4096;
const MOST_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Kept<Q: Question> {
    entries: HashMap<Q, Entry<Q>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<Q: Question> {
    answer: Result<Q::Answer>,
    began: Instant,
    kept: Instant,
    used: Instant,
}

impl<Q: Question> Entry<Q> {
    fn is_over(&self, now: Instant) -> bool {
        now >= self.used + IDLE || now >= self.kept + LONGEST
    }

    fn size(&self) -> usize {
        size::<Q>(&self.answer)
    }
}

impl<Q: Question> Default for Kept<Q> {
    fn default() -> Self {
        Self { entries: HashMap::new(), bytes: 0 }
    }
}

impl<Q: Question> Kept<Q> {
    pub(super) fn get(&mut self, question: &Q, since: Instant, now: Instant) -> Option<Result<Q::Answer>> {
        let entry = self.entries.get_mut(question).filter(|entry| entry.began >= since && !entry.is_over(now))?;
        entry.used = now;
        Some(entry.answer.clone())
    }

    /// Keeps an answer of a call that began at `began`, if others can make use of it.
    pub(super) fn put(&mut self, question: Q, began: Instant, answer: &Result<Q::Answer>, now: Instant) {
        if !is_useful(answer) || self.entries.get(&question).is_some_and(|entry| entry.began >= began) {
            return;
        }
        if let Some(older) = self.entries.remove(&question) {
            self.bytes -= older.size();
        }
        if self.entries.len() < MOST_ENTRIES && self.bytes + size::<Q>(answer) <= MOST_BYTES {
            self.bytes += size::<Q>(answer);
            self.entries.insert(question, Entry { answer: answer.clone(), began, kept: now, used: now });
        }
    }

    pub(super) fn sweep(&mut self, now: Instant) {
        let Self { entries, bytes } = self;
        entries.retain(|_, entry| {
            let stays = !entry.is_over(now);
            *bytes -= if stays { 0 } else { entry.size() };
            stays
        });
        if entries.is_empty() {
            entries.shrink_to_fit();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Values, and failures that the next call would end with as well. The others may be over already.
fn is_useful<T>(answer: &Result<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            matches!(error.kind, ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::Unauthenticated)
        }
    }
}

fn size<Q: Question>(answer: &Result<Q::Answer>) -> usize {
    answer.as_ref().map_or(0, Q::size)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use keyferry_core::{Error, ErrorKind, Fetched, Locator, Result, SecretBytes};
    use tokio::time::Instant;

    use super::{IDLE, Kept, LONGEST, MOST_BYTES, MOST_ENTRIES};
    use crate::fixtures::{locators, numbered};

    #[expect(clippy::unnecessary_wraps, reason = "it is an answer")]
    fn value(size: usize) -> Result<Arc<Fetched>> {
        Ok(Arc::new(Fetched::new(SecretBytes::new(vec![b'x'; size]), None)))
    }

    fn key() -> Locator {
        locators(["a"]).remove(0)
    }

    #[test]
    fn an_answer_serves_who_does_not_need_a_newer_one() {
        let (mut kept, began) = (Kept::default(), Instant::now());
        let tick = Duration::from_millis(1);
        kept.put(key(), began, &value(1), began + tick);
        assert!(kept.get(&key(), began - tick, began + tick).is_some());
        assert!(kept.get(&key(), began, began + tick).is_some());
        assert!(kept.get(&key(), began + tick, began + tick).is_none());
    }

    #[test]
    fn it_goes_soon_after_its_last_use_and_at_last_in_any_case() {
        let (mut kept, began) = (Kept::default(), Instant::now());
        kept.put(key(), began, &value(1), began);
        let mut now = began;
        while now < began + LONGEST - IDLE {
            now += IDLE / 2;
            assert!(kept.get(&key(), began, now).is_some());
        }
        assert!(kept.get(&key(), began, now + IDLE).is_none());
        kept.sweep(now + IDLE);
        assert!(kept.is_empty() && kept.bytes == 0);
    }

    #[test]
    fn a_slow_old_call_does_not_replace_a_newer_answer() {
        let (mut kept, began) = (Kept::default(), Instant::now());
        let newer = began + Duration::from_millis(1);
        kept.put(key(), newer, &value(2), newer);
        kept.put(key(), began, &value(1), newer);
        assert_eq!(kept.get(&key(), began, newer), Some(value(2)));
    }

    #[test]
    fn only_failures_that_last_are_kept() {
        let now = Instant::now();
        let kept: Vec<_> = ErrorKind::ALL
            .into_iter()
            .filter(|kind| {
                let mut kept = Kept::default();
                kept.put(key(), now, &Err(Error::new(*kind, "Memory", "Fetch", "no")), now);
                kept.get(&key(), now, now).is_some()
            })
            .collect();
        assert_eq!(kept, [ErrorKind::AccessDenied, ErrorKind::NotFound, ErrorKind::Unauthenticated]);
    }

    #[test]
    fn a_failure_that_passes_leaves_the_older_answer_to_those_whom_it_serves() {
        let (mut kept, began) = (Kept::default(), Instant::now());
        let later = began + Duration::from_millis(1);
        kept.put(key(), began, &value(1), began);
        kept.put(key(), later, &Err(Error::new(ErrorKind::Unavailable, "Memory", "Fetch", "no")), later);
        assert_eq!(kept.get(&key(), began, later), Some(value(1)));
        assert_eq!(kept.get(&key(), later, later), None);
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_the_older() {
        let (mut kept, began) = (Kept::default(), Instant::now());
        let later = began + Duration::from_millis(1);
        kept.put(key(), began, &value(1), began);
        kept.put(key(), later, &value(2), later);
        assert_eq!((kept.get(&key(), began, later), kept.bytes), (Some(value(2)), 2));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        for locator in numbered(2 * MOST_ENTRIES) {
            kept.put(locator, now, &value(1), now);
        }
        assert_eq!(kept.entries.len(), MOST_ENTRIES);
        let mut kept = Kept::default();
        for locator in numbered(10) {
            kept.put(locator, now, &value(MOST_BYTES / 4), now);
        }
        assert_eq!((kept.entries.len(), kept.bytes), (4, MOST_BYTES));
    }
}
