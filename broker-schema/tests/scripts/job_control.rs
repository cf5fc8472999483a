//! job_control: a paused job gives nothing more, and all of it comes back when it is resumed.

use celeriac_broker_schema::script::JobControlled;
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_paused_job_is_kept_back_and_comes_back,
    members_and_retries_of_a_workflow_are_kept_back_too,
    what_many_elements_are_kept_back_comes_back_in_bites,
    the_end_of_a_paused_job_leaves_nothing_behind,
    only_open_jobs_are_paused,
];

impl World {
    async fn pause(&self, name: &str) -> JobControlled {
        self.broker.pause_job(job_id(name), &ada()).await.expect("it is answered")
    }

    async fn resume(&self, name: &str) -> JobControlled {
        self.broker.resume_job(job_id(name), &ada()).await.expect("it is answered")
    }
}

async fn a_paused_job_is_kept_back_and_comes_back(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.open("w1").await;
    let given = world.claim("w1", 4).await;
    let before = world.state().await;

    assert_eq!(world.pause("J").await, JobControlled::Changed);
    assert_eq!(world.pause("J").await, JobControlled::Unchanged);
    let note = r#"{"at":now,"by":"ada","why":"t"}"#;
    assert_changes!(world, before, { "job:J": { "paused": note } });

    // What runs goes on; nothing else is given.
    let ended = world.complete_as("w1", Ask::want(9), &[run_succeeded(&given.runs[0])]).await;
    assert!(ended.runs.is_empty() && ended.stale.is_empty());
    world.hush().await;
    let state = world.state().await;
    assert_eq!(state["job:J:parked"], json!(["5:default:J:4-10"]));
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
    let (_, view) = world.broker.job(job_id("J")).await.expect("a job");
    assert_eq!(view.and_then(|job| job.paused).map(|note| note.who), Some(ada()));

    assert_eq!(world.resume("J").await, JobControlled::Changed);
    assert_eq!(world.resume("J").await, JobControlled::Unchanged);
    assert_changes!(world, state, {
        "job:J": { "paused": null },
        "job:J:parked": null,
        "ready:default:5": ["J:4-10"],
        "chunks": { "default:5": "5" },
        "bell:default": ["1"],
    });
    assert_eq!(runs(&world.claim("w1", 9).await.runs), ["J:4-8 #1"]);
}

async fn members_and_retries_of_a_workflow_are_kept_back_too(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    let given = world.claim("w1", 2).await;
    world.pause("J").await;
    let retried = [chunk_retry(&given.runs[0], 0, 0)];
    assert!(world.complete_as("w1", Ask::want(9), &retried).await.runs.is_empty());
    assert_eq!(world.state().await["job:J:parked"], json!(["5:default:J:0"]));

    world.resume("J").await;

    assert_eq!(runs(&world.claim("w1", 9).await.runs), ["J:0 #2"]);
}

async fn what_many_elements_are_kept_back_comes_back_in_bites(world: World) {
    world.enqueue_job(&job("J", 2_500)).await;
    world.open("w1").await;
    let given = world.claim("w1", 2_500).await;
    world.pause("J").await;
    let run = &given.runs[0];
    let retries: Vec<_> = (run.lo..run.hi).map(|index| chunk_retry(run, index, 0)).collect();
    world.complete("w1", &retries).await;
    while world.state().await.contains_key("ready:default:5") {
        world.claim("w1", 3_000).await;
    }
    let kept = world.state().await["job:J:parked"].as_array().map(Vec::len);
    assert!(kept > Some(1_000), "{kept:?}");

    world.resume("J").await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"].as_array().map(Vec::len), kept);
    assert_eq!(state.get("job:J:parked"), None);
}

async fn the_end_of_a_paused_job_leaves_nothing_behind(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.open("w1").await;
    world.pause("J").await;
    world.claim("w1", 4).await;
    assert!(world.state().await.contains_key("job:J:parked"));

    world.broker.cancel(&[id("J")], &ada()).await.expect("it is cancelled");

    let state = world.state().await;
    assert_eq!(state.get("job:J:parked"), None);
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
}

async fn only_open_jobs_are_paused(world: World) {
    assert_eq!(world.pause("K").await, JobControlled::Unknown);
    world.enqueue_job(&job("J", 10)).await;
    world.broker.cancel(&[id("J")], &ada()).await.expect("it is cancelled");
    let before = world.state().await;

    assert_eq!(world.pause("J").await, JobControlled::Over);
    assert_eq!(world.resume("J").await, JobControlled::Over);

    assert_changes!(world, before, {});
}
