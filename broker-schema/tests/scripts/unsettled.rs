//! unsettled: which members have begun and are not settled is asked while a job is retried: see `retry_job`.

use celeriac_broker_schema::script::JobRetried;

use crate::support::*;

on_both_servers![those_that_go_their_own_way_do_so_again];

async fn those_that_go_their_own_way_do_so_again(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    let given = world.claim("w1", 2).await;
    let run = &given.runs[0];
    world.complete("w1", &[chunk_retry(run, 0, HOUR_MS), chunk_failed(run, 1)]).await;

    let retried = world.broker.retry_job(job_id("J"), &ada()).await.expect("it is answered");

    let JobRetried::Retried(new) = retried else { panic!("retried") };
    let found = world.claim("w1", 9).await.runs;
    let mut found: Vec<_> = found.iter().map(|run| (run.job == new, run.lo, run.attempt)).collect();
    found.sort_unstable();
    assert_eq!(found, [(true, 0, 2), (true, 1, 1)]);
}
