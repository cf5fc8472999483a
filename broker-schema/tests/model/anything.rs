//! Calls of every kind in any order: producers, workers, operators and time. There is no reference for
//! all of that together; after each call, what must hold is asked of the whole namespace, and in the end
//! everything is brought to its end and nothing may be left.

use std::collections::BTreeMap;

use celeriac_broker_schema::check::violations;
use celeriac_broker_schema::script::{Checkpoint, Control, Ending, Entry, RangeJob, Run, RunField};
use celeriac_broker_schema::{
    ClientId, Limit, Rate, Record, TaskId, TaskOptions, Unique, UniqueKey, UniqueMode,
};
use proptest::prelude::*;

use crate::support::{self, *};

const LEASES: usize = 3;
const QUEUES: [&str; 2] = ["a", "b"];
const SUBJECTS: [&str; 4] = ["task:t", "task:u", "tenant:ada", "queue:a"];

/// One call, with numbers that choose what it is about.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    what: What,
    a: usize,
    b: usize,
    c: usize,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Enqueue,
    EnqueueKeyed,
    EnqueueJob,
    Claim,
    Complete,
    Lose,
    Reclaim,
    Due,
    Expire,
    Cancel,
    CancelJob,
    Purge,
    Move,
    Pause,
    Limit,
    Fair,
    Revive,
    Discard,
    Speculate,
    Checkpoint,
    Watch,
    Tidy,
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let what = prop_oneof![
        8 => Just(What::Enqueue),
        4 => Just(What::EnqueueKeyed),
        4 => Just(What::EnqueueJob),
        14 => Just(What::Claim),
        16 => Just(What::Complete),
        4 => Just(What::Lose),
        3 => Just(What::Reclaim),
        3 => Just(What::Due),
        2 => Just(What::Expire),
        4 => Just(What::Cancel),
        1 => Just(What::CancelJob),
        1 => Just(What::Purge),
        2 => Just(What::Move),
        2 => Just(What::Pause),
        4 => Just(What::Limit),
        2 => Just(What::Fair),
        2 => Just(What::Revive),
        1 => Just(What::Discard),
        2 => Just(What::Speculate),
        2 => Just(What::Checkpoint),
        2 => Just(What::Watch),
        1 => Just(What::Tidy),
    ];
    (what, 0..1_000_usize, 0..1_000_usize, 0..1_000_usize).prop_map(|(what, a, b, c)| Op {
        what,
        a,
        b,
        c,
    })
}

/// A worker as it sees itself.
#[derive(Default)]
struct Holder {
    lease: String,
    tasks: Vec<TaskId>,
    runs: Vec<(Run, Vec<u64>)>,
}

pub(crate) struct Anything {
    world: World,
    holders: [Holder; LEASES],
    ids: Vec<TaskId>,
    jobs: Vec<TaskId>,
    dead: Vec<TaskId>,
    paused: [bool; 2],
    made: u64,
}

impl Anything {
    pub(crate) fn new(world: World) -> Self {
        let (holders, ids, jobs, dead, paused) = Default::default();
        Self { world, holders, ids, jobs, dead, paused, made: 0 }
    }

    /// Makes a call, and checks what must hold.
    pub(crate) async fn apply(&mut self, op: &Op) {
        self.step(op).await;
        self.check(op).await;
    }

    async fn check(&self, after: &Op) {
        let contents = self.world.broker.contents(usize::MAX).await.expect("it is read");
        // Here leases are long over, and nobody has noticed.
        let found: Vec<String> = violations(&contents)
            .iter()
            .filter(|found| !found.what.starts_with("it expired"))
            .map(|found| self.world.readable(&found.to_string()))
            .collect();
        assert!(found.is_empty(), "after {after:?}: {found:#?}\n{:#?}", self.world.state().await);
    }

    fn name(&mut self, letter: char) -> String {
        self.made += 1;
        format!("{letter}{}", self.made)
    }

