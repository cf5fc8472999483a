//! What the tests of the protocol share: a namespace of its own, short ways to bring it into a
//! state, and its whole state as one readable, comparable value.
//!
//! In a state, ids appear as the names from which [`id`] made them, times as `now` or `now+60min`,
//! bitmaps as digits, and keys without their prefix.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use celeriac_broker_schema::script::{
    Claim, Claimed, Control, Delivery, Duplicate, Ending, Entry, Fire, Fired, Grant, Opened,
    PartTaken, Purged, PutDue, RangeJob, Reclaimed, Refused, Room, Run, RunField, ScheduleChange,
    ScheduleChanged, Start, WorkflowJob, WorkflowPart,
};
use celeriac_broker_schema::workflow::{Barrier, Edit, Release, Span};
use celeriac_broker_schema::{
    Broker, ClientId, Delta, JobId, JobSpec, LeaseId, Priority, QueueName, Record, RedisConfig,
    Requester, TaskId, TaskOptions, Timestamp,
};
use celeriac_testkit::dump::dump;
use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Proxy, TestRedis};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

/// Makes two tests of each function: one on a single server, one on a cluster, where a script that
/// leaves its slot fails. A function that is not listed is reported as unused.
macro_rules! on_both_servers {
    ($($test:ident),* $(,)?) => {
        mod on_a_single_server {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::support::World::on_a_single_server().await).await;
            })*
        }
        mod on_a_cluster {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::support::World::on_a_cluster().await).await;
            })*
        }
    };
}

/// Asserts that since `before` exactly these keys changed. Hashes and sorted sets are compared by
/// their members; what is gone is `null`.
macro_rules! assert_changes {
    ($world:expr, $before:expr, $($expected:tt)+) => {{
        let changes = $world.changes(&$before).await;
        let expected = serde_json::json!($($expected)+);
        assert!(changes == expected, "what changed: {changes:#}\nexpected: {expected:#}");
    }};
}

/// Who does what operators do, and why.
pub(crate) fn ada() -> Requester {
    Requester::new("ada").because("t")
}

/// Every key of a namespace, in readable form.
pub(crate) type State = BTreeMap<String, Value>;

/// One hour in milliseconds: what must not happen during a test is this far away.
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// The queue that tests use unless they are about queues.
pub(crate) const QUEUE: &str = "default";
/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh namespace on a real server.
pub(crate) struct World {
    pub(crate) broker: Broker,
    namespace: String,
    url: String,
    connection: MultiplexedConnection,
    start: u64,
    batches: Cell<u64>,
    calls: RefCell<HashMap<String, u64>>,
}

/// What a claim asks for.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) want: usize,
    pub(crate) suspect: bool,
    pub(crate) crash_limit: u32,
    pub(crate) queues: Vec<QueueName>,
    pub(crate) room: Option<Room>,
}

impl Ask {
    pub(crate) fn want(want: usize) -> Self {
        Self { want, suspect: true, crash_limit: 3, queues: vec![queue(QUEUE)], room: None }
    }

    pub(crate) fn from(mut self, queues: &[&str]) -> Self {
        self.queues = queues.iter().copied().map(queue).collect();
        self
    }

    pub(crate) fn without_suspects(mut self) -> Self {
        self.suspect = false;
        self
    }
}

impl World {
    pub(crate) async fn on_a_single_server() -> Self {
        Self::on(TestRedis::shared().await).await
    }

    pub(crate) async fn on_a_cluster() -> Self {
        Self::on(TestRedis::shared_cluster().await).await
    }

    /// Another namespace on the same server.
    pub(crate) async fn beside(other: &Self) -> Self {
        Self::on_url(&other.url).await
    }

    /// On a server that the test may do harm to.
    pub(crate) async fn on(server: &TestRedis) -> Self {
        Self::on_url(server.url()).await
    }

    async fn on_url(url: &str) -> Self {
        let namespace = fresh_namespace();
        let config = RedisConfig::new(url).namespace(namespace.parse().expect("a name"));
        let mut world = Self {
            broker: Broker::new(config).expect("a URL"),
            namespace,
            url: url.to_owned(),
            connection: celeriac_testkit::redis::connect(url).await,
            start: 0,
            batches: Cell::new(0),
            calls: RefCell::default(),
        };
        world.start = world.now().await.0;
        world
    }

