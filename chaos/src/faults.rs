//! The faults: which there are, when they come, and how they are done.
//!
//! Two lanes run side by side, so that a worker may die while Redis is away: one for workers, one for
//! Redis and the network. Within a lane one fault ends before the next begins.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use celeriac::Broker;
use celeriac_testkit::{Proxy, TestRedis};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::fleet::{Build, Worker};
use crate::ledger::now_ms;

/// What can be done to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A worker is killed (`SIGKILL`), and another one starts.
    WorkerKilled,
    /// A worker is frozen, often beyond its lease, and goes on.
    WorkerFrozen,
    /// A worker is told to stop (`SIGTERM`), and another one, perhaps of another build, starts.
    WorkerReplaced,
    /// Redis is killed and started again with its data.
    RedisKilled,
    /// Redis is frozen and goes on.
    RedisFrozen,
    /// Redis is full for a while.
    RedisFull,
    /// All connections of a worker, or of the producers, are cut.
    ConnectionsCut,
    /// Redis is told to close all connections.
    ClientsKilled,
    /// Nothing comes through, in either direction, for a while.
    NetworkStalled,
    /// Everything takes longer for a while.
    NetworkDelayed,
    /// Connections are closed in one direction.
    HalfClosed,
    /// A script is carried out, and nobody hears of it.
    ReplyDropped,
    /// New connections are refused for a while.
    ConnectionsRefused,
}

use Fault::{
    ClientsKilled, ConnectionsCut, ConnectionsRefused, HalfClosed, NetworkDelayed, NetworkStalled,
    RedisFrozen, RedisFull, RedisKilled, ReplyDropped, WorkerFrozen, WorkerKilled, WorkerReplaced,
};

/// How often each comes, beside the others of its lane.
const WORKER_FAULTS: &[(Fault, u64)] = &[(WorkerKilled, 5), (WorkerFrozen, 3), (WorkerReplaced, 2)];
const REDIS_FAULTS: &[(Fault, u64)] = &[
    (RedisKilled, 4),
    (RedisFrozen, 3),
    (RedisFull, 2),
    (ConnectionsCut, 6),
    (ClientsKilled, 5),
    (NetworkStalled, 4),
    (NetworkDelayed, 3),
    (HalfClosed, 3),
    (ReplyDropped, 12),
    (ConnectionsRefused, 2),
];

/// Which faults a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mix {
    /// All of them
    All,
    /// Workers only
    Workers,
    /// Workers are killed, and nothing else
    Kills,
    /// Redis only: killed, frozen, full
    Redis,
    /// The network only
    Network,
    /// Redis and the network, with leases that outlive them: nothing runs twice
    Once,
    /// None: how it is without
    None,
}

impl Mix {
    /// Its faults, by lane, with their weights.
    fn lanes(self) -> [Vec<(Fault, u64)>; 2] {
        let workers: Vec<_> = WORKER_FAULTS
            .iter()
            .filter(|(fault, _)| match self {
                Self::All | Self::Workers => true,
                Self::Kills => *fault == WorkerKilled,
                _ => false,
            })
            .copied()
            .collect();
        let is_redis = |fault| matches!(fault, RedisKilled | RedisFrozen | RedisFull);
        let wanted = |fault| match self {
            Self::All | Self::Once => true,
            Self::Redis => is_redis(fault),
            Self::Network => !is_redis(fault),
            Self::Workers | Self::Kills | Self::None => false,
        };
        let redis = REDIS_FAULTS.iter().filter(|(fault, _)| wanted(*fault)).copied().collect();
        [workers, redis]
    }

    /// Whether every lease outlives its faults.
    pub fn keeps_leases(self) -> bool {
        matches!(self, Self::Once | Self::None)
    }
}

/// What was done, and what was measured on the way.
#[derive(Debug, Default)]
pub struct Done {
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u64>,
    /// Which process was killed, and when.
    pub kills: Vec<(u32, u64)>,
    /// From the moment in which a restarted Redis was ready to the first task that ended.
    pub restarts_ms: Vec<u64>,
    /// What must not be: workers that ended by themselves.
    pub wrong: Vec<String>,
}

/// Where faults happen.
pub struct Place<'a> {
    /// Past all proxies.
    pub broker: &'a Broker,
    /// The last one is that of the producers.
    pub proxies: &'a [Proxy],
    /// When the faults end.
    pub until: Instant,
    /// What is noted.
    pub done: &'a Mutex<Done>,
}

impl Place<'_> {
    fn note(&self, change: impl FnOnce(&mut Done)) {
        change(&mut self.done.lock().expect("nobody panics with it"));
    }

    /// Waits for the next fault of a lane. False if there is none.
    async fn next(&self, per_minute: f64, dice: &mut Dice) -> bool {
        if per_minute <= 0.0 {
            return false;
        }
        let apart = 60.0 / per_minute * (0.5 + dice.between(0, 1_000) as f64 / 1_000.0);
        let wait = Duration::from_secs_f64(apart);
        if Instant::now() + wait >= self.until {
            return false;
        }
        sleep(wait).await;
        true
    }
}