    async fn step(&mut self, op: &Op) {
        let Op { what, a, b, c } = *op;
        match what {
            What::Enqueue => self.enqueue(a, b, c).await,
            What::EnqueueKeyed => self.enqueue_keyed(a, b).await,
            What::EnqueueJob => self.enqueue_job(a, b).await,
            What::Claim => self.call(a, b % 6, None).await,
            What::Complete => self.complete(a, b, c).await,
            What::Lose => self.lose(a).await,
            What::Reclaim => drop(self.world.reclaim(1 + b as u32 % 50).await),
            What::Due => self.world.delays_pass().await,
            What::Expire => self.expiries_pass().await,
            What::Cancel => self.cancel(a, b % 4).await,
            What::CancelJob => self.cancel_job(a).await,
            What::Purge => drop(self.world.purge(QUEUES[a % 2], b.is_multiple_of(2)).await),
            What::Move => self.carry(a, b).await,
            What::Pause => self.pause(a % 2).await,
            What::Limit => self.limit(a, b).await,
            What::Fair => self.fair(a, b.is_multiple_of(2)).await,
            What::Revive => self.revive(a).await,
            What::Discard => self.discard(a).await,
            What::Speculate => self.speculate(a).await,
            What::Checkpoint => self.checkpoint(a).await,
            What::Watch => self.watch(a).await,
            What::Tidy => drop(self.world.broker.tidy(100).await.expect("an answer")),
        }
    }

    async fn enqueue(&mut self, a: usize, b: usize, c: usize) {
        let mut entries = Vec::new();
        for n in 0..1 + a % 5 {
            let name = self.name('t');
            let tenant = ["ada", "bob"].get((b + n) % 4);
            let options = TaskOptions {
                queue: queue(QUEUES[b % 2]),
                priority: priority([5, 9][c % 2]),
                tenant: tenant.map(|tenant| tenant.parse().expect("a tenant")),
                ..TaskOptions::default()
            };
            let task = ["t", "u"][(a + n) % 2].parse().expect("a name");
            let args = serde_json::value::to_raw_value(&name).expect("JSON");
            let record = Record::new(&task, &args, &options).encode().expect("a record");
            let TaskOptions { queue, priority, .. } = options;
            let mut entry = Entry { record, queue, priority, ..support::entry(&name) };
            entry.start.delay_ms = c.is_multiple_of(5).then_some(HOUR_MS);
            entry.start.expires_after_ms = c.is_multiple_of(4).then_some(2 * HOUR_MS);
            self.ids.push(entry.id);
            entries.push(entry);
        }
        self.world.enqueue_all(&entries).await;
    }

    async fn enqueue_keyed(&mut self, a: usize, b: usize) {
        let name = self.name('k');
        let modes = [
            UniqueMode::For { ms: HOUR_MS },
            UniqueMode::Queued,
            UniqueMode::UntilDone,
            UniqueMode::Debounce { wait_ms: HOUR_MS, longest_ms: None },
            UniqueMode::KeepLast,
        ];
        let key = UniqueKey::new(format!("key{}", b % 3)).expect("a key");
        let mut entry = entry_in(&name, QUEUES[a / 5 % 2], 5);
        let mode = modes[a % modes.len()];
        if matches!(mode, UniqueMode::Debounce { .. }) {
            entry.start.delay_ms = Some(HOUR_MS);
        }
        entry.unique = Some(Unique { key, mode });
        self.ids.push(entry.id);
        self.world.enqueue_all(&[entry]).await;
    }

    async fn enqueue_job(&mut self, a: usize, b: usize) {
        let name = self.name('J');
        let reducer =
            a.is_multiple_of(2).then(|| (support::record(&name), queue("b"), priority(7)));
        let speculate = a.is_multiple_of(3).then_some(300);
        let queue = queue(QUEUES[b % 2]);
        let job = RangeJob { queue, reducer, speculate, ..job(&name, 1 + a as u64 % 20) };
        self.jobs.push(id(&name));
        self.world.enqueue_job(&job).await;
    }

    async fn open(&mut self, at: usize) -> usize {
        let at = at % LEASES;
        if self.holders[at].lease.is_empty() {
            let lease = self.name('w');
            self.world.open(&lease).await;
            self.holders[at] = Holder { lease, ..Holder::default() };
        }
        at
    }

    async fn call(&mut self, at: usize, want: usize, endings: Option<Vec<Ending>>) {
        let at = self.open(at).await;
        let lease = self.holders[at].lease.clone();
        let ask = Ask::want(want).from(&QUEUES);
        let number = self.world.next_call(&lease);
        let claimed = self.world.call(&lease, number, &ask, endings.as_deref()).await;
        let celeriac_broker_schema::script::Claimed::Granted(grant) = claimed else {
            self.holders[at] = Holder::default();
            return;
        };
        let holder = &mut self.holders[at];
        holder.tasks.extend(grant.tasks.iter().map(|task| task.id));
        holder.runs.extend(grant.runs.into_iter().map(|run| {
            let chunks = (run.lo..run.hi).collect();
            (run, chunks)
        }));
    }