    /// Another broker of the same namespace, on a network that has faults.
    pub(crate) async fn behind_a_proxy(&self) -> (Proxy, Broker) {
        let proxy = Proxy::start(&self.url).await;
        let namespace = self.namespace.parse().expect("a name");
        let config = RedisConfig::new(proxy.url()).namespace(namespace);
        (proxy, Broker::new(config).expect("a URL"))
    }

    /// Redis time.
    pub(crate) async fn now(&self) -> Timestamp {
        let (seconds, micros): (u64, u64) = self.redis(&redis::cmd("TIME")).await;
        Timestamp(seconds * 1000 + micros / 1000)
    }

    /// Any command, past the scripts.
    pub(crate) async fn redis<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.expect("Redis answers")
    }

    /// The full name of a key.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.broker.keys().prefix())
    }

    /// All minutes of figures that there are go back in time, as if that long had passed.
    pub(crate) async fn let_figures_age(&self, ms: u64) {
        let world = self;
        let key = |name: &str| world.key(name);
        for (full, _) in world.dump().await {
            let Some(at) = full.strip_prefix(&key("figures:minute:")) else { continue };
            let at: u64 = at.parse().expect("a time");
            let earlier = key(&format!("figures:minute:{}", at - ms));
            let _: String = world.redis(redis::cmd("RENAME").arg(&full).arg(earlier)).await;
        }
        for field in ["since", "ten", "hour", "total"] {
            let at: Option<u64> =
                world.redis(redis::cmd("HGET").arg(key("figures")).arg(field)).await;
            let earlier = at.expect("it is set") - ms;
            let _: i64 =
                world.redis(redis::cmd("HSET").arg(key("figures")).arg(field).arg(earlier)).await;
        }
    }

    // States.

    /// The state of the whole namespace.
    pub(crate) async fn state(&self) -> State {
        let mut state = State::new();
        let mut expiring = Map::new();
        for (key, dumped) in self.dump().await {
            let name = self.readable(self.short(&key));
            let value = if [":done", ":out", ":begun"].iter().any(|end| name.ends_with(end)) {
                self.bits(&key).await.into()
            } else {
                self.readable_value(&dumped["value"])
            };
            let near = |watch: &str| watch.is_empty() || watch.starts_with("now:");
            if name == "watch" && value.as_str().is_some_and(near) {
                // A watched moment that is near may be over before we look again.
                continue;
            }
            if dumped["expires"] == json!(true) {
                expiring.insert(name.clone(), json!(true));
            }
            state.insert(name, value);
        }
        state.insert("expires".to_owned(), expiring.into());
        state
    }

    /// All keys of the namespace as they are.
    pub(crate) async fn dump(&self) -> State {
        dump(&self.url, &format!("{{{}*", self.namespace)).await
    }

    /// What changed since then.
    pub(crate) async fn changes(&self, before: &State) -> Value {
        changes(before, &self.state().await)
    }

    fn short<'a>(&self, key: &'a str) -> &'a str {
        let keys = self.broker.keys();
        let fleet = |key: &'a str| key.strip_prefix(keys.fleet());
        key.strip_prefix(keys.prefix()).or_else(|| fleet(key)).unwrap_or(key)
    }

    /// The bits of a bitmap as digits, whole bytes.
    pub(crate) async fn bits(&self, key: &str) -> String {
        let bytes: Vec<u8> = self.redis(redis::cmd("GET").arg(key)).await;
        bytes.iter().map(|byte| format!("{byte:08b}")).collect()
    }

    fn readable_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.readable(text).into(),
            Value::Number(number) => match number.as_u64() {
                Some(time) if time >= self.start => self.time(time).into(),
                _ => value.clone(),
            },
            Value::Array(values) => values.iter().map(|value| self.readable_value(value)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (self.readable(name), self.readable_value(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// A text with names for ids and words for times.
    pub(crate) fn readable(&self, text: &str) -> String {
        let mut readable = String::new();
        let named = names_for_ids(text);
        let mut rest = named.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, digits) = rest.split_at(at);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            readable.push_str(before);
            match digits[..end].parse::<u64>() {
                Ok(time) if end == 13 && time >= self.start => readable.push_str(&self.time(time)),
                _ => readable.push_str(&digits[..end]),
            }
            rest = &digits[end..];
        }
        readable + rest
    }

    fn time(&self, time: u64) -> String {
        match (time - self.start) / 60_000 {
            0 => "now".to_owned(),
            minutes => format!("now+{minutes}min"),
        }
    }

    // What producers do.

    /// Enqueues tasks of these names without options, in one batch.
    pub(crate) async fn enqueue(&self, names: &[&str]) {
        let entries: Vec<Entry> = names.iter().map(|name| entry(name)).collect();
        assert_eq!(self.enqueue_all(&entries).await, []);
    }

    /// Enqueues a batch under the next number of producer `c1`.
    pub(crate) async fn enqueue_all(&self, entries: &[Entry]) -> Vec<Duplicate> {
        self.enqueue_numbered(self.next_batch(), entries).await
    }

    pub(crate) async fn enqueue_numbered(&self, number: u64, entries: &[Entry]) -> Vec<Duplicate> {
        let enqueued = self.broker.enqueue(&client("c1"), number, entries).await;
        enqueued.expect("the batch is enqueued").duplicates
    }

    /// Enqueues a job under the next number of producer `c1`.
    pub(crate) async fn enqueue_job(&self, job: &RangeJob) -> Option<Duplicate> {
        self.enqueue_job_numbered(self.next_batch(), job).await
    }

    pub(crate) async fn enqueue_job_numbered(
        &self,
        number: u64,
        job: &RangeJob,
    ) -> Option<Duplicate> {
        let enqueued = self.broker.enqueue_range(&client("c1"), number, job).await;
        enqueued.expect("the job is enqueued").duplicates.into_iter().next()
    }

    /// Enqueues a batch under the next number of producer `c1`, and tells what was refused: position,
    /// number, queue, limit.
    pub(crate) async fn refusals(
        &self,
        entries: &[Entry],
    ) -> Vec<(usize, usize, String, Option<u64>)> {
        let number = self.next_batch();
        let enqueued = self.broker.enqueue(&client("c1"), number, entries).await;
        let told =
            |refused: Refused| (refused.first, refused.count, refused.why.queue, refused.why.limit);
        enqueued.expect("an answer").refused.into_iter().map(told).collect()
    }

    // What operators do.

    /// As ada, because of `t`.
    pub(crate) async fn control(&self, name: &str, control: Control) -> bool {
        self.broker.control_queue(&queue(name), control, &ada()).await.expect("an answer")
    }

    pub(crate) async fn limit_queue(&self, name: &str, max: u64) -> bool {
        self.control(name, Control::Limit(max.try_into().expect("not 0"))).await
    }

    pub(crate) async fn purge(&self, name: &str, delayed: bool) -> Purged {
        let keep = Duration::from_secs(60);
        self.broker.purge_queue(&queue(name), delayed, keep, &ada()).await.expect("purged")
    }

    fn next_batch(&self) -> u64 {
        self.batches.set(self.batches.get() + 1);
        self.batches.get()
    }

    /// Changes a schedule, whatever its revision is.
    pub(crate) async fn schedule(&self, name: &str, change: ScheduleChange) {
        let name = name.parse().expect("a name");
        let changed = self.broker.schedule(&name, None, &change).await;
        assert!(matches!(changed, Ok(ScheduleChanged::Done { .. })), "{changed:?}");
    }

    // What workers do.

    /// Fires a schedule; it is due one millisecond later again.
    pub(crate) async fn fire(
        &self,
        name: &str,
        due: Option<u64>,
        revision: u64,
        tasks: &[&str],
    ) -> Fired {
        let ids: Vec<TaskId> = tasks.iter().map(|name| id(name)).collect();
        let fire = fire(name, due, revision, &ids);
        self.broker.fire(&fire).await.expect("an answer").1
    }

    /// Opens a lease that outlives the test.
    pub(crate) async fn open(&self, name: &str) {
        self.open_for(name, Duration::from_millis(HOUR_MS)).await;
    }

    /// Opens a lease that is over at once: its worker is as good as dead.
    pub(crate) async fn open_doomed(&self, name: &str) {
        self.open_for(name, Duration::from_millis(1)).await;
    }

    async fn open_for(&self, name: &str, visibility: Duration) {
        let opened = self.broker.open(&lease(name), visibility).await;
        assert!(matches!(opened, Ok(Opened::At(_))), "{opened:?}");
        self.calls.borrow_mut().remove(name);
    }

    /// Claims up to `want` from the queue `default`.
    pub(crate) async fn claim(&self, lease: &str, want: usize) -> Grant {
        self.claim_as(lease, Ask::want(want)).await
    }

    pub(crate) async fn claim_as(&self, lease: &str, ask: Ask) -> Grant {
        granted(self.call(lease, self.next_call(lease), &ask, None).await)
    }

    /// Reports endings and wants nothing new.
    pub(crate) async fn complete(&self, lease: &str, endings: &[Ending]) -> Grant {
        self.complete_as(lease, Ask::want(0), endings).await
    }

    pub(crate) async fn complete_as(&self, lease: &str, ask: Ask, endings: &[Ending]) -> Grant {
        granted(self.call(lease, self.next_call(lease), &ask, Some(endings)).await)
    }

    /// Any claim, or any completion, under any number.
    pub(crate) async fn call(
        &self,
        name: &str,
        number: u64,
        ask: &Ask,
        endings: Option<&[Ending]>,
    ) -> Claimed {
        let Ask { want, suspect, crash_limit, queues, room } = ask;
        let room = room.clone();
        let (want, suspect, crash_limit) = (*want, *suspect, *crash_limit);
        let claim = Claim { lease: &lease(name), number, want, suspect, crash_limit, queues, room };
        let claimed = match endings {
            None => self.broker.claim(&claim).await,
            Some(endings) => self.broker.complete(&claim, endings).await,
        };
        claimed.expect("the call is answered")
    }

    /// The number that the next call of a lease has, which is taken thereby.
    pub(crate) fn next_call(&self, lease: &str) -> u64 {
        let mut calls = self.calls.borrow_mut();
        let number = calls.entry(lease.to_owned()).or_default();
        *number += 1;
        *number
    }

    /// One round of upkeep by somebody without a lease; crash limit 3.
    pub(crate) async fn reclaim(&self, limit: u32) -> Reclaimed {
        self.broker.reclaim(None, limit, 3).await.expect("upkeep is done")
    }

    /// Upkeep until something of a doomed lease came back.
    pub(crate) async fn reclaim_lost(&self, crash_limit: u32) -> Reclaimed {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = self.broker.reclaim(None, 1000, crash_limit).await.expect("upkeep is done");
            if done.reclaimed > 0 {
                return done;
            }
            assert!(Instant::now() < deadline, "no lease expires");
        }
    }

    /// A worker takes up to `want` and is lost: all of it is put back. Returns what it had taken.
    pub(crate) async fn lose_worker(&self, name: &str, want: usize) -> Grant {
        self.open_doomed(name).await;
        let grant = self.claim(name, want).await;
        self.reclaim_lost(3).await;
        grant
    }

    /// Takes the tokens of all bells, as idle workers do.
    pub(crate) async fn hush(&self) {
        let bells = ["default", "x", "y"].map(|queue| self.key(&format!("bell:{queue}")));
        self.redis::<u64>(redis::cmd("DEL").arg(&bells)).await;
    }

    // The passing of time.

    /// When a lease ends unless it is renewed.
    pub(crate) async fn deadline(&self, lease: &str) -> u64 {
        let mut score = redis::cmd("ZSCORE");
        self.redis(score.arg(self.key("leases")).arg(lease)).await
    }

    /// Waits until a lease is over, and leaves it as it is.
    pub(crate) async fn overdue(&self, lease: &str) {
        let end = self.deadline(lease).await;
        let deadline = Instant::now() + PATIENCE;
        while self.now().await.0 <= end {
            assert!(Instant::now() < deadline, "the lease {lease} does not end");
        }
    }

    /// Makes everything due that is delayed, all of it at the same past moment.
    pub(crate) async fn delays_pass(&self) {
        let script = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            redis.call('ZADD', KEYS[1], 1, member) end";
        let mut eval = redis::cmd("EVAL");
        self.redis::<()>(eval.arg(script).arg(1).arg(self.key("delayed"))).await;
    }

    /// Waits until Redis has forgotten a key of the shard that expires soon.
    pub(crate) async fn forgotten(&self, name: &str) {
        self.vanished(&self.key(name)).await;
    }

    /// As [`World::forgotten`], for any key.
    pub(crate) async fn vanished(&self, key: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.redis::<bool>(redis::cmd("EXISTS").arg(key)).await {
            assert!(Instant::now() < deadline, "{key} does not expire");
        }
    }
}

