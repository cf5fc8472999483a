//! A server that is full: what would take memory is refused and changes nothing, what ends tasks and
//! what operators need then is done, and what was refused is made up for when there is room again.

use celeriac_broker_schema::script::{Due, Revived, ScheduleChange};
use celeriac_broker_schema::{BrokerError, Setting};
use celeriac_testkit::TestRedis;

use super::*;

/// As `on_both_servers`, with servers of their own.
macro_rules! on_servers_of_their_own {
    ($($test:ident),* $(,)?) => {
        mod on_a_single_server {
            $(#[tokio::test] async fn $test() {
                super::$test(celeriac_testkit::TestRedis::start().await).await;
            })*
        }
        mod on_a_cluster {
            $(#[tokio::test] async fn $test() {
                super::$test(celeriac_testkit::TestRedis::cluster_mode().await).await;
            })*
        }
    };
}

on_servers_of_their_own![
    operators_can_act,
    what_takes_memory_is_refused,
    what_ends_tasks_is_done,
    a_due_schedule_is_kept_and_fired_once,
];

async fn fill(redis: &TestRedis) {
    redis.configure("maxmemory", "1").await;
}

async fn make_room(redis: &TestRedis) {
    redis.configure("maxmemory", "0").await;
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, BrokerError>) {
    assert!(matches!(answer, Err(BrokerError::OutOfMemory { .. })), "{answer:?}");
}

fn pause() -> ScheduleChange {
    ScheduleChange::Pause { by: "ada".to_owned(), why: String::new() }
}

async fn operators_can_act(redis: TestRedis) {
    let world = World::on(&redis).await;
    for name in ["p", "r", "s"] {
        world.schedule(name, put_schedule("spec", Some(7))).await;
    }
    world.hush().await;
    let before = world.state().await;
    fill(&redis).await;

    for control in [Control::Pause, Control::Close] {
        assert!(world.control(QUEUE, control).await);
    }
    assert!(world.limit_queue(QUEUE, 10).await);
    world.limit("task:t", Some(at_once(1))).await;
    world.turns().await;
    world.broker.settings(&[(Setting::DeadMax, Some(5))]).await.expect("it is set");
    world.schedule("p", pause()).await;
    world.schedule("r", ScheduleChange::Remove).await;
    world.schedule("s", ScheduleChange::Skip { due: at(7), next: Some(at(8)) }).await;

    let note = r#"{"at":now,"by":"ada","why":"t"}"#;
    assert_changes!(world, before, {
        "controls": { "default": "pcm10" },
        "controls:why": { "default:p": note, "default:c": note, "default:m": note },
        "queues": ["default"],
        "limits:task": { "t": at_once(1).encode() },
        "fair": ["default"],
        "limited:why": { "task:t": note, "fair:default": note },
        "settings": { "dead_max": "5" },
        "schedules": { "r": null },
        "schedules:due": { "p": null, "r": null, "s": 8 },
        "schedule:p": { "paused_at": "now", "paused_by": "ada", "paused_why": "", "revision": "2" },
        "schedule:r": null,
        "schedule:s": { "revision": "2" },
    });

    for control in [Control::Resume, Control::Open, Control::Unlimit] {
        assert!(world.control(QUEUE, control).await);
    }
    world.limit("task:t", None).await;
    world.broker.fair(&queue(QUEUE), false, &Requester::new("ada")).await.expect("it is set");
    world.broker.settings(&[(Setting::DeadMax, None)]).await.expect("it is set");
    let resume = ScheduleChange::Resume { due: Some(at(9)), queue: queue(QUEUE) };
    world.schedule("p", resume).await;
    world.hush().await;
    assert_changes!(world, before, {
        "queues": ["default"],
        "schedules": { "r": null },
        "schedules:due": { "p": 9, "r": null, "s": 8 },
        "schedule:p": { "revision": "3" },
        "schedule:r": null,
        "schedule:s": { "revision": "2" },
    });
}

async fn what_takes_memory_is_refused(redis: TestRedis) {
    let world = World::on(&redis).await;
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.enqueue(&["d"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("d")]).await;
    let before = world.state().await;
    fill(&redis).await;

    assert_refused(world.broker.enqueue(&client("c1"), 9, &[entry("a")]).await);
    assert_refused(world.broker.enqueue_range(&client("c1"), 9, &job("J", 5)).await);
    let name = "s".parse().expect("a name");
    assert_refused(world.broker.schedule(&name, None, &put_schedule("new", Some(8))).await);
    assert_refused(world.broker.fire(&fire("s", None, 1, &[id("a")])).await);
    assert_refused(world.broker.revive(&[id("d")], &Requester::new("ada")).await);

    assert_changes!(world, before, {});
    make_room(&redis).await;
    let revived =
        world.broker.revive(&[id("d")], &Requester::new("ada")).await.expect("there is room");
    assert_eq!(revived, [(id("d"), Revived::Revived)]);
}

async fn what_ends_tasks_is_done(redis: TestRedis) {
    let world = World::on(&redis).await;
    let before = world.state().await;
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_all(&[delayed("d", HOUR_MS), delayed("e", HOUR_MS)]).await;
    world.enqueue_job(&job_to_reduce("J", 5)).await;
    world.open("w1").await;
    assert_eq!(super::names(&world.claim("w1", 1).await.tasks), ["a"]);
    fill(&redis).await;

    world.cancel_all(&["b", "d"]).await;
    let told = world.broker.cancel(&[id("a")], &Requester::default()).await.expect("an answer");
    assert_eq!(told, [Cancelled::Told(lease("w1"))]);
    let purged = world.purge(QUEUE, true).await;

    // The element of `b` was in the way, too.
    assert_eq!(purged, Purged { tasks: 2, jobs: 1, elements: 4 });
    world.complete("w1", &[succeeded("a")]).await;
    world.broker.close(&lease("w1")).await.expect("it is closed");
    let left = world.changes(&before).await;
    let left = left.as_object().expect("an object").keys();
    let outcomes = |key: &&String| !key.starts_with("result:") && !key.starts_with("job:");
    let left: Vec<&String> = left.filter(outcomes).collect();
    assert_eq!(
        left,
        ["bell:default", "chunks", "expires", "jobs:ended", "producer:c1", "queues", "stats"]
    );
    world.assert_depths().await;
}

async fn a_due_schedule_is_kept_and_fired_once(redis: TestRedis) {
    let world = World::on(&redis).await;
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.open("w1").await;
    let due = async || world.broker.due(&lease("w1"), 10).await.expect("an answer");
    let names = |due: Due| due.schedules.into_iter().map(|each| each.name).collect::<Vec<_>>();
    let before = world.state().await;
    fill(&redis).await;

    let ids = [id("a")];
    let fire = fire("s", Some(7), 1, &ids);
    for _ in 0..2 {
        assert_refused(world.broker.fire(&fire).await);
        assert_eq!(names(due().await), ["s".parse().expect("a name")]);
    }
    world.forgotten("watch:schedules").await;
    assert_changes!(world, before, {});

    make_room(&redis).await;
    let fired = async || world.broker.fire(&fire).await.expect("an answer").1;
    assert_eq!((fired().await, fired().await), (Fired::Enqueued(1), Fired::Moved));
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a"]));
    assert_eq!(
        (&state["schedule:s"]["runs"], &state["schedule:s"]["missed"]),
        (&json!("1"), &Value::Null)
    );
}
