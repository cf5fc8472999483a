//! The table of transitions and the table of keys tell the truth: every row of the one is visited by
//! a real call, and a busy namespace holds keys of the other and nothing else.
#![cfg(feature = "client")]

#[path = "scripts/support.rs"]
#[allow(dead_code, unused_macros, reason = "the tests of the scripts use the rest of it")]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::keys::{KeyRow, TABLE};
use celeriac_broker_schema::script::{
    Checkpoint, Control, Emission, Ending, Entry, Found, Kept, Order, RangeJob, Run, RunField,
    Start, Tally, Whereabouts, WorkflowPart,
};
use celeriac_broker_schema::state::{TRANSITIONS, Transition};
use celeriac_broker_schema::workflow::{Barrier, Edit};
use celeriac_broker_schema::{
    Deed, Limit, Outcome, Rate, RecentTask, Requester, Setting, State, TaskId, Timestamp, Unique,
    UniqueKey, UniqueMode,
};

use crate::support::*;

/// The state of a task or chunk as `inspect` tells it.
async fn state_of(world: &World, id: TaskId) -> Option<State> {
    let whereabouts = match world.broker.inspect(id).await.expect("an answer") {
        Found::Unknown => return None,
        Found::Ended(outcome) => {
            return Some(serde_json::from_str::<Outcome>(&outcome).expect("an outcome").state);
        }
        Found::Task { whereabouts, .. } | Found::Chunk { whereabouts, .. } => whereabouts,
    };
    Some(match whereabouts {
        Whereabouts::Waiting => State::Waiting,
        Whereabouts::Delayed(_) => State::Delayed,
        Whereabouts::Queued => State::Ready,
        Whereabouts::Running { .. } => State::Running,
        Whereabouts::Succeeded => State::Succeeded,
        Whereabouts::Failed(_) => State::Failed,
        Whereabouts::Cancelled => State::Cancelled,
    })
}

/// One row that is being visited.
struct Visit {
    row: Transition,
    world: World,
}

impl Visit {
    /// Runs what makes the transition, and looks before and after.
    async fn check(&self, id: TaskId, act: impl Future<Output = ()>) {
        let Transition { from, event, to, script } = self.row;
        assert_eq!(state_of(&self.world, id).await, from, "before `{event}` ({script})");
        act.await;
        assert_eq!(state_of(&self.world, id).await, Some(to), "after `{event}` ({script})");
    }

    /// The chunks 0 to 2 of a job of ten with a reducer are held by w1; 9 is ready.
    async fn given_run(&self) -> Run {
        self.world.enqueue_job(&job_to_reduce("J", 10)).await;
        self.world.open("w1").await;
        self.world.claim("w1", 3).await.runs.remove(0)
    }

    async fn given_running(&self) {
        self.world.enqueue(&["a"]).await;
        self.world.open("w1").await;
        self.world.claim("w1", 1).await;
    }

    async fn given_running_that_others_follow(&self) {
        self.world.enqueue_all(&[keep_last("a")]).await;
        self.world.open("w1").await;
        self.world.claim("w1", 1).await;
    }

    async fn given_delayed_chunk(&self) -> Run {
        let run = self.given_run().await;
        self.world.complete("w1", &[chunk_retry(&run, 1, HOUR_MS)]).await;
        run
    }

    /// A task, and a job of one chunk, each of which has cost two workers.
    async fn given_suspects(&self) {
        self.world.enqueue(&["a"]).await;
        self.world.enqueue_job(&job_to_reduce("J", 1)).await;
        for worker in ["w1", "w2"] {
            self.world.lose_worker(worker, 9).await;
        }
    }

    async fn end(&self, ending: celeriac_broker_schema::script::Ending) {
        self.world.complete("w1", &[ending]).await;
    }
}

/// One of several of which the last one counts.
fn keep_last(name: &str) -> Entry {
    let key = UniqueKey::new("k").expect("a key");
    Entry { unique: Some(Unique { key, mode: UniqueMode::KeepLast }), ..entry(name) }
}

