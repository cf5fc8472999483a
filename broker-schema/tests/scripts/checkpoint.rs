//! checkpoint: the states of attempts are kept for the attempts after them, and leave with their task.

use celeriac_broker_schema::script::{Checkpoint, Claimed, Ending, Kept, Run};

use crate::support::*;

on_both_servers![
    a_state_is_kept_and_given_to_the_next_attempt,
    the_last_state_counts,
    a_state_leaves_however_its_task_ends,
    what_is_not_held_has_no_state,
    a_chunk_of_a_run_has_a_state_of_its_own,
    a_chunk_that_goes_its_own_way_takes_its_state_along,
    states_of_chunks_leave_with_their_job,
    a_chunk_that_left_its_run_has_no_state_there,
    a_lost_reply_gives_the_states_again,
    the_last_state_goes_back_with_its_task,
    states_that_older_workers_left_behind_go,
    a_run_whose_chunks_have_states_is_given_in_small_pieces,
];

fn state(name: &str, attempt: u32, state: &str) -> Checkpoint {
    Checkpoint { id: id(name), run: None, attempt, state: state.to_owned() }
}

fn chunk_state(run: &Run, index: u64, attempt: u32, state: &str) -> Checkpoint {
    let id = celeriac_broker_schema::TaskId::of_chunk(run.job, index);
    Checkpoint { id, run: Some(run.field.clone()), attempt, state: state.to_owned() }
}

async fn keep(world: &World, name: &str, states: &[Checkpoint]) -> Vec<Kept> {
    world.broker.checkpoint(&lease(name), states).await.expect("it is answered")
}

async fn given_one_in_flight(world: &World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    assert_eq!(world.claim("w1", 1).await.tasks[0].checkpoint, None);
}

async fn given_a_run(world: &World, chunks: u64) -> Run {
    world.enqueue_job(&job("J", chunks)).await;
    world.open("w1").await;
    world.claim("w1", 4).await.runs.remove(0)
}

async fn a_state_is_kept_and_given_to_the_next_attempt(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open_doomed("w1").await;
    assert_eq!(world.claim("w1", 2).await.tasks.len(), 2);
    let before = world.state().await;

    assert_eq!(keep(&world, "w1", &[state("a", 1, "[7]")]).await, [Kept::Saved]);

    assert_changes!(world, before, { "checkpoints": { "a": "[7]" } });
    world.reclaim_lost(3).await;
    world.open("w2").await;
    let next = world.claim("w2", 2).await.tasks;
    let states: Vec<_> = next.iter().map(|task| task.checkpoint.as_deref()).collect();
    assert_eq!((names(&next), states), (vec!["a".into(), "b".into()], vec![Some("[7]"), None]));
}

async fn the_last_state_counts(world: World) {
    given_one_in_flight(&world).await;
    keep(&world, "w1", &[state("a", 1, "1")]).await;
    let before = world.state().await;

    let kept = keep(&world, "w1", &[state("a", 1, "2"), state("a", 1, "3")]).await;

    assert_eq!(kept, [Kept::Saved, Kept::Saved]);
    assert_changes!(world, before, { "checkpoints": { "a": "3" } });
    world.complete("w1", &[retry("a", 0)]).await;
    assert_eq!(world.claim("w1", 1).await.tasks[0].checkpoint.as_deref(), Some("3"));
}

async fn a_state_leaves_however_its_task_ends(world: World) {
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    world.open_doomed("w2").await;
    world.claim("w2", 1).await;
    keep(&world, "w1", &["a", "b", "c"].map(|name| state(name, 1, "1"))).await;
    keep(&world, "w2", &[state("d", 1, "1")]).await;

    // Its last worker is lost.
    world.reclaim_lost(1).await;
    let left = world.state().await;
    assert_eq!(left["checkpoints"], serde_json::json!({ "a": "1", "b": "1", "c": "1" }));
    world.complete("w1", &[succeeded("a"), done("b"), failed("c")]).await;

    assert!(!world.state().await.contains_key("checkpoints"));
}

async fn what_is_not_held_has_no_state(world: World) {
    given_one_in_flight(&world).await;
    world.enqueue(&["b"]).await;
    let before = world.state().await;

    let strangers = [state("b", 1, "1"), state("x", 1, "1"), state("a", 2, "1")];
    assert_eq!(keep(&world, "w1", &strangers).await, [Kept::Lost; 3]);
    assert_eq!(keep(&world, "w2", &[state("a", 1, "1")]).await, [Kept::Lost]);

    assert_changes!(world, before, {});
}

