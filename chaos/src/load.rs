//! What is enqueued: kinds of load, how they are made, and what must become of them.
//!
//! A new kind is a row of [`KINDS`] and a function that makes one; what it runs is in `tasks`.

use std::time::Duration;

use celeriac::{Backoff, NewJob, NewTask, State, UniqueKey, UniqueMode};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::tasks::{chunk, limited, spin, steps, total, work};

/// A kind of load.
#[derive(Debug)]
pub struct Kind {
    /// Its name in reports.
    pub name: &'static str,
    /// How many of a thousand.
    pub weight: u64,
    make: fn(&mut Dice) -> Order,
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind { name: "short", weight: 760, make: short },
    Kind { name: "computing", weight: 60, make: computing },
    Kind { name: "failing once", weight: 40, make: failing_once },
    Kind { name: "failing", weight: 10, make: failing },
    Kind { name: "delayed", weight: 30, make: delayed },
    Kind { name: "limited", weight: 20, make: of_a_limit },
    Kind { name: "expiring", weight: 10, make: expiring },
    Kind { name: "by a wrong clock", weight: 20, make: by_a_wrong_clock },
    Kind { name: "long", weight: 4, make: long },
    Kind { name: "checkpointed", weight: 6, make: checkpointed },
    Kind { name: "cancelled", weight: 15, make: cancelled },
    Kind { name: "with a key", weight: 10, make: with_a_key },
    Kind { name: "keep last", weight: 6, make: keep_last },
    Kind { name: "job", weight: 2, make: job },
    Kind { name: "job with a reducer", weight: 2, make: reduced_job },
    Kind { name: "failing job", weight: 1, make: failing_job },
    Kind { name: "job with second starts", weight: 1, make: speculating_job },
];

/// Something to enqueue.
#[derive(Debug)]
pub struct Order {
    pub(crate) what: What,
    pub(crate) expect: Expect,
}

/// How it is enqueued.
#[derive(Debug)]
pub(crate) enum What {
    /// Many in one batch.
    Batched(NewTask),
    /// By a call of its own.
    Single(NewTask),
    /// By a program whose clock is wrong by so many milliseconds.
    Skewed(NewTask, i64),
    /// Cancelled so much later.
    Cancelled(NewTask, Duration),
    Job(Box<NewJob>),
}

/// What must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    /// How it may end.
    pub(crate) states: &'static [State],
    /// What it returns, if it succeeds.
    pub(crate) result: Option<Value>,
    /// Not before so many milliseconds after its enqueue.
    pub(crate) delay_ms: u64,
    /// Attempts that fail. Of a job nothing is said.
    pub(crate) failures: Option<u32>,
    /// 0 for a task.
    pub(crate) chunks: u64,
}

impl Expect {
    fn states(states: &'static [State]) -> Self {
        Self { states, result: None, delay_ms: 0, failures: Some(0), chunks: 0 }
    }

    fn success(result: impl Into<Value>) -> Self {
        Self { result: Some(result.into()), ..Self::states(&[State::Succeeded]) }
    }
}

/// The next thing to enqueue.
pub fn next(dice: &mut Dice) -> (&'static str, Order) {
    let kind = dice.pick(KINDS, |kind| kind.weight);
    (kind.name, (kind.make)(dice))
}

/// With retries that come soon.
fn patient(task: NewTask, retries: u32) -> NewTask {
    let backoff = Backoff { base_ms: 20, cap_ms: 200, ..Backoff::default() };
    task.retries(retries).backoff(backoff)
}

fn worked(ms: u64, fails: u32) -> NewTask {
    patient(NewTask::of(&work(ms, fails)).expect("JSON"), 5)
}

fn batched(task: NewTask, expect: Expect) -> Order {
    Order { what: What::Batched(task), expect }
}

/// Any of the queues and priorities.
fn somewhere(task: NewTask, dice: &mut Dice) -> NewTask {
    let queue = if dice.one_in(3) { "other" } else { "default" };
    let priority = [1, 5, 5, 5, 9][dice.between(0, 5) as usize];
    let task = task.queue(queue.parse().expect("a queue"));
    task.priority(priority.to_string().parse().expect("a priority"))
}

fn short(dice: &mut Dice) -> Order {
    let ms = if dice.one_in(4) { dice.between(1, 10) } else { 0 };
    batched(somewhere(worked(ms, 0), dice), Expect::success(ms))
}

fn long(dice: &mut Dice) -> Order {
    let ms = dice.between(500, 5_000);
    batched(somewhere(worked(ms, 0), dice), Expect::success(ms))
}

fn computing(dice: &mut Dice) -> Order {
    let task = NewTask::of(&spin(dice.between(10, 2_000))).expect("JSON");
    batched(patient(somewhere(task, dice), 5), Expect::success(1))
}

fn failing_once(dice: &mut Dice) -> Order {
    let fails = if dice.one_in(4) { 2 } else { 1 };
    let expect = Expect { failures: Some(fails), ..Expect::success(0) };
    batched(somewhere(worked(0, fails), dice), expect)
}

