//! A namespace in which there is one of everything that the API tells.

use std::time::Duration;

use celeriac_broker_schema::script::Control;
use celeriac_broker_schema::{Broker, DeadFilter, JobId, Limit, Rate, Requester, TaskId};
use celeriac_producer::{NewTask, Replace, Schedule};

use crate::support::seed::{Producer, Worker, failed, retried, running, succeeded};
use crate::support::site::fresh_broker;

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) worker: Worker,
    pub(crate) ready: TaskId,
    pub(crate) delayed: TaskId,
    pub(crate) succeeded: TaskId,
    pub(crate) dead: TaskId,
    pub(crate) retried: TaskId,
    pub(crate) running: TaskId,
    pub(crate) job: JobId,
    pub(crate) failed_job: JobId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let broker = fresh_broker().await;
        let mut producer = Producer::new(&broker);
        let job = producer.job("a job", 10, Some("pi-reduce")).await;
        let mut chunks = Worker::open(&broker, "default").await;
        chunks.succeed_chunks(4).await;
        let failed_job = producer.job("bad", 3, None).await;
        chunks.fail_chunk(failed_job, 1, "row 17 is missing").await;
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(producer.task("mail", None).await);
        }
        let mut worker = Worker::open(&broker, "mail").await;
        let now = worker.hold(4).await;
        worker.beat("host-1", vec![running(&held[3], now)]).await;
        let endings = [
            succeeded(held[0], "{\"sent\":18446744073709551615}", now),
            failed(held[1], "no such address", now),
            retried(held[2], "try later", now),
        ];
        worker.complete(&endings, 0).await;
        let ready = producer.task("mail", None).await;
        let delayed = producer.task("mail", Some(600_000)).await;
        plan(&broker).await;
        limit(&broker).await;
        let [succeeded, dead, retried, running] = held[..] else { unreachable!("four") };
        assert_eq!(
            broker.dead_where(&DeadFilter::default(), None).await.expect("it is right").total,
            2
        );
        Self { broker, worker, ready, delayed, succeeded, dead, retried, running, job, failed_job }
    }
}

async fn plan(broker: &Broker) {
    let schedules = celeriac_producer::Producer::new(broker.clone()).schedules();
    let task = || NewTask::new("report", &serde_json::json!({ "n": 7 })).expect("it is right");
    let nightly = Schedule::cron("0 3 * * *", task()).zone("Europe/Berlin");
    schedules
        .put(&"nightly".parse().expect("it is right"), &nightly, Replace::Nothing)
        .await
        .expect("it is right");
    let often = Schedule::every(Duration::from_secs(60), task());
    let name = "often".parse().expect("it is right");
    schedules.put(&name, &often, Replace::Nothing).await.expect("it is right");
    schedules.pause(&name, "ada", "holidays").await.expect("it is right");
}

async fn limit(broker: &Broker) {
    let rate = Rate { tasks: 5, per_ms: 1_000, burst: 1 };
    let limit = Limit::new(Some(rate), Some(3)).expect("it is right");
    let ada = Requester::new("ada").because("the provider is slow");
    broker
        .limit(&"task:mail.slow".parse().expect("it is right"), Some(&limit), &ada)
        .await
        .expect("it is right");
    let mail = "mail".parse().expect("it is right");
    broker.fair(&"slow".parse().expect("it is right"), true, &ada).await.expect("it is right");
    let most = Control::Limit(1_000.try_into().expect("it is right"));
    broker.control_queue(&mail, most, &ada).await.expect("it is right");
}