#[tokio::test]
async fn every_row_is_visited() {
    for row in TRANSITIONS {
        let visit = Visit { row: *row, world: World::on_a_single_server().await };
        match row.script {
            "enqueue" | "enqueue_range" | "enqueue_workflow" => visit_enqueue(&visit).await,
            "claim" => visit_claim(&visit).await,
            "cancel" => visit_cancel_by_people(&visit).await,
            "complete" if row.event == "its job fails" => visit_cancel(&visit).await,
            "complete" => visit_complete(&visit).await,
            "reclaim" => visit_reclaim(&visit).await,
            "revive" => visit_revive(&visit).await,
            "purge" => visit_purge(&visit).await,
            other => panic!("no test visits the rows of {other}"),
        }
    }
}

fn unknown(row: &Transition) -> ! {
    panic!("no test visits {:?} -> {}: {} ({})", row.from, row.to, row.event, row.script)
}

async fn visit_enqueue(visit: &Visit) {
    let world = &visit.world;
    let chunk = TaskId::of_chunk(job_id("J"), 3);
    let enqueue_job = async || {
        world.enqueue_job(&job_to_reduce("J", 10)).await;
    };
    match visit.row.event {
        "enqueue" => visit.check(id("a"), world.enqueue(&["a"])).await,
        "enqueue later" => {
            let later = [delayed("a", HOUR_MS)];
            let enqueue = async || drop(world.enqueue_all(&later).await);
            visit.check(id("a"), enqueue()).await;
        }
        "enqueue a follower" => {
            visit.given_running_that_others_follow().await;
            let follow = async || drop(world.enqueue_all(&[keep_last("b")]).await);
            visit.check(id("b"), follow()).await;
        }
        "enqueue a job" => visit.check(chunk, enqueue_job()).await,
        "enqueue a workflow" => {
            let part = chord("J");
            let first = TaskId::of_chunk(job_id("J"), 0);
            visit.check(first, async { drop(world.enqueue_part(1, &part).await) }).await;
        }
        "enqueue what follows" => {
            let part = chord("J");
            let last = TaskId::of_chunk(job_id("J"), 2);
            visit.check(last, async { drop(world.enqueue_part(1, &part).await) }).await;
        }
        "enqueue a job's reducer" => visit.check(id("J"), enqueue_job()).await,
        _ => unknown(&visit.row),
    }
}

async fn visit_claim(visit: &Visit) {
    let world = &visit.world;
    world.open("w1").await;
    let claim = async |want| drop(world.claim("w1", want).await);
    let expires = Start { expires_after_ms: Some(0), ..Start::default() };
    match (visit.row.from, visit.row.event) {
        (Some(State::Delayed), "promote") => {
            world.enqueue_all(&[delayed("a", HOUR_MS)]).await;
            world.delays_pass().await;
            visit.check(id("a"), claim(0)).await;
        }
        (Some(State::Delayed), "expire") => {
            let start = Start { delay_ms: Some(HOUR_MS), ..expires };
            world.enqueue_all(&[Entry { start, ..entry("a") }]).await;
            visit.check(id("a"), claim(0)).await;
        }
        (Some(State::Waiting), "expire") => {
            world.enqueue_all(&[keep_last("a")]).await;
            world.claim("w1", 1).await;
            world.enqueue_all(&[Entry { start: expires, ..keep_last("b") }]).await;
            visit.check(id("b"), claim(0)).await;
        }
        (Some(State::Ready), "expire") => {
            world.enqueue_all(&[Entry { start: expires, ..entry("a") }]).await;
            visit.check(id("a"), claim(0)).await;
        }
        (Some(State::Ready), "claim") => {
            world.enqueue(&["a"]).await;
            visit.check(id("a"), claim(1)).await;
        }
        _ => unknown(&visit.row),
    }
}

async fn visit_complete(visit: &Visit) {
    if visit.row.event == "what it follows ends" {
        visit.given_running_that_others_follow().await;
        visit.world.enqueue_all(&[keep_last("b")]).await;
        return visit.check(id("b"), visit.end(done("a"))).await;
    }
    if visit.row.from == Some(State::Waiting) {
        return visit_barrier(visit).await;
    }
    visit.given_running().await;
    let ending = match visit.row.event {
        "succeed" => succeeded("a"),
        "retry later" => retry("a", HOUR_MS),
        "retry now" => retry("a", 0),
        "fail" => failed("a"),
        "snooze" => snoozed("a", HOUR_MS),
        "release" => released("a"),
        "stop as told to" => {
            let outcome = r#"{"v":1,"state":"cancelled","ended":1}"#.to_owned();
            Ending::Cancelled { id: id("a"), outcome, keep_ms: HOUR_MS }
        }
        _ => unknown(&visit.row),
    };
    visit.check(id("a"), visit.end(ending)).await;
}

