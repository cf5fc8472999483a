//! release_again: members of a job that is retried are ready again, however many they are.

use celeriac_broker_schema::script::{JobRetried, WorkflowJob, WorkflowPart};
use celeriac_broker_schema::workflow::Edit;

use crate::support::*;

on_both_servers![many_members_are_released_in_bites];

async fn many_members_are_released_in_bites(world: World) {
    let members = 1_200;
    let part = WorkflowPart {
        job: Some(WorkflowJob { ..described(members) }),
        edits: vec![
            Edit::Reserve(members),
            span(0, members, "e"),
            Edit::Records { first: 0, records: (0..members).map(|_| record("a")).collect() },
            Edit::Release(release(0, members)),
        ],
        ends: members,
        ..chord("J")
    };
    world.enqueue_part(1, &part).await;
    world.open("w1").await;
    let given = world.claim("w1", 1).await;
    world.complete("w1", &[chunk_failed(&given.runs[0], 0)]).await;

    let retried = world.broker.retry_job(job_id("J"), &ada()).await.expect("it is answered");

    let JobRetried::Retried(new) = retried else { panic!("retried") };
    let state = world.state().await;
    assert_eq!(state.get("job:J:members"), None);
    let (_, view) = world.broker.job(new).await.expect("the new one");
    assert_eq!(view.map(|job| job.total), Some(members));
    let mut seen = 0;
    loop {
        let given = world.claim("w1", 2_000).await;
        seen += given.runs.iter().map(|run| run.hi - run.lo).sum::<u64>();
        if given.runs.is_empty() {
            break;
        }
    }
    assert_eq!(seen, members);
}
