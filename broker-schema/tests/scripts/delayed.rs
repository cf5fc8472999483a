//! delayed: pages of what waits for a time, in its order.

use celeriac_broker_schema::script::DelayedTask;

use crate::support::*;

on_both_servers![pages_go_on_behind_the_last_one, also_if_the_last_one_has_left];

async fn page(world: &World, after: Option<&DelayedTask>, limit: usize) -> Vec<DelayedTask> {
    let before = world.state().await;
    let page = world.broker.delayed(after, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    page.tasks
}

async fn given_delayed(world: &World) -> [DelayedTask; 4] {
    for (name, hours) in [("d", 4), ("a", 1), ("c", 3), ("b", 2)] {
        world.enqueue_all(&[delayed(name, hours * HOUR_MS)]).await;
    }
    let all = page(world, None, 10).await;
    let ids: Vec<_> = all.iter().map(|task| task.id).collect();
    assert_eq!(ids, ["a", "b", "c", "d"].map(id));
    all.try_into().expect("there are four")
}

async fn pages_go_on_behind_the_last_one(world: World) {
    let [a, b, c, d] = given_delayed(&world).await;

    assert_eq!(page(&world, None, 1).await[..], *std::slice::from_ref(&a));
    assert_eq!(page(&world, Some(&a), 2).await, [b.clone(), c]);
    assert_eq!(page(&world, Some(&d), 2).await, []);
    assert_eq!(
        (b.queue.as_str(), world.broker.delayed(None, 1).await.expect("an answer").total),
        (QUEUE, 4)
    );
}

async fn also_if_the_last_one_has_left(world: World) {
    let [_, b, c, d] = given_delayed(&world).await;
    world.broker.cancel(&[id("a"), id("b")], &ada()).await.expect("an answer");

    assert_eq!(page(&world, Some(&b), 5).await, [c, d]);
}
