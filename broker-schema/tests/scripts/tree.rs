//! tree: what is done and what has begun, by stretches.

use celeriac_broker_schema::script::Far;

use crate::support::*;

on_both_servers![members_are_counted_by_stretches];

async fn members_are_counted_by_stretches(world: World) {
    let far = async |name: &str, stretches: &[(u64, u64)]| {
        world.broker.tree(job_id(name), stretches).await.expect("counts")
    };
    assert_eq!(far("K", &[(0, 3)]).await, [Far::default()]);
    world.enqueue_part(1, &chord("J")).await;
    assert_eq!(far("J", &[]).await, []);
    world.open("w1").await;
    let given = world.claim("w1", 2).await;
    let before = world.state().await;

    let all = [(0, 2), (2, 3), (0, 3), (1, 2)];
    let counted = |done, begun| Far { done, begun };
    let found = far("J", &all).await;
    assert_eq!(found, [counted(0, 2), counted(0, 0), counted(0, 2), counted(0, 1)]);
    assert_changes!(world, before, {});

    world.complete("w1", &[chunk_failed(&given.runs[0], 1)]).await;
    let found = far("J", &all).await;
    assert_eq!(found, [counted(1, 2), counted(0, 0), counted(1, 2), counted(1, 1)]);
}
