//! delete_job: nothing is left of a job that has ended.

use celeriac_broker_schema::script::JobDeleted;

use crate::support::*;

on_both_servers![all_of_a_failed_workflow_goes, what_is_under_way_stays];

impl World {
    async fn delete(&self, name: &str) -> JobDeleted {
        self.broker.delete_job(job_id(name)).await.expect("it is answered")
    }
}

async fn all_of_a_failed_workflow_goes(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    let given = world.claim("w1", 2).await;
    world.complete("w1", &[chunk_failed(&given.runs[0], 0)]).await;

    assert_eq!(world.delete("J").await, JobDeleted::Deleted);
    assert_eq!(world.delete("J").await, JobDeleted::Unknown);

    let state = world.state().await;
    let left: Vec<_> = state.keys().filter(|key| key.contains("job")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(state.get("result:J"), None);
    // For people, who may want to know why.
    assert!(state.contains_key("dead"));
}

async fn what_is_under_way_stays(world: World) {
    assert_eq!(world.delete("K").await, JobDeleted::Unknown);
    world.enqueue_job(&job("J", 10)).await;
    let before = world.state().await;

    assert_eq!(world.delete("J").await, JobDeleted::UnderWay);

    assert_changes!(world, before, {});
}