async fn visit_barrier(visit: &Visit) {
    visit.world.enqueue_job(&job_to_reduce("J", 1)).await;
    visit.world.open("w1").await;
    let run = visit.world.claim("w1", 1).await.runs.remove(0);
    let ending = match visit.row.event {
        "last chunk settles" => run_succeeded(&run),
        "a chunk fails" => chunk_failed(&run, 0),
        _ => unknown(&visit.row),
    };
    visit.check(id("J"), visit.end(ending)).await;
}

async fn visit_cancel(visit: &Visit) {
    let (run, index) = match visit.row.from {
        Some(State::Ready) => (visit.given_run().await, 9),
        Some(State::Running) => (visit.given_run().await, 2),
        Some(State::Delayed) => (visit.given_delayed_chunk().await, 1),
        _ => unknown(&visit.row),
    };
    visit.check(TaskId::of_chunk(job_id("J"), index), visit.end(chunk_failed(&run, 0))).await;
}

async fn visit_cancel_by_people(visit: &Visit) {
    let world = &visit.world;
    let (id, wanted) = match visit.row.from {
        Some(State::Waiting) => {
            world.enqueue_job(&job_to_reduce("J", 1)).await;
            (id("J"), id("J"))
        }
        Some(State::Delayed) => {
            world.enqueue_all(&[delayed("a", HOUR_MS)]).await;
            (id("a"), id("a"))
        }
        Some(State::Ready) => {
            world.enqueue(&["a"]).await;
            (id("a"), id("a"))
        }
        Some(State::Running) => {
            visit.given_run().await;
            (TaskId::of_chunk(job_id("J"), 2), id("J"))
        }
        _ => unknown(&visit.row),
    };
    let cancel = async || {
        world.broker.cancel(&[wanted], &Requester::default()).await.expect("an answer");
    };
    visit.check(id, cancel()).await;
}

async fn visit_purge(visit: &Visit) {
    let world = &visit.world;
    let ended = match visit.row.from {
        Some(State::Ready) => {
            world.enqueue(&["a"]).await;
            id("a")
        }
        Some(State::Delayed) => {
            world.enqueue_all(&[delayed("a", HOUR_MS)]).await;
            id("a")
        }
        Some(State::Waiting) => {
            world.enqueue_job(&job_to_reduce("J", 10)).await;
            id("J")
        }
        Some(State::Running) => {
            visit.given_run().await;
            TaskId::of_chunk(job_id("J"), 0)
        }
        _ => unknown(&visit.row),
    };
    let purge = async || {
        world.purge(QUEUE, true).await;
    };
    visit.check(ended, purge()).await;
}

async fn visit_reclaim(visit: &Visit) {
    let world = &visit.world;
    if visit.row.event == "worker lost, and cancelled" {
        world.enqueue(&["a"]).await;
        world.open_doomed("w9").await;
        world.claim("w9", 1).await;
        world.broker.cancel(&[id("a")], &Requester::default()).await.expect("an answer");
        let reclaim = async || {
            world.reclaim_lost(3).await;
        };
        return visit.check(id("a"), reclaim()).await;
    }
    let lost = match visit.row.event {
        "worker lost" => {
            world.enqueue(&["a"]).await;
            id("a")
        }
        "worker lost too often" => {
            visit.given_suspects().await;
            // One suspect at a time, and the job stands before the task.
            world.lose_worker("w3", 1).await;
            id("a")
        }
        "what it follows is lost too often" => {
            world.enqueue_all(&[keep_last("a")]).await;
            for worker in ["w1", "w2"] {
                world.lose_worker(worker, 1).await;
            }
            world.enqueue_all(&[keep_last("b")]).await;
            id("b")
        }
        "a chunk is lost too often" => {
            visit.given_suspects().await;
            id("J")
        }
        "its job fails" => given_crashing_job(visit).await,
        _ => unknown(&visit.row),
    };
    world.open_doomed("w9").await;
    world.claim("w9", 1).await;
    let reclaim = async || {
        world.reclaim_lost(3).await;
    };
    visit.check(lost, reclaim()).await;
}

