//! sample: some of the tasks that have not ended, each once.

use std::collections::BTreeSet;

use celeriac_broker_schema::TaskId;

use crate::support::*;

on_both_servers![all_of_few_and_some_of_many, none_where_there_are_none];

async fn all_of_few_and_some_of_many(world: World) {
    let names: Vec<String> = (0..20).map(|n| format!("t{n:02}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let before = world.state().await;
    let all: BTreeSet<TaskId> = names.iter().map(|name| id(name)).collect();

    let few = world.broker.sample(5).await.expect("an answer");
    let more = world.broker.sample(2_000).await.expect("an answer");

    let distinct = |ids: &[TaskId]| ids.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!((few.len(), distinct(&few).len()), (5, 5));
    assert!(distinct(&few).is_subset(&all));
    assert_eq!((more.len(), distinct(&more)), (20, all));
    assert_changes!(world, before, {});
}

async fn none_where_there_are_none(world: World) {
    assert_eq!(world.broker.sample(5).await.expect("an answer"), []);
}
