//! Losses: a chunk tells of all workers that were lost with it, also in a run, however it goes on.

use celeriac_broker_schema::outcome::counts_of;
use celeriac_broker_schema::script::Claimed;
use serde_json::json;

use super::{lose_workers, lost, lost_run};
use crate::support::*;

on_both_servers![
    a_chunk_that_leaves_takes_its_losses_along,
    what_is_delivered_again_tells_its_losses,
    a_limit_of_one_forgets_no_worker,
    only_the_newest_losses_of_a_job_are_kept,
    a_run_without_open_chunks_was_not_lost,
    a_run_full_of_holes_is_told_in_part,
];

/// However it leaves its run: its own history begins with what its run had lost.
async fn a_chunk_that_leaves_takes_its_losses_along(world: World) {
    world.enqueue_job(&job("J", 4)).await;
    lose_workers(&world, &["w1"]).await;
    world.open("w2").await;
    let run = world.claim("w2", 4).await.runs.remove(0);
    let before = world.state().await;

    let endings = [chunk_retry(&run, 0, HOUR_MS), chunk_snoozed(&run, 1, HOUR_MS)];
    world.complete("w2", &endings).await;
    world.complete("w2", &[chunk_failed(&run, 2)]).await;

    let state = world.state().await;
    let (first, retried) = (lost(1, "w1"), format!("1 1\n{}\n{ATTEMPT}", lost(1, "w1")));
    assert_eq!(
        state["job:J:history"],
        json!({ "0": retried, "1": format!("0 1\n{first}"), "2": retried })
    );
    assert_eq!(state["job:J:losses"], before["job:J:losses"]);
}

async fn what_is_delivered_again_tells_its_losses(world: World) {
    world.enqueue_job(&job("J", 8)).await;
    lose_workers(&world, &["w1"]).await;
    world.open("w2").await;

    let run = world.claim("w2", 3).await.runs.remove(0);

    assert_eq!(
        (&*runs(std::slice::from_ref(&run))[0], counts_of(&run.history)),
        ("J:0-3 #2", (0, 1))
    );
    assert_eq!(world.readable(&run.history), format!("0 1\n{}", lost(1, "w1")));
    // Also if the reply is lost.
    let repeated = world.call("w2", 1, &Ask::want(3), None).await;
    let Claimed::Repeated { runs: held, .. } = repeated else { panic!("{repeated:?}") };
    assert_eq!(held[0].history, run.history);
}

/// Elements count no crashes then, because a crash more would be the end of a chunk.
async fn a_limit_of_one_forgets_no_worker(world: World) {
    world.enqueue_job(&job("J", 2)).await;
    for worker in ["w1", "w2"] {
        world.open_doomed(worker).await;
        world.claim_as(worker, Ask { crash_limit: 1, ..Ask::want(9) }).await;
        world.reclaim_lost(1).await;
    }

    let state = world.state().await;
    assert_eq!(state["job:J"]["failed_task"], json!("J:0"));
    let both = format!("0 2\n{}\n{}", lost(1, "w1"), lost(1, "w2"));
    assert_eq!(state["job:J:history"], json!({ "0": both }));
    let failure = state["job:J"]["failure"].as_str().expect("an error");
    assert!(failure.contains("was lost 2 times: w1, w2"), "{failure}");
}

async fn only_the_newest_losses_of_a_job_are_kept(world: World) {
    world.enqueue_job(&job("J", 4)).await;
    let key = world.key(&format!("job:{}:losses", job_id("J")));
    let mut push = redis::cmd("RPUSH");
    push.arg(&key);
    for n in 0..600 {
        push.arg(lost_run("0-4", 1, &format!("old{n}")));
    }
    world.redis::<u64>(&push).await;

    lose_workers(&world, &["w1"]).await;

    let losses = &world.state().await["job:J:losses"];
    let losses = losses.as_array().expect("a list");
    assert_eq!((losses.len(), &losses[199]), (200, &json!(lost_run("0-4", 1, "w1"))));
    // Of one chunk not even all of these are told, but all are counted.
    world.open("w2").await;
    let history = world.claim("w2", 4).await.runs.remove(0).history;
    assert_eq!(counts_of(&history), (0, 200));
    assert_eq!(history.lines().count(), 101);
    assert!(history.contains("old599") && !history.contains("old500\""), "{history:.200}");
}

async fn a_run_without_open_chunks_was_not_lost(world: World) {
    world.enqueue_job(&job("J", 4)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 4).await.runs.remove(0);
    // The rest of the run is held, and what is left of it goes its own way by now.
    let endings = [chunks_succeeded(&run, 0, 2, &[]), chunk_retry(&run, 2, 0)];
    world.complete("w1", &endings).await;
    world.redis::<u64>(&setbit(&world, 3)).await;

    world.reclaim_lost(3).await;

    assert!(!world.state().await.contains_key("job:J:losses"));
}

fn setbit(world: &World, index: u64) -> redis::Cmd {
    let mut set = redis::cmd("SETBIT");
    set.arg(world.key(&format!("job:{}:done", job_id("J")))).arg(index).arg(1);
    set
}

async fn a_run_full_of_holes_is_told_in_part(world: World) {
    world.enqueue_job(&job("J", 200)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 100).await.runs.remove(0);
    for index in (0..100).filter(|index| index % 2 == 1) {
        world.complete("w1", &[chunks_succeeded(&run, index, index + 1, &[])]).await;
    }

    world.reclaim_lost(3).await;

    let stretches: Vec<String> = (0..32).map(|n| format!("{}-{}", 2 * n, 2 * n + 1)).collect();
    let losses = &world.state().await["job:J:losses"];
    assert_eq!(*losses, json!([lost_run(&stretches.join(","), 1, "w1")]));
}
