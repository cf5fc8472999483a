//! Every key in Redis: pattern, type, what it holds, who writes, reads and removes it, and when
//! it expires by itself. Scripts build the same names under the same prefix (`lua/lib/base.lua`).

use crate::id::{ClientId, LeaseId};
use crate::name::{Namespace, QueueName};

/// The keys of one shard of a namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
    fleet: String,
}

impl Keys {
    /// The keys of the first (and so far only) shard.
    pub fn new(namespace: &Namespace) -> Self {
        Self { prefix: format!("{{{namespace}:0}}:"), fleet: format!("{{{namespace}}}:") }
    }

    /// What every key of the shard begins with. The braces are a hash tag: all these keys live
    /// in one slot of a Redis Cluster, so a script may touch any of them.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every key of the whole namespace begins with.
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// The list that idle workers of a queue block on.
    pub fn bell(&self, queue: &QueueName) -> String {
        format!("{}bell:{queue}", self.prefix)
    }

    /// The channel on which a client hears which of its tasks ended.
    pub fn ended(&self, client: &ClientId) -> String {
        format!("{}ended:{client}", self.prefix)
    }

    /// What a lease holds.
    pub fn inflight(&self, lease: &LeaseId) -> String {
        format!("{}inflight:{lease}", self.prefix)
    }

    /// The channels on which a worker hears that something is wanted of it: of its lease, and of
    /// all workers.
    pub fn told(&self, lease: &LeaseId) -> [String; 2] {
        [format!("{}told:{lease}", self.prefix), format!("{}told", self.prefix)]
    }
}

/// One row of the key table.
#[derive(Debug, Clone, Copy)]
pub struct KeyRow {
    /// The name after the prefix.
    pub pattern: &'static str,
    /// The Redis type.
    pub kind: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// The scripts that write it.
    pub writers: &'static str,
    /// The scripts that read it.
    pub readers: &'static str,
    /// What removes it, or its parts.
    pub remover: &'static str,
    /// When it expires by itself.
    pub expiry: &'static str,
}

const fn key(
    pattern: &'static str,
    kind: &'static str,
    holds: &'static str,
    writers: &'static str,
    readers: &'static str,
    remover: &'static str,
    expiry: &'static str,
) -> KeyRow {
    KeyRow { pattern, kind, holds, writers, readers, remover, expiry }
}