async fn visit_revive(visit: &Visit) {
    visit.given_running().await;
    visit.end(failed("a")).await;
    let revive = async || {
        let revived = visit.world.broker.revive(&[id("a")], &Requester::default()).await;
        assert_eq!(revived.expect("an answer").len(), 1);
    };
    visit.check(id("a"), revive()).await;
}

/// A job that ends with the next lost worker; returns a chunk of it in the state of the row.
async fn given_crashing_job(visit: &Visit) -> TaskId {
    let world = &visit.world;
    world.enqueue_job(&job_to_reduce("J", 4)).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 4).await;
    }
    world.open("w0").await;
    let run = world.claim("w0", 1).await.runs.remove(0);
    let index = match visit.row.from {
        Some(State::Ready) => 3,
        Some(State::Running) => 0,
        Some(State::Delayed) => {
            world.complete("w0", &[chunk_retry(&run, 0, HOUR_MS)]).await;
            0
        }
        _ => unknown(&visit.row),
    };
    TaskId::of_chunk(job_id("J"), index)
}

/// A namespace in which everything has happened.
async fn given_a_busy_namespace(world: &World) {
    let unique = |key, mode| Some(Unique { key: UniqueKey::new(key).expect("a key"), mode });
    let key = unique("k", UniqueMode::For { ms: HOUR_MS });
    let expires = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    let entries = [
        entry("a"),
        Entry { unique: key, ..entry("b") },
        Entry { unique: unique("u", UniqueMode::UntilDone), ..delayed("c", HOUR_MS) },
        Entry { start: expires, ..entry_in("d", "other", 5) },
    ];
    // s1 to s3 have cost two workers.
    world.enqueue(&["s1", "s2", "s3"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 9).await;
    }
    world.enqueue_all(&entries).await;
    world.broker.open_on("host", &lease("w0"), Duration::from_secs(60)).await.expect("opened");
    world.open("w3").await;
    world.claim_as("w3", Ask::want(2).without_suspects()).await;
    world.complete("w3", &[failed("a"), retry("b", HOUR_MS)]).await;
    given_jobs_in_every_state(world).await;
    given_limits(world).await;
    world.broker.settings(&[(Setting::DeadMax, Some(100))]).await.expect("set");
    // Somebody waits for something, and watches a moment.
    world.broker.watch(&client("c1"), &[id("c")]).await.expect("watched");
    world.claim_as("w3", Ask::want(1).from(&["nothing"])).await;
    // One is cancelled in its list, one while it runs; and something is wanted of a worker.
    world.enqueue_all(&[entry_in("y1", "y", 5), entry_in("y2", "y", 5)]).await;
    world.claim_as("w3", Ask::want(1).without_suspects().from(&["y"])).await;
    let nobody = Requester::default();
    world.broker.cancel(&["y1", "y2"].map(id), &nobody).await.expect("an answer");
    world.broker.order(&lease("w3"), &Order::Pause, &nobody).await.expect("an answer");
    world.control("other", Control::Pause).await;
    // What runs has left a state, and sent something.
    world.enqueue_all(&[entry_in("y", "mine", 5)]).await;
    world.claim_as("w3", Ask::want(1).from(&["mine"]).without_suspects()).await;
    leave_something(world, "w3", id("y"), None).await;
    // A chunk runs that may be started twice.
    let slow = RangeJob { speculate: Some(300), queue: queue("slow"), ..job("S", 2) };
    world.enqueue_job(&slow).await;
    world.claim_as("w3", Ask::want(1).from(&["slow"]).without_suspects()).await;
    // A worker was lost with a run of chunks.
    world.enqueue_job(&RangeJob { queue: queue("lost"), ..job("L", 4) }).await;
    world.open_doomed("w5").await;
    world.claim_as("w5", Ask::want(4).from(&["lost"]).without_suspects()).await;
    world.reclaim_lost(3).await;
    // A lost worker is being emptied.
    world.enqueue(&["x1", "x2", "x3", "x4"]).await;
    world.open_doomed("w4").await;
    world.claim_as("w4", Ask::want(4).without_suspects()).await;
    world.overdue("w4").await;
    world.reclaim(1).await;
    let description = Some("{}");
    let live = Duration::from_secs(60);
    world.broker.beat(&lease("w3"), live, description).await.expect("told");
    // Something was carried to another queue.
    world.enqueue_all(&[entry_in("m", "from", 5)]).await;
    world.broker.move_queue(&queue("from"), &queue("to"), None, false).await.expect("moved");
    // Nothing is left there.
    world.broker.tidy(100).await.expect("an answer");
    // Something comes again and again.
    let later = world.now().await.0 + HOUR_MS;
    world.schedule("s", put_schedule("{}", Some(later))).await;
    world.broker.due(&lease("w3"), 10).await.expect("an answer");
    // Somebody did something.
    let deed = Deed { action: "pause-queue".to_owned(), ..Deed::default() };
    world.broker.note_audit(&deed).await.expect("it is noted");
    // Members follow one another.
    let stand_in = Edit::StandIn { number: 2, shape: "-1".to_owned() };
    let mut workflow = WorkflowPart { joins: Some((2, vec![(0, 1)])), last: false, ..chord("W") };
    workflow.edits.push(stand_in);
    workflow.edits.push(Edit::Barrier(Barrier {
        number: 2,
        missing: 2,
        opens: Vec::new(),
        stand_ins: vec![2],
        tolerates: None,
    }));
    workflow.edits.push(Edit::Data {
        digest: "d".to_owned(),
        piece: 0,
        of: 1,
        text: "=1".to_owned(),
    });
    world.enqueue_part(80, &workflow).await;
    given_figures(world).await;
}