/// What differs between two states.
pub(crate) fn changes(before: &State, after: &State) -> Value {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |key: &&String| match (before.get(*key), after.get(*key)) {
        (before, after) if before == after => None,
        (Some(Value::Object(before)), Some(Value::Object(after))) => Some(members(before, after)),
        (_, after) => Some(after.cloned().unwrap_or(Value::Null)),
    };
    let changed = keys.iter().filter_map(|key| Some(((*key).clone(), change(key)?)));
    changed.collect::<Map<_, _>>().into()
}

fn members(before: &Map<String, Value>, after: &Map<String, Value>) -> Value {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |name: &&&String| before.get(**name) != after.get(**name);
    let change =
        |name: &&String| ((*name).clone(), after.get(*name).cloned().unwrap_or(Value::Null));
    names.iter().filter(differs).map(change).collect::<Map<_, _>>().into()
}

// Names.

/// All ids of tests begin so; their name follows.
const ID_HEAD: &str = "018bcfe56800700080";

/// The id with this name, of at most 6 bytes. Ids are ordered as their names.
pub(crate) fn id(name: &str) -> TaskId {
    let mut random = [0; 10];
    random[3..3 + name.len()].copy_from_slice(name.as_bytes());
    TaskId::from_parts(Timestamp(0x018b_cfe5_6800), random)
}

