//! The job that faults happen to: Pi, whose estimate is known without a queue.

use celeriac_broker_schema::JobId;
use celeriac_producer::{Handle, NewJob, NewTask};
use celeriac_worker::builtin::pi;
use serde_json::json;

use crate::common::SOON;
use crate::site::Site;

const SEED: u64 = 20_17;
/// About a tenth of a second of work for each chunk, without optimisation and on a busy core; and not
/// the same for all.
const SAMPLES: u64 = CHUNKS * 2_500_000 + 7;
pub(crate) const CHUNKS: u64 = 24;

/// A Pi job under way.
pub(crate) struct PiJob {
    handle: Handle<pi::Estimate>,
}

impl PiJob {
    pub(crate) async fn enqueue(site: &Site) -> Self {
        Self::enqueue_as(site, |job| job).await
    }

    pub(crate) async fn enqueue_as(site: &Site, change: impl FnOnce(NewJob) -> NewJob) -> Self {
        let chunk = NewTask::new("pi", &json!({"seed": SEED})).unwrap();
        let reduce = NewTask::new("pi.estimate", &json!({})).unwrap();
        let job = NewJob::new(chunk, CHUNKS)
            .split("samples", SAMPLES)
            .sum("hits")
            .sum("samples")
            .reduce(reduce);
        Self { handle: site.producer.enqueue_job(change(job)).await.unwrap().typed() }
    }

    pub(crate) fn id(&self) -> JobId {
        self.handle.id().job()
    }

    /// Waits for the end, and asserts that every chunk counted once: the estimate is the one that
    /// comes without a queue.
    pub(crate) async fn assert_exact(self, site: &Site) {
        let expected = tokio::task::spawn_blocking(without_a_queue);
        let estimate = self.handle.result_within(SOON).await.unwrap();
        assert_eq!(estimate, expected.await.unwrap());
        self.assert_counted(site).await;
    }

    /// Asserts that nothing was counted twice.
    pub(crate) async fn assert_counted(&self, site: &Site) {
        let view = site.job(self.id()).await;
        assert_eq!((view.done, view.total, view.failed, view.retried), (CHUNKS, CHUNKS, 0, 0));
        assert_eq!(view.accumulators["samples"], SAMPLES.to_string());
    }
}

fn without_a_queue() -> pi::Estimate {
    let share = |chunk| SAMPLES / CHUNKS + u64::from(chunk < SAMPLES % CHUNKS);
    let hits = (0..CHUNKS).map(|chunk| pi::hits(SEED, chunk, share(chunk))).sum();
    pi::Estimate::from_counts(hits, SAMPLES)
}