async fn a_chunk_of_a_run_has_a_state_of_its_own(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    let before = world.state().await;

    let states = [chunk_state(&run, 1, 1, "11"), chunk_state(&run, 3, 1, "13")];
    assert_eq!(keep(&world, "w1", &states).await, [Kept::Saved, Kept::Lost]);

    assert_changes!(world, before, { "job:J:checkpoints": { "1": "11" } });
    world.reclaim_lost(3).await;
    world.open("w2").await;
    let next = world.claim("w2", 3).await.runs.remove(0);
    assert_eq!(next.checkpoints, [(1, "11".to_owned())]);
}

async fn a_chunk_that_goes_its_own_way_takes_its_state_along(world: World) {
    let run = given_a_run(&world, 3).await;
    keep(&world, "w1", &[chunk_state(&run, 1, 1, "11")]).await;

    world.complete("w1", &[chunk_retry(&run, 1, 0)]).await;

    let alone = world.claim("w1", 1).await.runs.remove(0);
    assert_eq!(
        (field(&alone.field), &alone.checkpoints[..]),
        ("J:1".into(), &[(1, "11".into())][..])
    );
    let states = [chunk_state(&alone, 1, 2, "12"), chunk_state(&run, 1, 1, "0")];
    assert_eq!(keep(&world, "w1", &states).await, [Kept::Saved, Kept::Lost]);
    assert_eq!(world.state().await["job:J:checkpoints"], serde_json::json!({ "1": "12" }));
}

async fn states_of_chunks_leave_with_their_job(world: World) {
    let run = given_a_run(&world, 4).await;
    let states: Vec<_> = (0..4).map(|index| chunk_state(&run, index, 1, "1")).collect();
    assert_eq!(keep(&world, "w1", &states).await, [Kept::Saved; 4]);

    world.complete("w1", &[chunks_succeeded(&run, 0, 2, &[])]).await;
    let left = world.state().await;
    assert_eq!(left["job:J:checkpoints"], serde_json::json!({ "2": "1", "3": "1" }));
    world.complete("w1", &[chunk_failed(&run, 2)]).await;

    assert!(!world.state().await.contains_key("job:J:checkpoints"));
    assert_eq!(keep(&world, "w1", &states[3..]).await, [Kept::Lost]);
}

async fn a_chunk_that_left_its_run_has_no_state_there(world: World) {
    let run = given_a_run(&world, 4).await;
    let endings = [chunks_succeeded(&run, 0, 1, &[]), chunks_released(&run, 3, 4)];
    world.complete("w1", &endings).await;
    let before = world.state().await;

    let states = [chunk_state(&run, 0, 1, "1"), chunk_state(&run, 3, 1, "1")];
    assert_eq!(keep(&world, "w1", &states).await, [Kept::Lost; 2]);

    assert_changes!(world, before, {});
}

async fn a_lost_reply_gives_the_states_again(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 2)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    keep(&world, "w1", &[state("a", 1, "1"), chunk_state(&run, 1, 1, "2")]).await;
    world.reclaim_lost(3).await;
    world.open("w2").await;
    let number = world.next_call("w2");
    world.call("w2", number, &Ask::want(3), None).await;

    let Claimed::Repeated { tasks, runs, .. } = world.call("w2", number, &Ask::want(3), None).await
    else {
        panic!("it was carried out before");
    };

    assert_eq!(tasks[0].checkpoint.as_deref(), Some("1"));
    assert_eq!(runs[0].checkpoints, [(1, "2".to_owned())]);
}

async fn the_last_state_goes_back_with_its_task(world: World) {
    given_one_in_flight(&world).await;
    let before = world.state().await;

    let last = [state("a", 1, "9"), state("b", 1, "9")].map(Ending::Checkpoint);
    let [held, stranger] = last;
    let grant = world.complete("w1", &[held, stranger, released("a")]).await;

    assert!(grant.stale.is_empty(), "{grant:?}");
    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "a": null },
        "ready:default:5": ["a"],
        "checkpoints": { "a": "9" },
    });
}

async fn states_that_older_workers_left_behind_go(world: World) {
    given_one_in_flight(&world).await;
    let key = world.key("checkpoints");
    world.redis::<u64>(redis::cmd("HSET").arg(&key).arg(id("old").to_string()).arg("1")).await;

    assert_eq!(keep(&world, "w1", &[]).await, []);

    assert!(!world.state().await.contains_key("checkpoints"));
}

async fn a_run_whose_chunks_have_states_is_given_in_small_pieces(world: World) {
    world.enqueue_job(&job("J", 1_000)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 500).await.runs.remove(0);
    assert_eq!(run.hi, 500);
    keep(&world, "w1", &[chunk_state(&run, 499, 1, "1")]).await;
    world.reclaim_lost(3).await;

    world.open("w2").await;
    let first = world.claim("w2", 500).await;

    assert_eq!(runs(&first.runs), ["J:0-16 #2"]);
    assert!(first.runs[0].checkpoints.is_empty());
}
