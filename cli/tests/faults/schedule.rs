//! Workers are killed at the ticks of a schedule: each tick is fired once, by those who are left.

use std::time::Duration;

use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::{ScheduleName, Timestamp};
use celeriac_producer::{Missed, NewTask, Replace, Schedule};
use celeriac_testkit::dump::dump;
use celeriac_testkit::eventually;
use serde_json::Value;

use crate::common::{Celeriac, SOON};
use crate::site::{Site, Worker};

fn name() -> ScheduleName {
    "s".parse().unwrap()
}

async fn view(site: &Site) -> ScheduleView {
    site.producer.schedules().get(&name()).await.unwrap().1
}

/// The tick that one of the workers watches, while the others mean to come a little later; and
/// which of them it is.
async fn watched(site: &Site, workers: &[Worker]) -> (Timestamp, usize) {
    let key = format!("{}watch:schedules", site.broker.keys().prefix());
    let url = site.broker.config().url_with_secret();
    eventually(SOON, async || {
        let found = dump(url, &key).await;
        let Some(Value::String(text)) = found.get(&key).map(|key| &key["value"]) else {
            return Err(format!("nobody watches: {found:?}"));
        };
        let (at, lease) = text.split_once(':').unwrap();
        let due = view(site).await.due.map(|due| due.0.to_string());
        match workers.iter().position(|worker| worker.lease == lease) {
            Some(worker) if due.as_deref() == Some(at) => {
                Ok((Timestamp(at.parse().unwrap()), worker))
            }
            _ => Err(format!("{text} is watched, and {due:?} is due")),
        }
    })
    .await
}

/// Waits until it is so late by the clock of Redis.
async fn until_time(site: &Site, time: Timestamp) {
    eventually(SOON, async || match site.broker.schedules(None, 0, 0).await.unwrap().now {
        now if now >= time => Ok(()),
        now => Err(format!("it is {now:?}")),
    })
    .await;
}

#[tokio::test]
async fn g4_a_tick_whose_watcher_is_killed_is_fired_once_by_another() {
    let site = Site::new(Celeriac::shared().await);
    let mut workers = vec![site.worker(1).await, site.worker(1).await];
    let task = NewTask::new("noop", &()).unwrap();
    // However slow the machine is, no tick is left out.
    let every = Schedule::every(Duration::from_secs(1), task).missed(Missed::All { most: 1_000 });
    let first = site.producer.schedules().put(&name(), &every, Replace::Nothing).await.unwrap();

    // By turns while it waits for the tick, and in the middle of it.
    let mut killed_before = 0;
    for round in 0..20 {
        if killed_before >= 2 && round >= 4 {
            break;
        }
        let (tick, watcher) = watched(&site, &workers).await;
        let in_the_middle = round % 2 == 1;
        if in_the_middle {
            until_time(&site, tick).await;
        }
        workers.swap_remove(watcher).kill();
        let is_due = view(&site).await.due == Some(tick);
        killed_before += usize::from(is_due && !in_the_middle);
        eventually(SOON, async || match view(&site).await {
            view if view.due > Some(tick) => Ok(()),
            view => Err(format!("{view:?}")),
        })
        .await;
        workers.push(site.worker(1).await);
    }
    assert!(killed_before >= 2, "{killed_before} workers were killed before their tick");

    let seen = view(&site).await;
    let ticks = seen.due.unwrap().since(first.unwrap()) / 1_000;
    assert_eq!((seen.runs, seen.missed, seen.refused), (ticks, 0, 0));
    site.producer.schedules().pause(&name(), "test", "enough").await.unwrap();
    let runs = view(&site).await.runs;
    // Those who are left clear away what was killed.
    let stats = site.until(|snapshot| (snapshot.tasks, snapshot.leases) == (0, 2)).await.stats;
    assert_eq!((stats["enqueued"], stats["succeeded"]), (runs, runs), "{stats:?}");
    site.drain(workers).await;
}