/// The job with this name.
pub(crate) fn job_id(name: &str) -> JobId {
    id(name).job()
}

fn names_for_ids(text: &str) -> String {
    let mut named = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(ID_HEAD) {
        let (before, id) = rest.split_at(at);
        named.push_str(before);
        let digit = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).expect("hex digits");
        let bytes = (ID_HEAD.len()..30).step_by(2).map(digit).take_while(|byte| *byte != 0);
        named.extend(bytes.map(char::from));
        rest = &id[32..];
    }
    named + rest
}

pub(crate) fn lease(name: &str) -> LeaseId {
    LeaseId::from_wire(name)
}

/// A client; its name is made of hex digits.
pub(crate) fn client(name: &str) -> ClientId {
    ClientId::from_wire(name)
}

pub(crate) fn queue(name: &str) -> QueueName {
    name.parse().expect("a queue")
}

pub(crate) fn priority(number: u8) -> Priority {
    Priority::new(number).expect("a priority")
}

/// The names of delivered tasks.
pub(crate) fn names(tasks: &[Delivery]) -> Vec<String> {
    tasks.iter().map(|task| names_for_ids(&task.id.to_string())).collect()
}

/// The names of delivered runs with their attempts: `J:0-3 #1`.
pub(crate) fn runs(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| format!("{} #{}", field(&run.field), run.attempt)).collect()
}

