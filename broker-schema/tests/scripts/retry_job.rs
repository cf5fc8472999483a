//! retry_job: a failed workflow goes on under a new id, and what was done stays done.

use celeriac_broker_schema::JobId;
use celeriac_broker_schema::script::{JobRetried, PartTaken};
use serde_json::json;

use crate::support::*;

on_both_servers![
    the_failed_part_begins_again_and_the_rest_stays,
    what_the_old_job_has_in_lists_and_flight_is_dropped,
    only_failed_workflows_are_retried,
];

impl World {
    async fn retry_job(&self, job: JobId) -> JobRetried {
        self.broker.retry_job(job, &ada()).await.expect("it is answered")
    }

    /// A chord of which member 0 has succeeded and member 1 has failed for good.
    async fn failed_chord(&self) {
        assert!(matches!(self.enqueue_part(1, &chord("J")).await, PartTaken::Taken(_)));
        self.open("w1").await;
        let given = self.claim("w1", 2).await;
        let run = &given.runs[0];
        self.complete("w1", &[member_succeeded(run, 0), chunk_failed(run, 1)]).await;
    }
}

async fn the_failed_part_begins_again_and_the_rest_stays(world: World) {
    world.failed_chord().await;

    let JobRetried::Retried(new) = world.retry_job(job_id("J")).await else { panic!("retried") };

    assert_eq!(world.retry_job(job_id("J")).await, JobRetried::Continued(new));
    let (_, old) = world.broker.job(job_id("J")).await.expect("the old one");
    assert_eq!(old.and_then(|job| job.continued_as), Some(new));
    let (_, view) = world.broker.job(new).await.expect("the new one");
    let view = view.expect("it is there");
    assert_eq!((view.state.as_str(), view.done, view.failed), ("running", 1, 0));
    assert_eq!(view.failure, None);
    let state = world.state().await;
    assert_eq!(state.get("dead"), None);
    assert_eq!(state["jobs:open"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(state.get("jobs:ended"), None);

    // Only what failed is given, with its attempts; then what follows it.
    let given = world.claim("w1", 9).await;
    let run = &given.runs[0];
    assert_eq!((given.runs.len(), run.lo, run.hi), (1, 1, 2));
    let given = world.complete_as("w1", Ask::want(9), &[member_succeeded(run, 1)]).await;
    let run = &given.runs[0];
    assert_eq!((run.lo, run.hi), (2, 3));
    world.complete("w1", &[member_succeeded(run, 2)]).await;
    let (_, view) = world.broker.job(new).await.expect("the new one");
    assert_eq!(view.map(|job| job.state), Some("succeeded".to_owned()));
    let state = world.state().await;
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
}

async fn what_the_old_job_has_in_lists_and_flight_is_dropped(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    let one = world.claim("w1", 1).await;
    world.open("w2").await;
    let other = world.claim("w2", 1).await;
    world.complete("w1", &[chunk_failed(&one.runs[0], 0)]).await;

    let JobRetried::Retried(new) = world.retry_job(job_id("J")).await else { panic!("retried") };

    let told = world.complete("w2", &[member_succeeded(&other.runs[0], 1)]).await;
    assert_eq!(told.stale.len(), 1, "it was held for the old job");
    let given = world.claim("w1", 9).await;
    let members: u64 = given.runs.iter().map(|run| run.hi - run.lo).sum();
    assert_eq!(members, 2);
    assert!(given.runs.iter().all(|run| run.job == new));
}

async fn only_failed_workflows_are_retried(world: World) {
    assert_eq!(world.retry_job(job_id("K")).await, JobRetried::Unknown);
    world.enqueue_job(&job("C", 2)).await;
    world.enqueue_part(9, &chord("J")).await;
    let before = world.state().await;
    assert_eq!(world.retry_job(job_id("J")).await, JobRetried::UnderWay);
    assert_changes!(world, before, {});
    world.broker.cancel(&[id("J")], &ada()).await.expect("it is cancelled");
    assert_eq!(world.retry_job(job_id("J")).await, JobRetried::NotFailed);
    world.open("w1").await;
    let given = world.claim("w1", 1).await;
    world.complete("w1", &[chunk_failed(&given.runs[0], 0)]).await;
    let before = world.state().await;
    assert_eq!(world.retry_job(job_id("C")).await, JobRetried::NotRetryable);
    assert_changes!(world, before, {});
}
