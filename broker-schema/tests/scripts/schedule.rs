//! schedule: made, changed, paused, resumed, skipped and removed; by one editor at a time.

use celeriac_broker_schema::script::{PutDue, ScheduleChange, ScheduleChanged as Changed};

use crate::support::*;

on_both_servers![
    one_is_made,
    it_is_changed_by_who_saw_it,
    what_is_due_may_stay_so,
    it_is_paused_and_resumed,
    its_next_run_is_skipped_once,
    it_is_removed_without_trace,
    what_is_not_there_is_missing,
    there_are_only_so_many,
];

async fn change(world: &World, seen: Option<u64>, change: &ScheduleChange) -> Changed {
    let name = "s".parse().expect("a name");
    world.broker.schedule(&name, seen, change).await.expect("an answer")
}

async fn done(world: &World, seen: Option<u64>, what: &ScheduleChange) -> u64 {
    match change(world, seen, what).await {
        Changed::Done { revision, .. } => revision,
        other => panic!("not done: {other:?}"),
    }
}

fn paused() -> ScheduleChange {
    ScheduleChange::Pause { by: "ada".to_owned(), why: "holidays".to_owned() }
}

async fn one_is_made(world: World) {
    let before = world.state().await;

    assert_eq!(done(&world, Some(0), &put_schedule("spec", Some(7))).await, 1);

    assert_changes!(world, before, {
        "schedules": { "s": 0 },
        "schedules:due": { "s": 7 },
        "schedule:s": { "spec": "spec", "created": "now", "changed": "now", "revision": "1" },
        "bell:default": ["1"],
    });
}

async fn it_is_changed_by_who_saw_it(world: World) {
    done(&world, Some(0), &put_schedule("a", Some(7))).await;
    let before = world.state().await;

    for seen in [0, 2] {
        let refused = change(&world, Some(seen), &put_schedule("b", Some(8))).await;
        assert_eq!(refused, Changed::Conflict { revision: 1 });
    }
    assert_changes!(world, before, {});

    assert_eq!(done(&world, Some(1), &put_schedule("b", None)).await, 2);
    assert_changes!(world, before, {
        "schedules:due": null,
        "schedule:s": { "spec": "b", "revision": "2" },
    });
}

async fn what_is_due_may_stay_so(world: World) {
    done(&world, Some(0), &put_schedule("a", Some(7))).await;
    let before = world.state().await;
    let spec = "b".to_owned();

    let keep = ScheduleChange::Put { spec, due: PutDue::Keep, queue: queue(QUEUE) };
    assert_eq!(done(&world, Some(1), &keep).await, 2);

    assert_changes!(world, before, { "schedule:s": { "spec": "b", "revision": "2" } });
}

async fn it_is_paused_and_resumed(world: World) {
    done(&world, Some(0), &put_schedule("a", Some(7))).await;
    world.hush().await;
    let before = world.state().await;

    assert_eq!(done(&world, None, &paused()).await, 2);
    assert_changes!(world, before, {
        "schedules:due": null,
        "schedule:s": {
            "paused_at": "now", "paused_by": "ada", "paused_why": "holidays", "revision": "2",
        },
    });

    // Whoever changes it leaves it paused.
    assert_eq!(done(&world, Some(2), &put_schedule("b", Some(8))).await, 3);
    assert_changes!(world, before, {
        "schedules:due": null,
        "schedule:s": {
            "paused_at": "now", "paused_by": "ada", "paused_why": "holidays", "revision": "3",
            "spec": "b",
        },
        "bell:default": ["1"],
    });

    let resume = ScheduleChange::Resume { due: Some(at(9)), queue: queue(QUEUE) };
    assert_eq!(done(&world, Some(3), &resume).await, 4);
    assert_changes!(world, before, {
        "schedules:due": { "s": 9 },
        "schedule:s": { "revision": "4", "spec": "b" },
        "bell:default": ["1"],
    });
}

async fn its_next_run_is_skipped_once(world: World) {
    done(&world, Some(0), &put_schedule("a", Some(7))).await;
    let before = world.state().await;
    let skip = ScheduleChange::Skip { due: at(7), next: Some(at(8)) };

    assert_eq!(done(&world, None, &skip).await, 2);
    // Who skips the same run again does not skip another one.
    assert_eq!(change(&world, None, &skip).await, Changed::Conflict { revision: 2 });

    assert_changes!(world, before, {
        "schedules:due": { "s": 8 },
        "schedule:s": { "revision": "2" },
    });
}

async fn it_is_removed_without_trace(world: World) {
    let before = world.state().await;
    done(&world, Some(0), &put_schedule("a", Some(7))).await;
    done(&world, None, &paused()).await;
    world.hush().await;

    assert_eq!(
        change(&world, Some(1), &ScheduleChange::Remove).await,
        Changed::Conflict { revision: 2 }
    );
    done(&world, Some(2), &ScheduleChange::Remove).await;

    assert_changes!(world, before, {});
}

async fn what_is_not_there_is_missing(world: World) {
    let before = world.state().await;

    for what in [
        ScheduleChange::Remove,
        paused(),
        ScheduleChange::Resume { due: None, queue: queue(QUEUE) },
        ScheduleChange::Skip { due: at(1), next: None },
    ] {
        assert_eq!(change(&world, None, &what).await, Changed::Missing);
    }
    let refused = change(&world, Some(3), &put_schedule("a", None)).await;
    assert_eq!(refused, Changed::Conflict { revision: 0 });

    assert_changes!(world, before, {});
}

async fn there_are_only_so_many(world: World) {
    let fill = "for i = 1, 10000 do redis.call('ZADD', KEYS[1], 0, 'x' .. i) end";
    let mut eval = redis::cmd("EVAL");
    world.redis::<()>(eval.arg(fill).arg(1).arg(world.key("schedules"))).await;
    let before = world.state().await;

    assert_eq!(change(&world, Some(0), &put_schedule("a", None)).await, Changed::Full);

    assert_changes!(world, before, {});
}