/// The name of a run.
pub(crate) fn field(field: &RunField) -> String {
    names_for_ids(field.as_str())
}

/// Names in a list that a grant contains.
pub(crate) fn named(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| names_for_ids(text)).collect()
}

// Things to enqueue.

fn args(name: &str) -> Box<RawValue> {
    to_raw_value(name).expect("JSON")
}

/// The stored record of a task of this name.
pub(crate) fn record(name: &str) -> String {
    record_with(name, &TaskOptions::default())
}

fn record_with(name: &str, options: &TaskOptions) -> String {
    let task = "t".parse().expect("a name");
    Record::new(&task, &args(name), options).encode().expect("a record")
}

/// A task without options.
pub(crate) fn entry(name: &str) -> Entry {
    entry_in(name, QUEUE, Priority::default().get())
}

/// A task in a queue, with a priority.
pub(crate) fn entry_in(name: &str, queue_name: &str, number: u8) -> Entry {
    let (queue, priority) = (queue(queue_name), priority(number));
    let options = TaskOptions { queue: queue.clone(), priority, ..TaskOptions::default() };
    let record = record_with(name, &options);
    Entry { id: id(name), record, queue, priority, start: Start::default(), unique: None }
}

/// A task that starts later.
pub(crate) fn delayed(name: &str, delay_ms: u64) -> Entry {
    Entry { start: Start { delay_ms: Some(delay_ms), ..Start::default() }, ..entry(name) }
}