/// How many of all faults of a mix are of each lane.
pub fn shares(mix: Mix) -> [f64; 2] {
    // Workers get a third: they are few, and each fault of theirs touches one of them.
    match mix.lanes() {
        [workers, redis] if workers.is_empty() && redis.is_empty() => [0.0, 0.0],
        [workers, _] if workers.is_empty() => [0.0, 1.0],
        [_, redis] if redis.is_empty() => [1.0, 0.0],
        _ => [1.0 / 3.0, 2.0 / 3.0],
    }
}

fn ms(dice: &mut Dice, lo: u64, hi: u64) -> Duration {
    Duration::from_millis(dice.between(lo, hi))
}

/// The lane of the workers.
pub async fn worker_lane(
    place: &Place<'_>,
    mix: Mix,
    per_minute: f64,
    workers: &mut [Worker],
    build: &Build,
    dice: &mut Dice,
) {
    let [faults, _] = mix.lanes();
    while place.next(per_minute, dice).await {
        let fault = dice.pick(&faults, |(_, weight)| *weight).0;
        let at = dice.between(0, workers.len() as u64) as usize;
        if let Some(wrong) = workers[at].unexpected_end() {
            place.note(|done| done.wrong.push(wrong));
        }
        let worker = &mut workers[at];
        match fault {
            WorkerFrozen => {
                worker.process.freeze();
                sleep(ms(dice, 200, 2 * build.visibility.as_millis() as u64)).await;
                worker.process.thaw();
            }
            WorkerReplaced => {
                worker.process.terminate();
                let new = Worker::start(build, place.proxies, worker.proxy, dice);
                let old = std::mem::replace(worker, new);
                // With Redis away it tries for five seconds to hand back what it holds.
                old.process.wait(Duration::from_secs(60)).await;
            }
            _ => {
                place.note(|done| done.kills.push((worker.process.id(), now_ms())));
                worker.process.kill();
                *worker = Worker::start(build, place.proxies, worker.proxy, dice);
            }
        }
        place.note(|done| *done.faults.entry(fault).or_default() += 1);
    }
}

/// The lane of Redis and the network.
pub async fn redis_lane(
    place: &Place<'_>,
    mix: Mix,
    per_minute: f64,
    redis: &mut TestRedis,
    dice: &mut Dice,
) {
    let [_, faults] = mix.lanes();
    while place.next(per_minute, dice).await {
        let fault = dice.pick(&faults, |(_, weight)| *weight).0;
        match fault {
            RedisKilled => {
                redis.kill();
                sleep(ms(dice, 0, 1_000)).await;
                redis.restart().await;
                if let Some(ms) = first_end(place.broker).await {
                    place.note(|done| done.restarts_ms.push(ms));
                }
            }
            RedisFrozen => {
                redis.freeze();
                sleep(ms(dice, 100, 3_000)).await;
                redis.thaw();
            }
            RedisFull => {
                redis.fill(true).await;
                sleep(ms(dice, 200, 1_500)).await;
                redis.fill(false).await;
            }
            ClientsKilled => {
                redis.kill_clients().await;
            }
            network => {
                let proxy = dice.pick(place.proxies, |_| 1);
                disturb(network, proxy, dice).await;
            }
        }
        place.note(|done| *done.faults.entry(fault).or_default() += 1);
    }
}

async fn disturb(fault: Fault, proxy: &Proxy, dice: &mut Dice) {
    match fault {
        NetworkStalled => {
            proxy.stall(true);
            sleep(ms(dice, 100, 3_000)).await;
            proxy.stall(false);
        }
        NetworkDelayed => {
            let delay = ms(dice, 5, 300);
            match dice.one_in(2) {
                true => proxy.delay_requests(delay),
                false => proxy.delay_replies(delay),
            }
            sleep(ms(dice, 500, 3_000)).await;
            proxy.delay_requests(Duration::ZERO);
            proxy.delay_replies(Duration::ZERO);
        }
        HalfClosed => proxy.half_close(),
        ReplyDropped => proxy.drop_next_reply_to("EVALSHA"),
        ConnectionsRefused => {
            proxy.refuse(true).await;
            proxy.cut().await;
            sleep(ms(dice, 100, 2_000)).await;
            proxy.refuse(false).await;
        }
        _ => proxy.cut().await,
    }
}

/// How long it takes until something ends, counted from now. Nothing if there is nothing to do.
async fn first_end(broker: &Broker) -> Option<u64> {
    let (begin, mut before) = (Instant::now(), None);
    while begin.elapsed() < Duration::from_secs(20) {
        if let Ok(snapshot) = broker.snapshot(0, 0).await {
            let ended: u64 = ["succeeded", "failed", "cancelled", "expired"]
                .iter()
                .filter_map(|name| snapshot.stats.get(*name))
                .sum();
            if *before.get_or_insert(ended) < ended {
                return u64::try_from(begin.elapsed().as_millis()).ok();
            }
            if snapshot.tasks == 0 && snapshot.open_jobs == 0 {
                return None;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    Some(20_000)
}
