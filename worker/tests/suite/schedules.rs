//! Schedules are fired by workers, all of them, each time once: idle or busy, late or on time; and
//! what is delayed starts once, however long it waits.

use std::time::Duration;

use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::{Broker, ScheduleSpec, State};
use celeriac_producer::trace::TraceContext;
use celeriac_producer::{
    BoxError, EnqueueLayer, Missed, NewTask, Overlap, Replace, Schedule, ScheduleError,
    ScheduleName,
};
use celeriac_testkit::{TestRedis, eventually};

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, key, one_slot, producer, raw,
    short_lease, state, until,
};
use crate::stage::{Stage, hold_task, note_task};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn name() -> ScheduleName {
    "s".parse().unwrap()
}

/// Puts it and returns when it is due first.
async fn put(broker: &Broker, schedule: &Schedule) -> u64 {
    let due = producer(broker).schedules().put(&name(), schedule, Replace::Any).await.unwrap();
    due.unwrap().0
}

async fn view(broker: &Broker) -> ScheduleView {
    producer(broker).schedules().get(&name()).await.unwrap().1
}

/// Waits until the schedule looks so.
#[track_caller]
fn until_view(
    broker: &Broker,
    condition: impl Fn(&ScheduleView) -> bool,
) -> impl Future<Output = ScheduleView> {
    eventually(LONG, async move || match view(broker).await {
        view if condition(&view) => Ok(view),
        view => Err(format!("{view:?}")),
    })
}

/// Makes the schedule due at this time, as if nobody had been there since.
async fn was_due(broker: &Broker, ms: u64) {
    let mut command = redis::cmd("ZADD");
    command.arg(key(broker, "schedules:due")).arg(ms).arg("s");
    let _: () = command.query_async(&mut raw(broker).await).await.unwrap();
}