/// A task of another name, of a tenant.
pub(crate) fn entry_of(name: &str, task: &str, tenant: Option<&str>) -> Entry {
    let tenant = tenant.map(|tenant| tenant.parse().expect("a tenant"));
    let options = TaskOptions { tenant, ..TaskOptions::default() };
    let (task, args) = (task.parse().expect("a name"), args(name));
    let record = Record::new(&task, &args, &options).encode().expect("a record");
    Entry { record, ..entry(name) }
}

/// A point in time.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp(ms)
}

/// A schedule with this description.
pub(crate) fn put_schedule(spec: &str, due: Option<u64>) -> ScheduleChange {
    let due = due.map_or(PutDue::Never, |due| PutDue::At(at(due)));
    ScheduleChange::Put { spec: spec.to_owned(), due, queue: queue(QUEUE) }
}

/// The firing of a schedule; its tasks have the record of `s`.
pub(crate) fn fire<'a>(name: &str, due: Option<u64>, revision: u64, ids: &'a [TaskId]) -> Fire<'a> {
    static RECORD: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| record("s"));
    Fire {
        // Tests make a handful of them.
        name: Box::leak(Box::new(name.parse().expect("a name"))),
        revision,
        due: due.map(at),
        next: due.map(|due| at(due + 1)),
        missed: 0,
        unless_running: false,
        queue: queue(QUEUE),
        priority: Priority::default(),
        expires_after_ms: None,
        record: &RECORD,
        ids,
    }
}

/// The stored description of a job of chunks without options.
pub(crate) fn spec(chunks: u64) -> String {
    let (task, args, options) =
        ("t".parse().expect("a name"), args("chunk"), TaskOptions::default());
    let spec = JobSpec {
        v: 1,
        chunk: Record::new(&task, &args, &options),
        chunks,
        split: None,
        accumulate: BTreeMap::new(),
        reduce: None,
        label: None,
        submitted_by: None,
        speculate: None,
        workflow: None,
    };
    spec.encode().expect("a spec")
}

/// A job without a reducer, kept for an hour.
pub(crate) fn job(name: &str, chunks: u64) -> RangeJob {
    RangeJob {
        id: job_id(name),
        spec: spec(chunks),
        chunks,
        queue: queue(QUEUE),
        priority: Priority::default(),
        keep_ms: HOUR_MS,
        reducer: None,
        unique: None,
        speculate: None,
    }
}

/// A job with a reducer, which goes to priority 7.
pub(crate) fn job_to_reduce(name: &str, chunks: u64) -> RangeJob {
    RangeJob { reducer: Some((record(name), queue(QUEUE), priority(7))), ..job(name, chunks) }
}

// Workflows.

pub(crate) fn release(lo: u64, hi: u64) -> Release {
    Release { lo, hi, queue: queue(QUEUE), priority: priority(5), delay_ms: 0 }
}

pub(crate) fn span(lo: u64, hi: u64, feeds: &str) -> Edit {
    Edit::Span(Span { lo, hi, feeds: feeds.to_owned(), catch: "-".to_owned() })
}

pub(crate) fn described(members: u64) -> WorkflowJob {
    WorkflowJob {
        spec: spec(members),
        keep_ms: HOUR_MS,
        exit: "2".to_owned(),
        most: (1_000, 10),
        queues: vec![(queue(QUEUE), members)],
        unique: None,
    }
}

/// Two members, and one that waits for both.
pub(crate) fn chord(name: &str) -> WorkflowPart {
    WorkflowPart {
        id: job_id(name),
        part: 0,
        job: Some(described(3)),
        base: Some(0),
        edits: vec![
            Edit::Reserve(3),
            span(0, 2, "2"),
            span(2, 3, "e"),
            Edit::Barrier(Barrier {
                number: 2,
                missing: 2,
                opens: vec![release(2, 3)],
                stand_ins: Vec::new(),
                tolerates: None,
            }),
            Edit::Records { first: 0, records: vec![record("a"), record("b"), record("c")] },
            Edit::Release(release(0, 2)),
        ],
        ends: 1,
        joins: None,
        last: true,
    }
}