/// A worker has told of a minute that is over, and of this one.
async fn given_figures(world: &World) {
    let mut figures = Figures::default();
    figures.counts.add(Event::Succeeded, 1);
    let recent = RecentTask {
        id: id("a"),
        state: State::Succeeded,
        task: "t".to_owned(),
        queue: QUEUE.to_owned(),
        worker: "w3".to_owned(),
        attempt: 1,
        started: Timestamp(1),
        ended: Timestamp(2),
        wait_ms: None,
        run_us: 1,
        others: 0,
    };
    let pairs = vec![(QUEUE.to_owned(), "t".to_owned(), figures)];
    let tally = Tally { over_ms: 1_000, pairs, recent: vec![recent] };
    world.broker.tally(&tally).await.expect("an answer");
    world.let_figures_age(60_000).await;
    world.broker.tally(&tally).await.expect("an answer");
}

/// One task of a limited name runs, another one waits for it, and tenants take turns.
async fn given_limits(world: &World) {
    let rate = Some(Rate { tasks: 1, per_ms: HOUR_MS, burst: 1 });
    let limit = Limit::new(rate, Some(1)).expect("a limit");
    let subject = "task:limited".parse().expect("a subject");
    world.broker.limit(&subject, Some(&limit), &Requester::default()).await.expect("it is set");
    let tasks = ["l1", "l2"].map(|name| entry_of(name, "limited", None));
    let tasks = tasks.map(|entry| Entry { queue: queue("limited"), ..entry });
    world.enqueue_all(&tasks).await;
    world.claim_as("w3", Ask::want(2).from(&["limited"])).await;
    world.broker.fair(&queue("limited"), true, &Requester::default()).await.expect("it is set");
    let turn = Entry { queue: queue("limited"), ..entry_of("l3", "t", Some("x")) };
    world.enqueue_all(&[turn]).await;
}

async fn given_jobs_in_every_state(world: &World) {
    let without_suspects = |want| Ask::want(want).without_suspects();
    // Paused, and what was claimed of it since then.
    world.enqueue_job(&job("P", 2)).await;
    world.broker.pause_job(job_id("P"), &Requester::default()).await.expect("it is paused");
    assert!(world.claim_as("w3", without_suspects(2)).await.runs.is_empty());
    // Waiting for its first chunk, in the midst of its chunks, being reduced, failed, succeeded.
    for name in ["F", "E", "D"] {
        world.enqueue_job(&job_to_reduce(name, 2)).await;
        let run = world.claim_as("w3", without_suspects(2)).await.runs.remove(0);
        let ending = match name {
            "F" => vec![chunk_retry(&run, 0, HOUR_MS), chunk_failed(&run, 1)],
            _ => vec![run_succeeded(&run)],
        };
        world.complete("w3", &ending).await;
        if name == "E" {
            world.claim_as("w3", without_suspects(1)).await;
            world.complete("w3", &[succeeded("E")]).await;
        }
    }
    world.enqueue_job(&job_to_reduce("C", 40)).await;
    let grant = world.claim_as("w3", without_suspects(11)).await;
    let run = grant.runs.first().expect("chunks of C");
    let endings = [chunk_retry(run, 0, HOUR_MS), chunks_succeeded(run, 1, 2, &[])];
    world.complete("w3", &endings).await;
    leave_something(world, "w3", TaskId::of_chunk(run.job, 2), Some(run.field.clone())).await;
    world.enqueue_job(&job_to_reduce("B", 40)).await;
}