    async fn complete(&mut self, at: usize, b: usize, c: usize) {
        let at = self.open(at).await;
        let (mut endings, mut dice) = (Vec::new(), b);
        let mut throw = |n: usize| {
            dice = dice.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
            (dice >> 8) % n
        };
        let holder = &mut self.holders[at];
        for _ in 0..=c % 4 {
            if throw(2) == 0 && !holder.tasks.is_empty() {
                let task = holder.tasks.swap_remove(throw(holder.tasks.len()));
                endings.push(task_end(task, throw(7)));
                if matches!(endings.last(), Some(Ending::Failed { .. })) {
                    self.dead.push(task);
                }
            } else if !holder.runs.is_empty() {
                let which = throw(holder.runs.len());
                let (run, chunks) = &mut holder.runs[which];
                let index = chunks.swap_remove(throw(chunks.len()));
                endings.push(chunk_end(run, index, throw(8)));
                if chunks.is_empty() {
                    holder.runs.swap_remove(which);
                }
            }
        }
        self.call(at, c % 3, Some(endings)).await;
    }

    async fn lose(&mut self, at: usize) {
        let holder = &self.holders[at % LEASES];
        if !holder.lease.is_empty() {
            let mut end = redis::cmd("ZADD");
            end.arg(self.world.key("leases")).arg("XX").arg(1).arg(&holder.lease);
            self.world.redis::<u64>(&end).await;
        }
    }

    async fn expiries_pass(&mut self) {
        let script = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            redis.call('ZADD', KEYS[1], 1, member) end";
        let mut eval = redis::cmd("EVAL");
        self.world.redis::<()>(eval.arg(script).arg(1).arg(self.world.key("expiry"))).await;
    }

    async fn cancel(&mut self, a: usize, count: usize) {
        let skip = a % (self.ids.len() + 1);
        let ids: Vec<TaskId> = self.ids.iter().skip(skip).take(1 + count).copied().collect();
        self.world.broker.cancel(&ids, &ada()).await.expect("an answer");
    }

    async fn cancel_job(&mut self, a: usize) {
        if let Some(job) = self.jobs.get(a % self.jobs.len().max(1)).copied() {
            self.world.broker.cancel(&[job], &ada()).await.expect("an answer");
        }
    }

    async fn carry(&mut self, a: usize, b: usize) {
        let (from, to) = (queue(QUEUES[a % 2]), queue(QUEUES[(a + 1) % 2]));
        let most = (!b.is_multiple_of(3)).then_some(b as u64 % 5);
        self.world.broker.move_queue(&from, &to, most, b.is_multiple_of(2)).await.expect("moved");
    }

    async fn pause(&mut self, at: usize) {
        self.paused[at] = !self.paused[at];
        let control = if self.paused[at] { Control::Pause } else { Control::Resume };
        self.world.control(QUEUES[at], control).await;
    }

    async fn limit(&mut self, a: usize, b: usize) {
        let rate = |per_ms| Some(Rate { tasks: 1, per_ms, burst: 2 });
        let limit = match b % 4 {
            0 => None,
            1 => Some(Limit::new(None, Some(1 + b as u64 % 3)).expect("a limit")),
            2 => Some(Limit::new(rate(1), None).expect("a limit")),
            _ => Some(Limit::new(rate(HOUR_MS), Some(2)).expect("a limit")),
        };
        let subject = SUBJECTS[a % SUBJECTS.len()].parse().expect("a subject");
        self.world.broker.limit(&subject, limit.as_ref(), &ada()).await.expect("it is set");
    }

    async fn fair(&mut self, a: usize, on: bool) {
        self.world.broker.fair(&queue(QUEUES[a % 2]), on, &ada()).await.expect("it is set");
    }

    async fn revive(&mut self, a: usize) {
        let dead: Vec<TaskId> = self.dead.iter().skip(a % (self.dead.len() + 1)).copied().collect();
        self.world.broker.revive(&dead, &ada()).await.expect("an answer");
    }

    async fn discard(&mut self, a: usize) {
        let dead: Vec<TaskId> = self.dead.iter().skip(a % (self.dead.len() + 1)).copied().collect();
        self.world.broker.discard(&dead).await.expect("an answer");
    }

    /// All chunks that run are late.
    async fn speculate(&mut self, a: usize) {
        for job in &self.jobs {
            let key = self.world.key(&format!("job:{}:running", job.job()));
            let script = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
                redis.call('ZADD', KEYS[1], 1, member) end";
            self.world.redis::<()>(redis::cmd("EVAL").arg(script).arg(1).arg(key)).await;
        }
        self.world.broker.speculate(1 + a as u32 % 3, &[]).await.expect("an answer");
    }

