//! Redis is killed and restarted in mid-run: workers wait for it and go on.

use celeriac_testkit::TestRedis;

use crate::common::Celeriac;
use crate::pi_job::{CHUNKS, PiJob};
use crate::site::Site;

#[tokio::test]
async fn g8_redis_dies_in_mid_run_and_the_estimate_is_the_same() {
    let mut redis = TestRedis::start().await;
    let site = Site::new(Celeriac::at(redis.url()));
    let job = PiJob::enqueue(&site).await;
    let workers = [site.worker(1).await, site.worker(1).await];
    for done in [2, CHUNKS / 2] {
        site.until_done(job.id(), done).await;
        redis.kill();
        redis.restart().await;
    }
    job.assert_exact(&site).await;
    for worker in &workers {
        assert!(worker.exited().is_none(), "{}", **worker);
    }
    site.drain(workers).await;
}
