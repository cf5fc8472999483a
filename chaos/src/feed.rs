//! The producers of a run: enqueue the load at an even pace, and note what was acknowledged.

use std::time::{Duration, Instant};

use celeriac::{Broker, Cancelled, EnqueueError, NewTask, Priority, Producer, QueueName, TaskId};
use celeriac::{Patience, TaskOptions, Timestamp};
use celeriac_broker_schema::script::{Entry, Start};
use celeriac_broker_schema::{ClientId, Record};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::ledger::now_ms;
use crate::load::{self, Expect, Order, What};

/// Tasks in one wave.
const WAVE: u64 = 200;
/// No more is enqueued while so many tasks have not ended: what is measured is not the memory of Redis.
const MOST_OPEN: u64 = 50_000;

/// Something that Redis has acknowledged.
#[derive(Debug, Clone)]
pub struct Acked {
    pub(crate) id: TaskId,
    pub(crate) kind: &'static str,
    pub(crate) expect: Expect,
    /// When it was enqueued, by the clock of this machine, at the earliest.
    pub(crate) at: u64,
}

/// What came of feeding.
#[derive(Debug, Default)]
pub struct Fed {
    /// What must have ended in the end.
    pub acked: Vec<Acked>,
    /// Tasks of which nothing is known, because no answer came.
    pub unknown: u64,
    /// Enqueues that led to an earlier task with the same key.
    pub duplicates: u64,
    /// Enqueues that a full Redis refused.
    pub refused: u64,
}

/// Enqueues so many tasks until then, spread evenly.
pub async fn feed(broker: Broker, tasks: u64, until: Instant, dice: &mut Dice) -> Fed {
    let patience = Patience::Within(Duration::from_secs(60));
    let producer = Producer::with_patience(broker.clone(), patience);
    let mut skewed = Skewed { broker, client: ClientId::new(), number: 0 };
    let (mut fed, begin) = (Fed::default(), Instant::now());
    let mut under_way: JoinSet<Fed> = JoinSet::new();
    let waves = tasks.div_ceil(WAVE);
    let apart = until.saturating_duration_since(begin) / u32::try_from(waves).unwrap_or(u32::MAX);
    for wave in 0..waves {
        let size = WAVE.min(tasks - wave * WAVE);
        let orders: Vec<_> = (0..size).map(|_| load::next(dice)).collect();
        fed.add(one_wave(&producer, &mut skewed, orders, &mut under_way).await);
        while let Some(done) = under_way.try_join_next() {
            fed.add(done.expect("it does not panic"));
        }
        let next = begin + apart * u32::try_from(wave + 1).unwrap_or(u32::MAX);
        sleep(next.saturating_duration_since(Instant::now())).await;
        wait_for_room(&producer, until).await;
    }
    while let Some(done) = under_way.join_next().await {
        fed.add(done.expect("it does not panic"));
    }
    fed
}

async fn wait_for_room(producer: &Producer, until: Instant) {
    while Instant::now() < until {
        match producer.broker().snapshot(0, 0).await {
            Ok(snapshot) if snapshot.tasks > MOST_OPEN => sleep(Duration::from_millis(100)).await,
            _ => return,
        }
    }
}

async fn one_wave(
    producer: &Producer,
    skewed: &mut Skewed,
    orders: Vec<(&'static str, Order)>,
    under_way: &mut JoinSet<Fed>,
) -> Fed {
    let (mut fed, at) = (Fed::default(), now_ms());
    let (mut many, mut batch, mut wrong) = (producer.many(), Vec::new(), Vec::new());
    for (kind, Order { what, expect }) in orders {
        match what {
            What::Batched(task) => match many.push(task).await {
                Ok(id) => batch.push(Acked { id, kind, expect, at }),
                Err(error) => fed.error(&error, 1),
            },
            What::Skewed(task, skew) => {
                let entry = entry(&task, skew);
                let acked = Acked { id: entry.id, kind, expect, at };
                wrong.push((entry, acked));
            }
            other => {
                let producer = producer.clone();
                under_way.spawn(alone(producer, kind, other, expect));
            }
        }
    }
    match many.finish().await {
        Ok(_) => fed.acked.extend(batch),
        Err(error) => fed.error(&error, batch.len() as u64),
    }
    fed.add(skewed.enqueue(wrong).await);
    fed
}

/// One enqueue by itself, and what follows it.
async fn alone(producer: Producer, kind: &'static str, what: What, expect: Expect) -> Fed {
    let (mut fed, at) = (Fed::default(), now_ms());
    let (answer, cancel) = match what {
        What::Job(job) => (producer.enqueue_job(*job).await, None),
        What::Cancelled(task, after) => (producer.enqueue_task(task).await, Some(after)),
        What::Batched(task) | What::Single(task) | What::Skewed(task, _) => {
            (producer.enqueue_task(task).await, None)
        }
    };
    let handle = match answer {
        Ok(handle) if handle.is_duplicate() => {
            fed.duplicates += 1;
            return fed;
        }
        Ok(handle) => handle,
        Err(error) => {
            fed.error(&error, 1);
            return fed;
        }
    };
    fed.acked.push(Acked { id: handle.id(), kind, expect, at });
    if let Some(after) = cancel {
        sleep(after).await;
        // Redis may be away; whoever wants a task cancelled asks again.
        while !matches!(
            handle.cancel().await,
            Ok(Cancelled::Done | Cancelled::Ended | Cancelled::Told(_) | Cancelled::Unknown)
        ) {
            sleep(Duration::from_millis(100)).await;
        }
    }
    fed
}

/// A program whose clock is wrong, which makes its ids and numbers its calls itself.
struct Skewed {
    broker: Broker,
    client: ClientId,
    number: u64,
}

impl Skewed {
    async fn enqueue(&mut self, wanted: Vec<(Entry, Acked)>) -> Fed {
        let mut fed = Fed::default();
        if wanted.is_empty() {
            return fed;
        }
        let (entries, acked): (Vec<Entry>, Vec<Acked>) = wanted.into_iter().unzip();
        self.number += 1;
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            match self.broker.enqueue(&self.client, self.number, &entries).await {
                Ok(_) => {
                    fed.acked = acked;
                    return fed;
                }
                Err(_) if Instant::now() < give_up => sleep(Duration::from_millis(100)).await,
                Err(_) => {
                    fed.unknown = acked.len() as u64;
                    return fed;
                }
            }
        }
    }
}

/// A task as a foreign producer puts it, with an id of the wrong time.
fn entry(task: &NewTask, skew: i64) -> Entry {
    let options = TaskOptions::default();
    let record = Record::new(task.name(), task.args(), &options);
    let record = record.encode().expect("a small record");
    let id = TaskId::new(Timestamp(now_ms().saturating_add_signed(skew)));
    let (queue, priority) = (QueueName::default(), Priority::default());
    Entry { id, record, queue, priority, start: Start::default(), unique: None }
}

impl Fed {
    fn add(&mut self, other: Self) {
        self.acked.extend(other.acked);
        self.unknown += other.unknown;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
    }

    /// Whether these tasks exist is not known, unless they were refused.
    fn error(&mut self, error: &EnqueueError, tasks: u64) {
        match error {
            EnqueueError::Refused(_) => self.refused += tasks,
            _ => self.unknown += tasks,
        }
    }
}