/// All keys. A test compares what a busy system holds with it.
///
/// Every `complete` claims, and every claim does some of the upkeep that `reclaim` does (promote,
/// expire, put back): that is told of `claim` and of `reclaim`, and not repeated. `erase`, which removes
/// whole namespaces that were only measured in, is told of nowhere else.
pub const TABLE: &[KeyRow] = &[
    key(
        "tasks",
        "hash",
        "id → record of every task that has not ended",
        "enqueue, enqueue_range, revive",
        "claim, watch, inspect, snapshot, records, sample, cancel",
        "complete, reclaim (expired or dead), claim, watch (expired), cancel",
        "never",
    ),
    key(
        "ready:<queue>:<priority>",
        "list",
        "ids, chunks and ranges that wait for a worker, oldest first",
        "enqueue, enqueue_range, enqueue_workflow, complete, reclaim, claim (rest of a range)",
        "claim, snapshot, queued, explain, peek",
        "claim",
        "never",
    ),
    key(
        "suspects:<queue>",
        "list",
        "what lost its worker twice or more; given out one at a time",
        "reclaim, claim (rest of a range)",
        "claim, snapshot, queued, explain, peek",
        "claim",
        "never",
    ),
    key(
        "chunks",
        "hash",
        "<queue>:<priority> → tasks and chunks beyond the list's length: in its ranges, behind turns, parked; less the cancelled ones in it",
        "enqueue, enqueue_range, claim, complete, reclaim, limit, cancel",
        "snapshot, explain, tidy",
        "tidy (the queue is forgotten)",
        "never",
    ),
    key(
        "tombstones",
        "hash",
        "id of a task that was cancelled in a list → <queue>:<priority> where it is not counted",
        "cancel",
        "claim, purge, move_queue",
        "claim, purge, move_queue (met in its list)",
        "never",
    ),
    key(
        "moved",
        "hash",
        "id of a task that waits in another queue than its record names → that queue",
        "move_queue, enqueue (newest arguments of a task with a key)",
        "cancel, inspect, explain, claim, reclaim, watch",
        "complete, reclaim, claim, cancel, purge (the task has ended)",
        "never",
    ),
    key(
        "cancels",
        "hash",
        "id of a running task → when, by whom and why it is to be cancelled, JSON",
        "cancel",
        "renew, complete, reclaim, explain",
        "complete, reclaim",
        "never",
    ),
    key(
        "orders:<lease>",
        "hash",
        "what people want of a worker: number, and a JSON object for each kind of order",
        "order",
        "renew, order",
        "close, reclaim",
        "never",
    ),
    key(
        "delayed",
        "zset",
        "<priority>:<queue>:<id> → due time (ms)",
        "enqueue, complete",
        "claim (next event), reclaim, inspect, snapshot, queued, peek",
        "reclaim (due), cancel",
        "never",
    ),
    key(
        "expiry",
        "zset",
        "id → time (ms) after which it is not started any more",
        "enqueue, complete (released)",
        "claim, reclaim, watch, explain",
        "claim (started), reclaim, watch (expired)",
        "never",
    ),
    key(
        "waiting",
        "hash",
        "id of a reducer, or of a task that follows another one → <priority>:<queue> it goes to",
        "enqueue_range, enqueue",
        "complete, inspect, snapshot",
        "complete, reclaim (dead chunk)",
        "never",
    ),
    key(
        "inputs",
        "hash",
        "id of a reducer → the accumulators it is given",
        "complete",
        "claim, complete",
        "complete, reclaim (dead)",
        "never",
    ),
    key(
        "leases",
        "zset",
        "lease → deadline (ms)",
        "open, renew",
        "open, renew, claim, close, reclaim, inspect, snapshot, explain",
        "close, reclaim",
        "never",
    ),
    key(
        "inflight:<lease>",
        "hash",
        "what a worker holds: id → attempt:claimed:priority:queue, and :expires (ms) if it had an expiry; for a run also :chunks left, and :lo-hi for each stretch of it that was handed back; `#` → number of its last call",
        "open, claim, complete",
        "claim, complete, close, inspect",
        "complete, close, reclaim",
        "never",
    ),
    key(
        "hosts",
        "hash",
        "lease → name of the worker's machine, for people",
        "open",
        "claim, complete, reclaim",
        "close, reclaim",
        "never",
    ),
    key(
        "orphan:<lease>",
        "hash",
        "what an expired lease held, while it is put back",
        "reclaim",
        "reclaim, explain",
        "reclaim",
        "never",
    ),
    key(
        "orphans",
        "list",
        "the expired leases that are being emptied",
        "reclaim",
        "reclaim, snapshot, explain",
        "reclaim",
        "never",
    ),
    key(
        "history",
        "hash",
        "id → counts and attempts of tasks that failed or crashed and go on",
        "complete, reclaim",
        "claim, complete, reclaim, inspect",
        "complete, reclaim (dead)",
        "never",
    ),
    key(
        "checkpoints",
        "hash",
        "id → the state in which an attempt left a task that has not ended",
        "checkpoint, complete",
        "claim, complete",
        "complete, reclaim (dead), claim (expired); checkpoint (what older versions leave)",
        "never",
    ),
    key(
        "result:<id>",
        "string",
        "the outcome of a task or job",
        "complete, reclaim (expired or dead), claim, watch (expired)",
        "watch, inspect, explain",
        "its expiry",
        "the retention of the task",
    ),
    key(
        "stream:<id>",
        "stream",
        "partial results of a task: attempt and value; about the last thousand",
        "emit",
        "stream",
        "its expiry",
        "a day after the last value",
    ),
    key(
        "stream:<job>:<index>",
        "stream",
        "the same of a chunk",
        "emit",
        "stream",
        "its expiry",
        "a day after the last value",
    ),
    key(
        "job:<id>",
        "hash",
        "spec, totals, counts, accumulators (acc:<name>), state",
        "enqueue_range, enqueue_workflow, claim (started), complete, reclaim, job_control, retry_job, release_again",
        "claim, complete, reclaim, renew, inspect, snapshot, job, map_chunks",
        "its expiry",
        "when the job has ended: its retention",
    ),
    key(
        "job:<id>:done",
        "string",
        "one bit per chunk: settled",
        "enqueue_range, complete, reclaim",
        "claim, complete, reclaim, inspect, map_chunks",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:out",
        "string",
        "one bit per chunk: left its range, goes its own way",
        "complete",
        "claim, reclaim, inspect, map_chunks",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:history",
        "hash",
        "index → counts and attempts of chunks that failed or crashed",
        "complete, reclaim",
        "claim, complete, reclaim, inspect",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:losses",
        "list",
        "lost runs of chunks: the stretches that were open, and the attempt; the newest 200",
        "reclaim",
        "claim, complete, reclaim, inspect",
        "reclaim (older ones), its expiry",
        "as the job",
    ),
    key(
        "job:<id>:checkpoints",
        "hash",
        "index → the state in which an attempt left a chunk that has not ended",
        "checkpoint, complete",
        "claim, complete",
        "complete, reclaim (dead chunk)",
        "never",
    ),
    key(
        "job:<id>:running",
        "zset",
        "index → since when (ms) the chunk runs; of jobs with second starts, without those started twice",
        "claim",
        "speculate",
        "complete, reclaim (dead chunk), speculate",
        "never",
    ),
    key(
        "job:<id>:members",
        "hash",
        "index → record of every member of a workflow that has not ended",
        "enqueue_workflow, complete (spawned)",
        "claim, complete, reclaim, inspect, unsettled",
        "complete, reclaim (dead), cancel, delete_job; its expiry when the job has failed",
        "as the job",
    ),
    key(
        "job:<id>:spans",
        "zset",
        "stretches of members that are wired alike: `<lo>-<hi> <feeds> <catch>` → lo",
        "enqueue_workflow, complete (spawned)",
        "claim, complete, reclaim",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:graph",
        "hash",
        "barriers (m: members missing, o: what they open, t: failures they tolerate) and callbacks (c:)",
        "enqueue_workflow, complete, reclaim (dead)",
        "enqueue_workflow, complete, reclaim",
        "complete, reclaim (opened; the job has ended), cancel; its expiry when the job has failed",
        "as the job",
    ),
    key(
        "job:<id>:results",
        "hash",
        "index → `=` and the result of a member that others are given, `!` and its failure, `@` and the shape of what it stands for",
        "enqueue_workflow, complete, reclaim (dead)",
        "results, complete, inspect",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:begun",
        "string",
        "one bit per member of a workflow: it is ready, or was",
        "enqueue_workflow, complete, reclaim",
        "inspect, tree, unsettled",
        "its expiry, delete_job",
        "as the job",
    ),
    key(
        "job:<id>:fed",
        "list",
        "`<barrier> <lo>-<hi>`: members that were added to the group before a barrier",
        "enqueue_workflow, complete (spawned)",
        "results",
        "its expiry",
        "as the job",
    ),
    key(
        "job:<id>:parked",
        "list",
        "<priority>:<queue>:<element>: what was claimed of the job while it is paused",
        "claim",
        "job_control",
        "job_control (resume), complete, reclaim, cancel (the job has ended), delete_job",
        "never",
    ),
    key(
        "jobs:speculate",
        "set",
        "open jobs that allow second starts of chunks",
        "enqueue_range",
        "speculate",
        "complete, reclaim (dead chunk)",
        "never",
    ),
    key(
        "jobs:open",
        "zset",
        "job → time of its enqueue (ms)",
        "enqueue_range",
        "snapshot, watch",
        "complete, reclaim",
        "never",
    ),
    key(
        "jobs:ended",
        "zset",
        "job → time (ms) when nothing is left of it",
        "complete, reclaim",
        "snapshot",
        "the end of later jobs, a few at a time",
        "never",
    ),
    key(
        "dead",
        "zset",
        "id → time of its final failure (ms); as many and as long as `settings` say",
        "complete, reclaim",
        "complete, reclaim, snapshot, dead, revive, settings, tidy",
        "revive, discard; tidy, settings, later failures (too old or too many, in bites)",
        "never",
    ),
    key(
        "dead:tasks",
        "hash",
        "id → record and outcome",
        "complete, reclaim",
        "dead, explain",
        "as dead",
        "never",
    ),
    key(
        "settings",
        "hash",
        "what operators set for the shard: dead_max, dead_age_ms",
        "settings",
        "settings, complete, reclaim",
        "settings (back to the default)",
        "never",
    ),
    key(
        "audit",
        "stream",
        "what people did, JSON; about the newest 10,000",
        "note_audit",
        "audit",
        "note_audit (older ones)",
        "never",
    ),
    key(
        "bell:<queue>",
        "list",
        "at most one token; idle workers block on it",
        "enqueue, enqueue_range, claim, complete, reclaim, ring, control, fire, move_queue, revive, \
         schedule, speculate, limit, cancel, purge, watch",
        "workers (BLPOP)",
        "workers, tidy (the queue is forgotten)",
        "never",
    ),
    key(
        "watch",
        "string",
        "the next event and the idle worker that wakes for it",
        "claim",
        "claim",
        "its expiry",
        "50 ms after the event",
    ),
    key(
        "schedules",
        "zset",
        "name of every schedule → 0; at most 10,000",
        "schedule",
        "schedule, schedules",
        "schedule (remove)",
        "never",
    ),
    key(
        "schedules:due",
        "zset",
        "name of every schedule that is not paused → next time due (ms)",
        "schedule, fire",
        "claim (idle workers), due, fire, schedule, schedules",
        "schedule (remove, pause), fire (never again)",
        "never",
    ),
    key(
        "schedule:<name>",
        "hash",
        "spec, revision, by whom it was paused, counts, last run",
        "schedule, fire",
        "due, fire, schedule, schedules",
        "schedule (remove)",
        "never",
    ),
    key(
        "watch:schedules",
        "string",
        "when the next schedule is due and the worker that wakes for it",
        "due",
        "due",
        "its expiry",
        "50 ms after that time",
    ),
    key(
        "watchers",
        "hash",
        "id → clients that wait for its end",
        "watch",
        "watch, complete, reclaim, claim (expired)",
        "complete, reclaim, claim, watch (expired)",
        "never",
    ),
    key(
        "producer:<client>",
        "string",
        "number of a producer's last batch, its duplicates (id, first id), and what of it was refused",
        "enqueue, enqueue_range",
        "enqueue, enqueue_range",
        "its expiry",
        "a day after the last batch",
    ),
    key(
        "unique:<key>",
        "string",
        "idempotency key → id of the first task",
        "enqueue, enqueue_range, revive, complete (follower)",
        "enqueue, enqueue_range, revive, claim, complete, reclaim",
        "its expiry, or as locks",
        "the time to live of the key, if it has one",
    ),
    key(
        "locks",
        "hash",
        "id → mode and key, of tasks whose key stands for them while they are queued or until they are done",
        "enqueue, revive, claim, complete (follower)",
        "enqueue, revive, claim, complete, reclaim, explain",
        "claim (queued), complete, reclaim and claim (the task has ended)",
        "never",
    ),
    key(
        "limits:<kind>",
        "hash",
        "name of a queue, task or tenant, or * → its limit: n, period (ms), burst, concurrency",
        "limit",
        "claim, limit, limits, explain",
        "limit",
        "never",
    ),
    key(
        "limited:why",
        "hash",
        "<kind>:<name> of a limit, or fair:<queue> → who set it, when and why, JSON",
        "limit, fair",
        "limits",
        "limit, fair",
        "never",
    ),
    key(
        "rate:<kind>:<name>",
        "string",
        "how full the bucket of a rate is, at which time (ms), counted by which period",
        "claim, limit",
        "claim, limit, explain",
        "its expiry",
        "when the bucket has run empty",
    ),
    key(
        "holding",
        "hash",
        "in-flight name of what a concurrency counts → how many, and the subjects that count it",
        "claim",
        "complete, reclaim",
        "complete, reclaim",
        "never",
    ),
    key(
        "held",
        "hash",
        "subject → how many of it are in flight; moves only with holding",
        "claim",
        "claim, limits, explain",
        "complete, reclaim",
        "never",
    ),
    key(
        "parked",
        "zset",
        "subject that lets tasks wait → when somebody must look (ms; inf: when a holder ends)",
        "claim, complete, limit",
        "claim, limits, explain",
        "claim, complete, limit",
        "never",
    ),
    key(
        "parked:<kind>:<name>",
        "zset",
        "<element> <priority> <queue>, by priority and age: what only this limit keeps back",
        "claim",
        "claim, limits, explain, queued",
        "claim, complete, limit",
        "never",
    ),
    key(
        "fair",
        "set",
        "queues whose tenants take turns",
        "fair",
        "enqueue, enqueue_range, claim, limits, explain",
        "fair",
        "never",
    ),
    key(
        "turn:<queue>:<priority>:<tenant>",
        "list",
        "ids of a tenant in a fair queue; @<tenant> stands for them in the ready list",
        "enqueue, complete, reclaim (due), fire, revive, move_queue",
        "claim, limits, queued, explain, peek",
        "claim, purge, move_queue",
        "never",
    ),
    key(
        "queues",
        "set",
        "names of the queues in use",
        "enqueue, enqueue_range, control, fire, move_queue, revive, claim, complete, reclaim, tidy, \
         speculate, limit, cancel, purge, watch (whatever rings)",
        "snapshot, tidy",
        "tidy (nothing of it is there: idle)",
        "never",
    ),
    key(
        "queues:idle",
        "zset",
        "name of a queue of which nothing was found → since when (ms), unless it is in use again",
        "tidy",
        "snapshot, tidy",
        "tidy (a day later)",
        "never",
    ),
    key(
        "controls",
        "hash",
        "queue → flags: p paused, c closed, m<limit>",
        "control",
        "claim, enqueue, enqueue_range, control, snapshot, explain",
        "control, with the last flag of a queue",
        "never",
    ),
    key(
        "controls:why",
        "hash",
        "<queue>:<flag> → who set it, when and why, JSON",
        "control",
        "enqueue, enqueue_range, snapshot, explain",
        "control, with the flag",
        "never",
    ),
    key(
        "stats",
        "hash",
        "totals: enqueued, succeeded, failed, retried, snoozed, reclaimed, expired, cancelled, revived",
        "enqueue, enqueue_range, complete, reclaim, claim, watch, cancel, revive",
        "snapshot",
        "nobody: these few numbers",
        "never",
    ),
    key(
        "worker:<lease>",
        "string",
        "(fleet) who the worker is and what it does, JSON",
        "beat",
        "workers",
        "beat, its expiry",
        "three heartbeats",
    ),
    key(
        "workers",
        "zset",
        "(fleet) lease → time of expiry (ms)",
        "beat",
        "workers",
        "beat",
        "never",
    ),
];
