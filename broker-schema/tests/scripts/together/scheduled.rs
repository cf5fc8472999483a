//! Schedules and the controls and turns of their queue.

use super::*;

on_both_servers![
    a_schedule_respects_a_closed_queue,
    a_schedule_fills_a_queue_up_to_its_limit,
    a_schedule_takes_turns,
];

async fn a_schedule_respects_a_closed_queue(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.control(QUEUE, Control::Close).await;
    world.hush().await;
    let before = world.state().await;

    let fired = world.fire("s", Some(7), 1, &["a"]).await;

    assert_eq!(fired, Fired::Refused(NoRoom::Closed));
    assert_changes!(world, before, {
        "schedules:due": { "s": 8 },
        "schedule:s": { "refused": "1", "refused_at": "now", "refused_why": "closed" },
    });
    let page = world.broker.schedules(None, 0, 9).await.expect("a page").page;
    let (_, why) = page[0].last_refusal.expect("it was refused");
    assert_eq!((page[0].refused, why, page[0].runs), (1, NoRoom::Closed, 0));
    // Nor when somebody asks for it.
    assert_eq!(world.fire("s", None, 1, &["a"]).await, Fired::Refused(NoRoom::Closed));
    world.control(QUEUE, Control::Open).await;
    assert_eq!(world.fire("s", Some(8), 1, &["a"]).await, Fired::Enqueued(1));
}

async fn a_schedule_fills_a_queue_up_to_its_limit(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.limit_queue(QUEUE, 2).await;

    assert_eq!(world.fire("s", Some(7), 1, &["a", "b", "c"]).await, Fired::Enqueued(2));

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a", "b"]));
    assert_eq!(members(&state, "tasks"), ["a", "b"]);
    let schedule = &state["schedule:s"];
    assert_eq!(schedule["last_task"], "b");
    assert_eq!([&schedule["runs"], &schedule["refused"]], ["2", "1"]);
    assert_eq!(world.fire("s", Some(8), 1, &["d"]).await, Fired::Refused(NoRoom::Full));
    world.cancel_all(&["a"]).await;
    assert_eq!(world.fire("s", Some(9), 1, &["d"]).await, Fired::Enqueued(1));
}

async fn a_schedule_takes_turns(world: World) {
    world.turns().await;
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.enqueue_all(&tasks_of("a", 3)).await;
    let (ids, record) = ([id("b")], entry_of("b", "t", Some("b")).record);
    let fire = fire("s", Some(7), 1, &ids);
    let fire = celeriac_broker_schema::script::Fire { record: &record, ..fire };

    world.broker.fire(&fire).await.expect("an answer");

    assert_eq!(world.state().await["ready:default:5"], json!(["@a", "@b"]));
    assert_eq!(world.assert_depths().await["default"], 4);
}
