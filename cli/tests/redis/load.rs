//! Tasks enqueued without a pause, while Redis fails; and what became of those that were acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use celeriac_broker_schema::TaskId;
use celeriac_producer::{EnqueueError, NewTask, Producer, ResultError};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::common::SOON;
use crate::site::{Site, Worker};

/// Between two tasks: enough for a thousand in a few seconds.
const PACE: Duration = Duration::from_millis(2);

/// A load under way.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Enqueued>,
}

/// What was enqueued, and when that was acknowledged.
pub(crate) struct Enqueued {
    pub(crate) acknowledged: Vec<(Instant, TaskId)>,
    /// Tasks of which nobody could say whether they exist.
    pub(crate) doubtful: usize,
}

/// What became of tasks that were acknowledged.
#[derive(Debug)]
pub(crate) struct Fates {
    pub(crate) succeeded: usize,
    /// When those were acknowledged of which nothing is known any more.
    pub(crate) lost: Vec<Instant>,
}

impl Load {
    /// Enqueues one task after the other, with a pause after each.
    pub(crate) fn start(producer: &Producer) -> Self {
        Self::start_with(producer, Some(PACE))
    }

    /// The same without a pause.
    pub(crate) fn start_at_once(producer: &Producer) -> Self {
        Self::start_with(producer, None)
    }

    fn start_with(producer: &Producer, pace: Option<Duration>) -> Self {
        let (stop, producer) = (Arc::new(AtomicBool::new(false)), producer.clone());
        let stopped = Arc::clone(&stop);
        let running = tokio::spawn(async move {
            let mut enqueued = Enqueued { acknowledged: Vec::new(), doubtful: 0 };
            while !stopped.load(Ordering::Relaxed) {
                let task = NewTask::new("echo", &enqueued.acknowledged.len()).unwrap();
                match producer.enqueue_task(task).await {
                    Ok(handle) => enqueued.acknowledged.push((Instant::now(), handle.id())),
                    Err(EnqueueError::Unavailable { .. }) => enqueued.doubtful += 1,
                    Err(error) => panic!("{error}"),
                }
                if let Some(pace) = pace {
                    sleep(pace).await;
                }
            }
            enqueued
        });
        Self { stop, running }
    }

    /// Nothing more is enqueued than what is under way.
    pub(crate) fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn stop(self) -> Enqueued {
        self.tell_to_stop();
        self.running.await.unwrap()
    }
}

impl Enqueued {
    /// Asserts that each task counted once: those that were acknowledged and are not lost, and perhaps
    /// some of those of which nobody could say whether they exist.
    pub(crate) fn assert_counted(&self, fates: &Fates, succeeded: u64) {
        let least = fates.succeeded as u64;
        let most = least + self.doubtful as u64;
        assert!((least..=most).contains(&succeeded), "{succeeded} of {least} to {most}: {fates:?}");
    }

    /// Waits for the end of each task.
    pub(crate) async fn fates(&self, site: &Site) -> Fates {
        let mut fates = Fates { succeeded: 0, lost: Vec::new() };
        for (when, id) in &self.acknowledged {
            let handle = site.producer.handle(*id);
            match handle.outcome_within(SOON).await {
                Ok(outcome) => {
                    assert!(
                        outcome.state == celeriac_broker_schema::State::Succeeded,
                        "{outcome:?}"
                    );
                    fates.succeeded += 1;
                }
                Err(ResultError::Unknown(_)) => fates.lost.push(*when),
                Err(error) => panic!("{id}: {error}"),
            }
        }
        fates
    }
}

/// Asserts that workers still run, and stops them in good order, with nothing left.
pub(crate) async fn dismiss(site: &Site, workers: impl IntoIterator<Item = Worker>) {
    let workers: Vec<Worker> = workers.into_iter().collect();
    for worker in &workers {
        assert!(worker.exited().is_none(), "{}", **worker);
        worker.terminate();
    }
    for worker in workers {
        assert_eq!(worker.wait(SOON).await.code(), Some(0), "{}", *worker);
    }
    // What a lease held that a failover took back goes with it.
    site.until(|snapshot| snapshot.leases == 0 && snapshot.orphans == 0 && snapshot.tasks == 0)
        .await;
}

/// The name of its namespace.
pub(crate) fn namespace(site: &Site) -> String {
    site.broker.config().namespace.as_str().to_owned()
}