    async fn checkpoint(&mut self, a: usize) {
        let holder = &self.holders[a % LEASES];
        let task = holder.tasks.first().map(|id| (*id, None));
        let chunk = holder
            .runs
            .first()
            .map(|(run, chunks)| (TaskId::of_chunk(run.job, chunks[0]), Some(run.field.clone())));
        let states: Vec<Checkpoint> = [task, chunk]
            .into_iter()
            .flatten()
            .map(|(id, run): (TaskId, Option<RunField>)| Checkpoint {
                id,
                run,
                attempt: 1,
                state: "1".to_owned(),
            })
            .collect();
        if !states.is_empty() {
            let lease = lease(&holder.lease);
            self.world.broker.checkpoint(&lease, &states).await.expect("an answer");
        }
    }

    async fn watch(&mut self, a: usize) {
        let all: Vec<TaskId> = self.ids.iter().chain(&self.jobs).copied().collect();
        let skip = a % (all.len() + 1);
        let some: Vec<TaskId> = all.into_iter().skip(skip).take(5).collect();
        let client: ClientId = client("c1");
        self.world.broker.watch(&client, &some).await.expect("an answer");
    }

    /// Lets everything run to its end, and asserts that nothing is left.
    pub(crate) async fn finish(&mut self) {
        let end = Op { what: What::Claim, a: 0, b: 5, c: 0 };
        for (at, queue) in QUEUES.iter().enumerate() {
            if self.paused[at] {
                self.world.control(queue, Control::Resume).await;
            }
        }
        for subject in SUBJECTS {
            let subject = subject.parse().expect("a subject");
            self.world.broker.limit(&subject, None, &ada()).await.expect("it is set");
        }
        for at in 0..LEASES {
            self.lose(at).await;
        }
        self.holders = Default::default();
        for _ in 0..200 {
            self.world.delays_pass().await;
            self.world.reclaim(1_000).await;
            self.call(0, 20, None).await;
            let held = std::mem::take(&mut self.holders[0]);
            let tasks = held.tasks.iter().map(|task| task_end(*task, 0));
            let chunks = held
                .runs
                .iter()
                .flat_map(|(run, chunks)| chunks.iter().map(|index| chunk_end(run, *index, 0)));
            let endings: Vec<Ending> = tasks.chain(chunks).collect();
            self.holders[0].lease = held.lease;
            self.call(0, 0, Some(endings)).await;
            self.check(&end).await;
            let left = self.world.broker.snapshot(100, 100).await.expect("a snapshot");
            if left.tasks + left.open_jobs + left.delayed + left.orphans == 0 {
                return self.nothing_is_left().await;
            }
        }
        panic!("it does not end: {:#?}", self.world.state().await);
    }

    async fn nothing_is_left(&self) {
        let state = self.world.state().await;
        let of: BTreeMap<&String, _> = state
            .iter()
            .filter(|(key, _)| {
                let kind = key.split(':').next().unwrap_or_default();
                ["tasks", "history", "checkpoints", "locks", "holding", "held", "cancels", "moved"]
                    .contains(&kind)
                    || ["waiting", "inputs", "watchers", "expiry"].contains(&kind)
            })
            .collect();
        assert!(of.is_empty(), "{of:#?}");
    }
}

fn task_end(task: TaskId, how: usize) -> Ending {
    match how {
        0..3 => Ending::Succeeded { id: task, outcome: outcome("x"), keep_ms: HOUR_MS },
        3 => Ending::Retry { id: task, delay_ms: 0, attempt: ATTEMPT.to_owned() },
        4 => Ending::Released { id: task, begun: false },
        5 => Ending::Snoozed { id: task, delay_ms: HOUR_MS },
        _ => Ending::Failed {
            id: task,
            outcome: FAILED.to_owned(),
            keep_ms: HOUR_MS,
            failure: FAILURE.to_owned(),
        },
    }
}

fn chunk_end(run: &Run, index: u64, how: usize) -> Ending {
    match how {
        0..4 => chunks_succeeded(run, index, index + 1, &[delta("sum", "n", "1")]),
        4 => chunk_retry(run, index, 0),
        5 => chunks_released(run, index, index + 1),
        6 => chunk_snoozed(run, index, HOUR_MS),
        _ if index.is_multiple_of(5) => chunk_failed(run, index),
        _ => chunk_retry(run, index, HOUR_MS),
    }
}