fn failing(_: &mut Dice) -> Order {
    let task = patient(NewTask::of(&work(0, u32::MAX)).expect("JSON"), 2);
    batched(task, Expect { failures: Some(3), ..Expect::states(&[State::Failed]) })
}

fn delayed(dice: &mut Dice) -> Order {
    let delay_ms = dice.between(100, 4_000);
    let task = somewhere(worked(0, 0), dice).delay(Duration::from_millis(delay_ms));
    batched(task, Expect { delay_ms, ..Expect::success(0) })
}

fn of_a_limit(dice: &mut Dice) -> Order {
    let ms = dice.between(0, 20);
    let task = somewhere(NewTask::of(&limited(ms)).expect("JSON"), dice);
    batched(task, Expect::success(ms))
}

fn expiring(dice: &mut Dice) -> Order {
    let task = somewhere(worked(0, 0), dice);
    let task = task.expires_after(Duration::from_millis(dice.between(1, 3_000)));
    let states = &[State::Succeeded, State::Expired];
    batched(task, Expect::states(states))
}

fn by_a_wrong_clock(dice: &mut Dice) -> Order {
    const HOUR_MS: i64 = 3_600_000;
    let skew = if dice.one_in(2) { HOUR_MS } else { -HOUR_MS };
    Order { what: What::Skewed(worked(0, 0), skew), expect: Expect::success(0) }
}

fn checkpointed(dice: &mut Dice) -> Order {
    let n = dice.between(2, 40);
    let task = NewTask::of(&steps(n, dice.between(1, 60))).expect("JSON");
    batched(patient(somewhere(task, dice), 5), Expect::success(n * (n - 1) / 2))
}

fn cancelled(dice: &mut Dice) -> Order {
    let mut task = somewhere(worked(dice.between(0, 1_000), 0), dice);
    if dice.one_in(3) {
        task = task.delay(Duration::from_millis(dice.between(0, 2_000)));
    }
    let after = Duration::from_millis(dice.between(0, 1_000));
    let states = &[State::Succeeded, State::Cancelled];
    Order { what: What::Cancelled(task, after), expect: Expect::states(states) }
}

fn with_a_key(dice: &mut Dice) -> Order {
    let mode = match dice.between(0, 3) {
        0 => UniqueMode::UntilDone,
        1 => UniqueMode::Queued,
        _ => UniqueMode::For { ms: dice.between(100, 5_000) },
    };
    let key = UniqueKey::new(format!("key {}", dice.between(0, 20))).expect("a key");
    let ms = dice.between(0, 100);
    let task = somewhere(worked(ms, 0), dice).unique(key, mode);
    Order { what: What::Single(task), expect: Expect::success(ms) }
}

fn keep_last(dice: &mut Dice) -> Order {
    let key = UniqueKey::new(format!("last {}", dice.between(0, 5))).expect("a key");
    let task = worked(dice.between(0, 100), 0).unique(key, UniqueMode::KeepLast);
    // A later one may take the place of its arguments.
    Order { what: What::Single(task), expect: Expect::states(&[State::Succeeded]) }
}

/// A job whose sums are known: how many chunks, and of their indices.
fn chunks(dice: &mut Dice, most: u64, doomed: bool) -> (NewJob, Expect) {
    let chunks = dice.between(1, most);
    let ms = if dice.one_in(3) { dice.between(1, 20) } else { 0 };
    let task = patient(NewTask::of(&chunk(ms, doomed)).expect("JSON"), 5);
    let job = NewJob::new(somewhere(task, dice), chunks).sum("n").sum("v");
    let result = json!({ "n": chunks, "v": chunks * (chunks - 1) / 2 });
    (job, Expect { chunks, failures: None, ..Expect::success(result) })
}

fn job(dice: &mut Dice) -> Order {
    let (job, expect) = chunks(dice, 2_000, false);
    Order { what: What::Job(Box::new(job)), expect }
}

fn reduced_job(dice: &mut Dice) -> Order {
    let (job, expect) = chunks(dice, 300, false);
    let reducer = NewTask::new(<total as celeriac::Task>::NAME, &json!({})).expect("JSON");
    Order { what: What::Job(Box::new(job.reduce(patient(reducer, 5)))), expect }
}

fn failing_job(dice: &mut Dice) -> Order {
    let (job, expect) = chunks(dice, 100, true);
    let expect = Expect { result: None, states: &[State::Failed], ..expect };
    Order { what: What::Job(Box::new(job)), expect }
}

fn speculating_job(dice: &mut Dice) -> Order {
    let (job, expect) = chunks(dice, 100, false);
    Order { what: What::Job(Box::new(job.speculate(300))), expect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_of_a_thousand_and_all_kinds_can_be_made() {
        assert_eq!(KINDS.iter().map(|kind| kind.weight).sum::<u64>(), 997);
        let mut dice = Dice::new(1, "load");
        for kind in KINDS {
            let order = (kind.make)(&mut dice);
            assert!(!order.expect.states.is_empty(), "{}", kind.name);
        }
    }
}
