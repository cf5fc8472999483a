//! The one task that reads Redis: every second while somebody looks, every five seconds
//! otherwise (so that rates and chart are there when somebody comes), and publishes what it saw.
//! Nothing that it meets ends it but shutdown.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use celeriac_broker_schema::script::{Snapshot, WorkerView, Workers};
use celeriac_broker_schema::{Broker, BrokerError, ServerReport, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::model::{Job, Queue, Totals, Worker, notices};
use crate::observation::{Detail, Link, Observation, Outage, Reading};
use crate::rates::History;
use crate::read;
use crate::state::{FRESH, Monitor};
use crate::topic::Topic;

/// Between two looks while somebody looks.
const BUSY: Duration = FRESH;
/// Between two looks while nobody does.
const IDLE: Duration = Duration::from_secs(5);
/// A Redis that does not answer for so long is shown as away, while we go on waiting.
const SILENCE: Duration = Duration::from_secs(2);

/// Most queues that are read; a random choice of them if there are more.
pub(crate) const QUEUES: u32 = 100;
/// Most open jobs that are read, and as many ended ones: the newest.
pub(crate) const JOBS: u32 = 20;
/// Most workers that are read one by one.
pub(crate) const WORKERS: u32 = 200;

pub(crate) struct Poller {
    monitor: Monitor,
    number: u64,
    history: History,
    heard: HashMap<String, Heard>,
    server: Option<Arc<ServerReport>>,
    reading: Option<Arc<Reading>>,
    outage: Option<Outage>,
}

/// When a worker was heard of: its description was renewed since the look before.
struct Heard {
    expires: Timestamp,
    at: Option<Timestamp>,
}

/// What one look brings.
struct Look {
    server: Arc<ServerReport>,
    snapshot: Snapshot,
    workers: Workers,
    /// Since when the oldest ready task of each queue waits.
    oldest: BTreeMap<String, Timestamp>,
    details: BTreeMap<Topic, Detail>,
}

impl Poller {
    pub(crate) fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            number: 0,
            history: History::default(),
            heard: HashMap::new(),
            server: None,
            reading: None,
            outage: None,
        }
    }

    /// Reads until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let monitor = self.monitor.clone();
        let polling = async {
            loop {
                let began = Instant::now();
                self.look().await;
                let wanted = async {
                    monitor.somebody_looks().await;
                    sleep_until(began + BUSY).await;
                };
                tokio::select! {
                    () = wanted => {}
                    () = sleep_until(began + IDLE) => {}
                }
            }
        };
        tokio::select! {
            () = polling => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn look(&mut self) {
        let monitor = self.monitor.clone();
        let (server, last) = (self.server.clone(), self.reading.clone());
        let mut look = pin!(look(&monitor, self.number, server, last));
        let result = tokio::select! {
            result = &mut look => result,
            () = sleep(SILENCE) => {
                let seconds = SILENCE.as_secs();
                let server = monitor.broker().server();
                self.away(format!("Redis at {server} has not answered for {seconds} s"));
                look.await
            }
        };
        match result {
            Ok(look) => self.connected(look),
            Err(error) => {
                // It may come back as another one.
                self.server = None;
                self.away(error.to_string());
            }
        }
    }

    fn connected(&mut self, look: Look) {
        if let Some(outage) = self.outage.take() {
            let lasted = outage.since.elapsed().unwrap_or_default();
            tracing::info!(?lasted, "Redis is back");
        }
        self.server = Some(Arc::clone(&look.server));
        self.history.note(&look.snapshot);
        self.note_heartbeats(&look.workers);
        self.reading = Some(Arc::new(self.reading_of(&look)));
        self.publish(Link::Connected, look.details);
    }

    fn away(&mut self, error: String) {
        let since = match &self.outage {
            Some(outage) => outage.since,
            None => {
                tracing::warn!(error, "no contact with Redis");
                SystemTime::now()
            }
        };
        let outage = Outage { since, error };
        self.outage = Some(outage.clone());
        self.publish(Link::Away(outage), BTreeMap::new());
    }

    fn publish(&mut self, link: Link, details: BTreeMap<Topic, Detail>) {
        self.number += 1;
        let observation = Observation::new(self.number, link, self.reading.clone(), details);
        self.monitor.publish(observation);
    }

    fn note_heartbeats(&mut self, workers: &Workers) {
        let mut before = std::mem::take(&mut self.heard);
        for WorkerView { lease, expires, .. } in &workers.page {
            let at = match before.remove(lease) {
                Some(last) if last.expires == *expires => last.at,
                Some(_) => Some(workers.now),
                None => None,
            };
            let heard = Heard { expires: *expires, at };
            self.heard.insert(lease.clone(), heard);
        }
    }

    fn reading_of(&self, look: &Look) -> Reading {
        let snapshot = &look.snapshot;
        let now = snapshot.now;
        let heard = |view: &WorkerView| self.heard.get(&view.lease).and_then(|heard| heard.at);
        let workers: Vec<Worker> =
            (look.workers.page.iter()).map(|view| Worker::new(view, heard(view))).collect();
        let mut queues: Vec<Queue> = snapshot.queues.iter().map(Queue::new).collect();
        for queue in &mut queues {
            queue.oldest = look.oldest.get(&queue.name).copied();
        }
        queues.sort_by(|a, b| b.ready.cmp(&a.ready).then_with(|| a.name.cmp(&b.name)));
        let totals = Totals::new(snapshot, &workers, look.workers.total);
        Reading {
            now,
            server: Arc::clone(&look.server),
            rates: self.history.rates(),
            notices: notices(&look.server, &totals, &queues, &workers),
            jobs: (snapshot.jobs.iter())
                .map(|job| Job::new(job, now, self.history.job(job.id)))
                .collect(),
            totals,
            queues,
            workers,
        }
    }
}

/// One look: a fixed number of calls, and a bounded one for each thing that is looked at closely.
async fn look(
    monitor: &Monitor,
    number: u64,
    server: Option<Arc<ServerReport>>,
    last: Option<Arc<Reading>>,
) -> Result<Look, BrokerError> {
    let broker: &Broker = monitor.broker();
    let server = match server {
        Some(server) => server,
        None => Arc::new(broker.check_server().await?),
    };
    let (snapshot, workers) =
        tokio::try_join!(broker.snapshot(QUEUES, JOBS), broker.workers(0, WORKERS))?;
    let mut details = BTreeMap::new();
    let wanted = |topic: &Topic| number.is_multiple_of(topic.every());
    for topic in monitor.viewers().topics().into_iter().filter(wanted) {
        if let Some(detail) = read::detail(monitor, &topic, last.as_deref()).await? {
            details.insert(topic, detail);
        }
    }
    let oldest = oldest(broker, &snapshot).await?;
    Ok(Look { server, snapshot, workers, oldest, details })
}

async fn oldest(
    broker: &Broker,
    snapshot: &Snapshot,
) -> Result<BTreeMap<String, Timestamp>, BrokerError> {
    let busy = snapshot.queues.iter().filter(|queue| queue.ready > 0);
    let names: Vec<String> = busy.map(|queue| queue.name.clone()).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (_, oldest) = broker.oldest(&names).await?;
    let known = |(name, oldest): (String, Option<Timestamp>)| Some((name, oldest?));
    Ok(names.into_iter().zip(oldest).filter_map(known).collect())
}