async fn remove(broker: &Broker) {
    producer(broker).schedules().remove(&name()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_fleet_fires_each_time_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let workers = [(); 3].map(|()| Running::start(&broker, stage.tasks(), config()));
    // They are idle, and have asked before there was a schedule.
    producer(&broker).enqueue_task(note_task("first".to_owned())).await.unwrap();
    stage.heard("first").await;

    let first_due = put(&broker, &Schedule::every(SECOND, note_task("run".to_owned()))).await;
    stage.heard_times(3, "run").await;
    // Every time that passed had its run, unless it was missed, on a machine that is very busy.
    let seen = view(&broker).await;
    assert_eq!((seen.due.unwrap().0 - first_due) / 1_000, seen.runs + seen.missed);
    producer(&broker).schedules().pause(&name(), "test", "enough").await.unwrap();
    let view = view(&broker).await;
    stage.heard_times(usize::try_from(view.runs).unwrap(), "run").await;

    for worker in workers {
        worker.drain().await;
    }
    assert_eq!(stage.count("run"), usize::try_from(view.runs).unwrap());
    remove(&broker).await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_worker_fires_too() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    stage.heard("task begins").await;

    put(&broker, &Schedule::every(SECOND, note_task("run".to_owned()))).await;

    until_view(&broker, |view| view.runs >= 2).await;
    producer(&broker).schedules().pause(&name(), "test", "enough").await.unwrap();
    stage.open("task");
    let runs = usize::try_from(view(&broker).await.runs).unwrap();
    stage.heard_times(runs, "run").await;
    worker.drain().await;
    assert_eq!(stage.count("run"), runs);
    remove(&broker).await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_was_there_for_is_made_up_for_as_told() {
    for (missed, runs) in [(Missed::Skip, 0), (Missed::Once, 1), (Missed::All { most: 3 }, 3)] {
        let (broker, stage) = (broker().await, Stage::new());
        let hourly = Schedule::every(HOUR, note_task("run".to_owned())).missed(missed);
        put(&broker, &hourly).await;
        let begin = view(&broker).await.created.0;
        // Ten hours of the past, the last of which is some minutes ago.
        let hour = 3_600_000;
        let moved = serde_json::json!({
            "v": 1, "every_ms": hour, "start": begin - 10 * hour - 300_000,
            "task": { "v": 1, "task": "note", "args": { "name": "run" } }, "missed": missed,
        });
        let mut set = redis::cmd("HSET");
        set.arg(key(&broker, "schedule:s")).arg("spec").arg(moved.to_string());
        let _: () = set.query_async(&mut raw(&broker).await).await.unwrap();
        was_due(&broker, begin - 9 * hour - 300_000).await;

        let worker = Running::start(&broker, stage.tasks(), config());

        let view = until_view(&broker, |view| view.due.is_some_and(|due| due.0 > begin)).await;
        assert_eq!((view.runs, view.runs + view.missed), (runs, 10), "{missed:?}");
        stage.heard_times(usize::try_from(runs).unwrap(), "run").await;
        worker.drain().await;
        remove(&broker).await;
        assert_finished(&broker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_do_not_overlap_if_told_so() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let schedule = Schedule::every(SECOND, hold_task("task")).overlap(Overlap::Skip);
    put(&broker, &schedule).await;
    stage.heard("task begins").await;

    let held = until_view(&broker, |view| view.overlapped >= 2).await;
    assert_eq!(held.runs, 1);
    let refused = producer(&broker).schedules().run_now(&name()).await;
    assert!(matches!(refused, Err(ScheduleError::NotNow { .. })), "{refused:?}");

    stage.open("task");
    until_view(&broker, |view| view.runs >= 2).await;
    remove(&broker).await;
    // What was fired before that is run.
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_read_stops_no_other() {
    let (broker, stage) = (broker().await, Stage::new());
    let schedules = producer(&broker).schedules();
    put(&broker, &Schedule::every(HOUR, note_task("bad".to_owned()))).await;
    let mut set = redis::cmd("HSET");
    set.arg(key(&broker, "schedule:s")).arg("spec").arg(r#"{"v":99}"#);
    let _: () = set.query_async(&mut raw(&broker).await).await.unwrap();
    was_due(&broker, 1).await;
    let good = "good".parse().unwrap();
    let every_second = Schedule::every(SECOND, note_task("run".to_owned()));
    schedules.put(&good, &every_second, Replace::Nothing).await.unwrap();

    let worker = Running::start(&broker, stage.tasks(), config());

    stage.heard_times(2, "run").await;
    // It stays due, for a worker that can read it.
    assert_eq!(view(&broker).await.due.unwrap().0, 1);
    schedules.remove(&good).await.unwrap();
    remove(&broker).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_while_redis_is_full_is_fired_once_there_is_room() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    put(&broker, &Schedule::every(HOUR, note_task("run".to_owned()))).await;
    let due = view(&broker).await.created;
    was_due(&broker, due.0).await;
    redis.configure("maxmemory", "1").await;

    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));

    // Somebody has looked at it, and it is still there.
    eventually(LONG, async || match state(&broker).await {
        state if state.contains_key("watch:schedules") => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
    let (runs, now_due) = (view(&broker).await.runs, view(&broker).await.due);
    assert_eq!((runs, now_due), (0, Some(due)));
    redis.configure("maxmemory", "0").await;
    stage.heard("run").await;
    let fired = until_view(&broker, |view| view.due > Some(due)).await;
    assert_eq!((fired.runs, fired.missed, fired.refused), (1, 0, 0));
    for worker in workers {
        worker.drain().await;
    }
    stage.assert_once(vec!["run".to_owned()]);
    remove(&broker).await;
    assert_finished(&broker).await;
}

/// A layer sees what a schedule will enqueue as it sees what is enqueued now; or otherwise, if it says so.
struct Stamp;

impl EnqueueLayer for Stamp {
    fn enqueue(&self, task: &mut NewTask) -> Result<(), BoxError> {
        task.meta.headers.set("now", "yes");
        self.schedule(task)
    }

    fn schedule(&self, task: &mut NewTask) -> Result<(), BoxError> {
        task.meta.tags.insert("stamped".to_owned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_see_the_task_of_a_schedule_when_it_is_put() {
    let (broker, stage) = (broker().await, Stage::new());
    let tenant = |task: &mut NewTask| -> Result<(), BoxError> {
        task.options.queue = "tenant-acme".parse()?;
        task.options.tenant = Some("acme".parse()?);
        Ok(())
    };
    let traced = TraceContext::begin_traces();
    let schedules = producer(&broker).layer(tenant).layer(Stamp).layer(traced).schedules();
    let task = || note_task("run".to_owned()).needs("gpu".parse().unwrap());
    let hourly = Schedule::every(HOUR, task());

    schedules.put(&name(), &hourly, Replace::Nothing).await.unwrap();

    let record = serde_json::json!({
        "v": 1, "task": "note", "tenant": "acme", "args": { "name": "run" },
        "queue": "tenant-acme@gpu", "retries": 0, "tags": ["stamped"],
    });
    let stored = ScheduleSpec::decode(&view(&broker).await.spec).unwrap().record;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stored).unwrap(), record);
    // Whoever runs it now, or has no layers and changes it, leaves it so.
    schedules.run_now(&name()).await.unwrap();
    let seen = view(&broker).await;
    let changed = Schedule::of(&seen).unwrap().by_interval(2 * HOUR);
    let plain = producer(&broker).schedules();
    plain.put(&name(), &changed, Replace::Revision(seen.revision)).await.unwrap();
    assert_eq!(ScheduleSpec::decode(&view(&broker).await.spec).unwrap().record, stored);
    // Who puts it with another queue, without the layer, is believed.
    plain.put(&name(), &hourly, Replace::Any).await.unwrap();
    assert_ne!(ScheduleSpec::decode(&view(&broker).await.spec).unwrap().record, stored);

    let refusing = |_: &mut NewTask| -> Result<(), BoxError> { Err("not today".into()) };
    let before = state(&broker).await;
    let refused = producer(&broker).layer(refusing).schedules();
    let refused = refused.put(&name(), &hourly, Replace::Any).await;
    assert!(matches!(refused, Err(ScheduleError::Layer(_))), "{refused:?}");
    assert_eq!(state(&broker).await, before);

    let queues = vec!["tenant-acme@gpu".parse().unwrap()];
    let config = celeriac_worker::WorkerConfig { queues, ..config() };
    let worker = Running::start(&broker, stage.tasks(), config);
    stage.heard("run").await;
    remove(&broker).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test]
async fn two_editors_do_not_overwrite_each_other() {
    let broker = broker().await;
    let schedules = producer(&broker).schedules();
    let hourly = |what: &str| Schedule::cron("@hourly", note_task(what.to_owned()));
    schedules.put(&name(), &hourly("a"), Replace::Nothing).await.unwrap();

    let again = schedules.put(&name(), &hourly("b"), Replace::Nothing).await;
    assert!(matches!(again, Err(ScheduleError::Exists(_))), "{again:?}");
    let seen = view(&broker).await.revision;
    schedules.put(&name(), &hourly("b"), Replace::Revision(seen)).await.unwrap();
    let late = schedules.put(&name(), &hourly("c"), Replace::Revision(seen)).await;
    assert!(matches!(late, Err(ScheduleError::Conflict { revision: 2, .. })), "{late:?}");
    assert!(view(&broker).await.spec.contains(r#""b""#));

    // Paused, changed, skipped and resumed, by the way.
    let due = view(&broker).await.due.unwrap();
    assert_eq!(schedules.skip(&name()).await.unwrap(), (due, Some(due.plus_ms(3_600_000))));
    schedules.pause(&name(), "ada", "holidays").await.unwrap();
    assert!(matches!(schedules.skip(&name()).await, Err(ScheduleError::NotNow { .. })));
    assert_eq!(schedules.put(&name(), &hourly("d"), Replace::Any).await.unwrap(), None);
    assert_eq!(schedules.resume(&name()).await.unwrap(), Some(due));
    let unknown = schedules.remove(&"other".parse().unwrap()).await;
    assert!(matches!(unknown, Err(ScheduleError::Unknown(_))), "{unknown:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let task = || NewTask::new("t", &1).unwrap();
    for schedule in [
        Schedule::cron("* * *", task()),
        Schedule::cron("* * * * *", task()).zone("Nowhere"),
        Schedule::every(Duration::from_millis(1), task()),
        Schedule::every(SECOND, task().delay(SECOND)),
        Schedule::every(SECOND, task()).missed(Missed::All { most: 0 }),
    ] {
        assert!(schedule.check().is_err(), "{schedule:?}");
    }
}

/// G6, and the failure that others have: a task that waits longer than a lease is given out again
/// and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_delay_of_ten_lease_lengths_runs_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), short_lease()));
    let delay = short_lease().visibility * 10;

    let later = note_task("later".to_owned()).delay(delay);
    let handle = producer(&broker).enqueue_task(later).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();

    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
    for worker in workers {
        worker.drain().await;
    }
    stage.assert_once(vec!["later".to_owned()]);
    assert_finished(&broker).await;
}

/// How exact it is otherwise is measured: `celeriac bench --only delay`.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_does_not_start_before_it_is_due() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let producer = producer(&broker);
    producer.enqueue_task(note_task("first".to_owned())).await.unwrap();
    stage.heard("first").await;
    let now = producer.broker().schedules(None, 0, 0).await.unwrap().now;

    let due = now.plus_ms(2_000);
    let handle = producer.enqueue_task(note_task("x").at(due));
    let outcome = handle.await.unwrap().outcome_within(LONG).await.unwrap();

    // A millisecond, since the worker knows Redis time to the millisecond only.
    assert!(outcome.started.unwrap().0 + 1 >= due.0, "{outcome:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}
