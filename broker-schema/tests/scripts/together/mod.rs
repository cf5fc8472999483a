//! What several features do to the same tasks: cancel, purge and move with fair turns, limits, locks,
//! pauses and second starts. What is counted stays what is there, and nothing leaks.

mod cancelled;
mod filtered;
mod full;
mod limited;
mod purged;
mod scheduled;
mod story;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use celeriac_broker_schema::script::{
    Cancelled, Control, Entry, Fired, Found, Grant, Moved, NoRoom, Place, Purged, RangeJob, Run,
    Start,
};
use celeriac_broker_schema::{
    Record, Requester, TaskId, TaskOptions, Unique, UniqueKey, UniqueMode,
};
use serde_json::{Value, json};

use crate::limit::{at_once, rate};
use crate::support::*;

impl World {
    async fn turns(&self) {
        self.broker.fair(&queue(QUEUE), true, &ada()).await.expect("it is set");
    }

    async fn cancel_all(&self, names: &[&str]) {
        let ids: Vec<TaskId> = names.iter().map(|name| id(name)).collect();
        let answers = self.broker.cancel(&ids, &Requester::default()).await.expect("an answer");
        assert!(answers.iter().all(|answer| *answer == Cancelled::Done), "{answers:?}");
    }

    async fn carry(&self, from: &str, to: &str, most: Option<u64>) -> Moved {
        let (from, to) = (queue(from), queue(to));
        self.broker.move_queue(&from, &to, most, true).await.expect("moved")
    }

    /// What the snapshot says is ready, and what really is, by queue.
    async fn assert_depths(&self) -> BTreeMap<String, u64> {
        let state = self.state().await;
        let mut truth: BTreeMap<String, u64> = BTreeMap::new();
        let gone =
            |element: &str| state.get("tombstones").is_some_and(|t| t.get(element).is_some());
        for (of, element) in waiting(&state) {
            if !gone(&element.name) {
                *truth.entry(of).or_default() += element.tasks;
            }
        }
        let counted = self.broker.snapshot(99, 0).await.expect("a snapshot").queues;
        let counted: BTreeMap<String, u64> = counted
            .into_iter()
            .filter(|queue| queue.ready > 0)
            .map(|queue| (queue.name, queue.ready))
            .collect();
        truth.retain(|_, n| *n > 0);
        assert_eq!(counted, truth, "{state:#?}");
        // What is gone is still in a list, or its mark would stay for ever.
        for name in members(&state, "tombstones") {
            let there = waiting(&state).iter().any(|(_, element)| element.name == name);
            assert!(there, "the tombstone of {name} leaks");
        }
        counted
    }

    /// Every task that has not ended is in exactly one place.
    async fn assert_one_place(&self) {
        let state = self.state().await;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut found: Vec<String> =
            waiting(&state).into_iter().map(|(_, element)| element.name).collect();
        found.extend(members(&state, "waiting"));
        let of = |member: String| member.splitn(3, ':').last().map(str::to_owned);
        found.extend(members(&state, "delayed").into_iter().filter_map(of));
        for key in state.keys().filter(|key| key.starts_with("inflight:")) {
            found.extend(members(&state, key));
        }
        found.into_iter().for_each(|name| *places.entry(name).or_default() += 1);
        for name in members(&state, "tasks") {
            assert_eq!(places.get(&name), Some(&1), "{name}: {state:#?}");
        }
    }
}

/// An element that waits, and for how many tasks and chunks it counts.
struct Element {
    name: String,
    tasks: u64,
}

fn element(text: &str, suspect: bool) -> Element {
    let span = text.split_once(':').and_then(|(_, span)| span.split('+').next()?.split_once('-'));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let tasks = span.map_or(1, |(lo, hi)| if suspect { 1 } else { number(hi) - number(lo) });
    Element { name: text.to_owned(), tasks }
}

fn members(state: &State, key: &str) -> Vec<String> {
    let fields = state.get(key).and_then(Value::as_object);
    fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

/// All that is ready: in lists, behind turns and parked. By queue.
fn waiting(state: &State) -> Vec<(String, Element)> {
    let mut found = Vec::new();
    for (key, value) in state {
        let parts: Vec<&str> = key.split(':').collect();
        let texts = || value.as_array().into_iter().flatten().filter_map(Value::as_str);
        match parts[0] {
            "ready" | "turn" => found.extend(
                texts()
                    .filter(|text| !text.starts_with('@'))
                    .map(|text| (parts[1].to_owned(), element(text, false))),
            ),
            "suspects" => {
                found.extend(texts().map(|text| (parts[1].to_owned(), element(&text[2..], true))));
            }
            "parked" if parts.len() > 1 => {
                for member in members(state, key).iter().filter(|member| !member.starts_with('@')) {
                    let words: Vec<&str> = member.split(' ').collect();
                    found.push((words[2].to_owned(), element(words[0], words.len() > 3)));
                }
            }
            _ => {}
        }
    }
    found
}

/// Tasks `<letter>0` … of the tenant with this letter.
fn tasks_of(letter: &str, n: usize) -> Vec<Entry> {
    (0..n).map(|i| entry_of(&format!("{letter}{i}"), "t", Some(letter))).collect()
}

fn keyed(name: &str, mode: UniqueMode) -> Entry {
    let key = UniqueKey::new("k").expect("a key");
    Entry { unique: Some(Unique { key, mode }), ..entry(name) }
}

const DEBOUNCE: UniqueMode = UniqueMode::Debounce { wait_ms: HOUR_MS, longest_ms: None };

/// Asserts that nothing is left of what waits, and of what is kept beside it.
async fn assert_empty(world: &World) {
    assert_eq!(world.assert_depths().await, BTreeMap::new());
    let state = world.state().await;
    let kinds =
        ["ready", "suspects", "turn", "parked", "tombstones", "tasks", "moved", "locks", "delayed"];
    let left = |key: &&String| kinds.iter().any(|kind| key.split(':').next() == Some(kind));
    assert_eq!(state.keys().filter(left).collect::<Vec<_>>(), Vec::<&String>::new());
    let counts = state.get("chunks").and_then(Value::as_object);
    for (list, n) in counts.into_iter().flatten() {
        assert_eq!(n, "0", "the count of {list}");
    }
}

/// One task of `t` runs, held by w1; `more` others are parked beside the queue.
async fn given_parked(world: &World, more: usize) {
    world.limit("task:t", Some(at_once(1))).await;
    let entries: Vec<_> = (0..=more).map(|i| entry(&format!("p{i}"))).collect();
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    let mut held = 0;
    while world.state().await.keys().any(|key| key.starts_with("ready:")) {
        held += world.claim("w1", 10).await.tasks.len();
    }
    assert_eq!(held, 1);
    assert_eq!(world.assert_depths().await["default"], more as u64);
}

/// A job of 5 chunks of which three are done; w1 holds the last two, and the first of them is started
/// once more.
async fn given_a_second_start(world: &World) -> Vec<Run> {
    world.enqueue_job(&RangeJob { speculate: Some(300), ..job("J", 5) }).await;
    world.open("w1").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.extend(world.claim("w1", 1).await.runs);
    }
    let endings: Vec<_> = held.drain(..3).map(|run| run_succeeded(&run)).collect();
    world.complete("w1", &endings).await;
    start_again(world, 3).await;
    held
}

async fn start_again(world: &World, index: u64) {
    let key = world.key(&format!("job:{}:running", job_id("J")));
    world.redis::<u64>(redis::cmd("ZADD").arg(key).arg(1).arg(index)).await;
    assert_eq!(world.broker.speculate(1, &[]).await.expect("an answer").started, 1);
}
