//! Runs what the queue says.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Class, Job, Lane, fair::FairQueue};

/// When an object wants to run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wakeup {
    pub(crate) after: Duration,
    pub(crate) class: Class,
}

impl Wakeup {
    /// How a reconcile that ended with `next` is counted, in the words of other controllers.
    pub(crate) fn result_of(next: Option<Self>) -> &'static str {
        match next {
            None => "success",
            Some(Self { class: Class::Retry, .. }) => "error",
            Some(_) => "requeue_after",
        }
    }
}

/// What is done with each object of one kind.
#[async_trait]
pub(crate) trait Reconciler: Send + Sync + 'static {
    type Key: Clone + Debug + Eq + Hash + Ord + Send + Sync + 'static;
    type Group: Clone + Eq + Hash + Send + Sync + 'static;

    /// Brings one object to where it should be. `None`: nothing more to do until somebody wakes it.
    async fn reconcile(&self, job: &Job<Self::Key>) -> Option<Wakeup>;

    /// How long a reconcile waited for its turn, and how many wait now.
    fn waited(&self, class: Class, waited: Duration, depth: usize);
}

/// A queue and the tasks that empty it. Cheap to clone; all clones are the same queue.
pub(crate) struct Dispatcher<R: Reconciler> {
    queue: Arc<Mutex<FairQueue<R::Key, R::Group>>>,
    changed: Arc<Notify>,
}

impl<R: Reconciler> Clone for Dispatcher<R> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), changed: Arc::clone(&self.changed) }
    }
}

/// After a reconcile that panicked, which is a bug, the object rests this long.
const AFTER_PANIC: Wakeup = Wakeup { after: Duration::from_secs(300), class: Class::Retry };

impl<R: Reconciler> Dispatcher<R> {
    /// A queue that lets at most `most_per_group` objects of one group be in progress.
    pub(crate) fn new(most_per_group: usize) -> Self {
        Self { queue: Arc::new(Mutex::new(FairQueue::new(most_per_group))), changed: Arc::new(Notify::new()) }
    }

    /// Makes an object ready to run now.
    pub(crate) fn wake(&self, key: &R::Key, lane: Lane<R::Group>, class: Class) {
        self.queue().wake(key, lane, class, Instant::now());
        self.changed.notify_one();
    }

    /// Runs until `stop`, then lets what is in progress come to its end. `alive` is called at least every
    /// ten seconds while the loop turns.
    pub(crate) async fn run(self, reconciler: Arc<R>, stop: CancellationToken, alive: impl Fn() + Send) {
        let mut tasks = JoinSet::new();
        while !stop.is_cancelled() {
            alive();
            while tasks.try_join_next().is_some() {}
            let (job, timer, depth) = {
                let mut queue = self.queue();
                let job = queue.pop(Instant::now());
                (job, queue.next_timer(), queue.depth())
            };
            if let Some(job) = job {
                reconciler.waited(job.class, job.since.elapsed(), depth);
                tasks.spawn(self.clone().work(Arc::clone(&reconciler), job));
                continue;
            }
            let idle = Instant::now() + Duration::from_secs(10);
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(timer.map_or(idle, |timer| timer.min(idle))) => {}
                () = stop.cancelled() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn work(self, reconciler: Arc<R>, job: Job<R::Key>) {
        let key = job.key.clone();
        // A task of its own, so that a panic is confined to one object and its key is given back to the queue.
        let task = tokio::spawn(async move { reconciler.reconcile(&job).await });
        let next = task.await.unwrap_or_else(|failed| {
            error!(?key, panicked = failed.is_panic(), "reconcile ended abnormally; this is a bug");
            Some(AFTER_PANIC)
        });
        self.queue().finish(&key, next.map(|next| (Instant::now() + next.after, next.class)));
        self.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, FairQueue<R::Key, R::Group>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use async_trait::async_trait;
    use tokio::sync::Notify;
    use tokio_util::sync::CancellationToken;

    use super::{Class, Dispatcher, Job, Lane, Reconciler, Wakeup};

    #[derive(Default)]
    struct Script {
        ran: Mutex<Vec<&'static str>>,
        go: Notify,
    }

    #[async_trait]
    impl Reconciler for Script {
        type Key = &'static str;
        type Group = &'static str;

        async fn reconcile(&self, job: &Job<&'static str>) -> Option<Wakeup> {
            self.ran.lock().unwrap().push(job.key);
            match job.key {
                "again" => Some(Wakeup { after: Duration::from_secs(60), class: Class::Refresh }),
                "broken" => panic!("scripted"),
                "slow" => {
                    self.go.notified().await;
                    None
                }
                _ => None,
            }
        }

        fn waited(&self, _: Class, _: Duration, _: usize) {}
    }

    fn lane() -> Lane<&'static str> {
        Lane { group: "store", tenant: "ns".into() }
    }

    async fn until(script: &Script, count: usize) {
        while script.ran.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn runs_again_at_its_time_and_survives_a_panic() {
        let (script, stop) = (Arc::new(Script::default()), CancellationToken::new());
        let dispatcher = Dispatcher::<Script>::new(4);
        let running = tokio::spawn(dispatcher.clone().run(Arc::clone(&script), stop.clone(), || {}));
        dispatcher.wake(&"again", lane(), Class::Changed);
        dispatcher.wake(&"broken", lane(), Class::Changed);
        until(&script, 4).await;
        let ran = script.ran.lock().unwrap().clone();
        assert_eq!(ran, ["again", "broken", "again", "again"]);
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_what_is_in_progress() {
        let (script, stop) = (Arc::new(Script::default()), CancellationToken::new());
        let dispatcher = Dispatcher::<Script>::new(4);
        let running = tokio::spawn(dispatcher.clone().run(Arc::clone(&script), stop.clone(), || {}));
        dispatcher.wake(&"slow", lane(), Class::Changed);
        until(&script, 1).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!running.is_finished());
        script.go.notify_one();
        running.await.unwrap();
    }
}