impl World {
    pub(crate) async fn enqueue_part(&self, number: u64, part: &WorkflowPart) -> PartTaken {
        let taken = self.broker.enqueue_workflow(&client("c1"), number, part).await;
        taken.expect("Redis is there")
    }
}

// Endings.

/// An outcome of a success; `""` where none is kept.
pub(crate) fn outcome(name: &str) -> String {
    format!(r#"{{"v":1,"state":"succeeded","result":"{name}","ended":1}}"#)
}

/// An error.
pub(crate) const FAILURE: &str = r#"{"kind":"error","message":"no","fingerprint":"f"}"#;
/// The outcome of a final failure.
pub(crate) const FAILED: &str = r#"{"v":1,"state":"failed","error":{"kind":"error","message":"no","fingerprint":"f"},"ended":1}"#;
/// A failed attempt.
pub(crate) const ATTEMPT: &str = r#"{"attempt":1,"outcome":"failed","worker":"w1","ended":1}"#;

/// A success that is kept for an hour.
pub(crate) fn succeeded(name: &str) -> Ending {
    Ending::Succeeded { id: id(name), outcome: outcome(name), keep_ms: HOUR_MS }
}

/// A success that is not kept.
pub(crate) fn done(name: &str) -> Ending {
    Ending::Succeeded { id: id(name), outcome: String::new(), keep_ms: 0 }
}

pub(crate) fn failed(name: &str) -> Ending {
    let (outcome, failure) = (FAILED.to_owned(), FAILURE.to_owned());
    Ending::Failed { id: id(name), outcome, keep_ms: HOUR_MS, failure }
}

pub(crate) fn retry(name: &str, delay_ms: u64) -> Ending {
    Ending::Retry { id: id(name), delay_ms, attempt: ATTEMPT.to_owned() }
}

pub(crate) fn snoozed(name: &str, delay_ms: u64) -> Ending {
    Ending::Snoozed { id: id(name), delay_ms }
}

pub(crate) fn chunk_snoozed(run: &Run, index: u64, delay_ms: u64) -> Ending {
    Ending::ChunkSnoozed { run: run.field.clone(), index, delay_ms }
}

pub(crate) fn released(name: &str) -> Ending {
    Ending::Released { id: id(name), begun: false }
}

pub(crate) fn chunks_succeeded(run: &Run, lo: u64, hi: u64, deltas: &[Delta]) -> Ending {
    Ending::ChunksSucceeded { run: run.field.clone(), lo, hi, deltas: deltas.to_vec() }
}

/// The whole run succeeded and adds nothing.
pub(crate) fn run_succeeded(run: &Run) -> Ending {
    chunks_succeeded(run, run.lo, run.hi, &[])
}

/// A member succeeded, and its result is kept.
pub(crate) fn member_succeeded(run: &Run, index: u64) -> Ending {
    let (run, results) = (run.field.clone(), vec![(index, "=1".to_owned())]);
    Ending::MembersSucceeded { run, lo: index, hi: index + 1, results, deltas: Vec::new() }
}

pub(crate) fn chunk_retry(run: &Run, index: u64, delay_ms: u64) -> Ending {
    Ending::ChunkRetry { run: run.field.clone(), index, delay_ms, attempt: ATTEMPT.to_owned() }
}

pub(crate) fn chunk_failed(run: &Run, index: u64) -> Ending {
    Ending::ChunkFailed {
        run: run.field.clone(),
        index,
        outcome: FAILED.to_owned(),
        attempt: ATTEMPT.to_owned(),
        failure: FAILURE.to_owned(),
    }
}

pub(crate) fn chunks_released(run: &Run, lo: u64, hi: u64) -> Ending {
    Ending::ChunksReleased { run: run.field.clone(), lo, hi }
}

pub(crate) fn delta(op: &'static str, name: &str, number: &str) -> Delta {
    Delta { op, name: name.to_owned(), number: number.to_owned() }
}

/// The answer of a call that was carried out.
pub(crate) fn granted(claimed: Claimed) -> Grant {
    match claimed {
        Claimed::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}