/// The first attempt of something that a lease holds leaves a state and a partial result.
async fn leave_something(world: &World, holder: &str, id: TaskId, run: Option<RunField>) {
    let (lease, attempt) = (lease(holder), 1);
    let state = Checkpoint { id, run: run.clone(), attempt, state: "1".to_owned() };
    let kept = world.broker.checkpoint(&lease, &[state]).await;
    assert_eq!(kept.expect("it is answered"), [Kept::Saved]);
    let emission = Emission { id, run, attempt, values: vec!["1".into()] };
    let kept = world.broker.emit(&lease, &[emission]).await;
    assert_eq!(kept.expect("it is answered"), [Kept::Saved]);
}

#[tokio::test]
async fn a_busy_namespace_holds_what_the_table_says() {
    let world = World::on_a_single_server().await;
    given_a_busy_namespace(&world).await;

    let mut seen = BTreeSet::new();
    for (key, dumped) in world.dump().await {
        let rows: Vec<&KeyRow> = TABLE.iter().filter(|row| is_of(row, &world, &key)).collect();
        let [row] = rows[..] else { panic!("{key} fits {} rows of the table", rows.len()) };
        assert_eq!(dumped["type"], row.kind, "the type of {key}");
        let expires = dumped["expires"].as_bool().expect("true or false");
        assert_eq!(expires, may_expire(row, &world, &key).await, "{key} expires: {}", row.expiry);
        if row.pattern == "stats" {
            let numbers = dumped["value"].as_object().expect("a hash").keys();
            assert!(numbers.into_iter().all(|name| row.holds.contains(name)), "{dumped:#}");
        }
        seen.insert(row.pattern);
    }

    let unseen: Vec<&str> =
        TABLE.iter().map(|row| row.pattern).filter(|pattern| !seen.contains(pattern)).collect();
    assert!(unseen.is_empty(), "the namespace holds none of {unseen:?}");
}

/// Whether a key is of the kind that a row describes.
fn is_of(row: &KeyRow, world: &World, key: &str) -> bool {
    let keys = world.broker.keys();
    let prefix = if row.holds.starts_with("(fleet)") { keys.fleet() } else { keys.prefix() };
    let Some(name) = key.strip_prefix(prefix) else { return false };
    let (mut name, mut pattern) = (name.split(':'), row.pattern.split(':'));
    loop {
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with('<') => {}
            (Some(part), Some(text)) if part == text => {}
            _ => return false,
        }
    }
}

/// Whether a key of this row expires now.
async fn may_expire(row: &KeyRow, world: &World, key: &str) -> bool {
    match row.expiry {
        "never" => false,
        "the time to live of the key, if it has one" => key.ends_with(":k"),
        "as the job" | "when the job has ended: its retention" => {
            let id = key.split(':').nth(3).and_then(|id| id.parse().ok()).expect("a job");
            let (_, job) = world.broker.job(id).await.expect("an answer");
            job.expect("it is kept").ended.is_some()
        }
        _ => true,
    }
}

/// The table names scripts that exist, and people or workers where there is none.
#[test]
fn the_table_of_keys_names_real_scripts() {
    let lua = concat!(env!("CARGO_MANIFEST_DIR"), "/lua");
    for row in TABLE {
        for named in row.writers.split(", ").chain(row.readers.split(", ")) {
            let script = named.split(' ').next().unwrap_or_default();
            let exists = std::path::Path::new(&format!("{lua}/{script}.lua")).exists();
            assert!(
                exists || ["people", "workers"].contains(&script),
                "{}: there is no script {script:?}",
                row.pattern
            );
        }
        // A few numbers may stay for ever; what people or programs name may not.
        let stays = row.expiry == "never" && row.remover.starts_with("nobody");
        let few = ["stats", "figures"].contains(&row.pattern);
        assert!(!stays || few, "{}: nobody removes it", row.pattern);
    }
}
