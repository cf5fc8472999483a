//! Trees of tasks that are told what to do: as they are enqueued, and as the tasks themselves do it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use celeriac_broker_schema::Accumulate;
use celeriac_broker_schema::workflow::Target;
use celeriac_broker_schema::{Priority, TaskId};
use celeriac_producer::NewTask;
use celeriac_producer::task::Task;
use celeriac_producer::workflow::{Callbacks, Fold, GraphNode, Group, Node, OnError, Step};
use celeriac_worker::task::{Context, Data, Registry, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::common::with_retries;

/// Numbers stay below this.
const MODULUS: i64 = 1_000_003;

/// A part of a workflow, in a form that tasks can be given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Part {
    Act(Act),
    Chain(Vec<Part>),
    Group {
        members: Vec<Part>,
        on_error: Errors,
    },
    /// A group of tasks whose results are accumulated under this name.
    Total {
        members: Vec<Act>,
        on_error: Errors,
        name: String,
        how: Accumulate,
    },
    Fold {
        members: Vec<Part>,
        with: Act,
        width: usize,
    },
    Graph(Vec<Knot>),
}

/// As [`OnError`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Errors {
    Fail,
    Collect,
    Tolerate(u64),
}

/// A part of a graph; it waits for parts by their places in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Knot {
    pub(super) part: Part,
    pub(super) after: BTreeSet<usize>,
    pub(super) collect: bool,
}

/// What one task does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Act {
    /// Different in all of a workflow.
    pub(super) id: u32,
    /// What it adds to what it is given.
    pub(super) add: i64,
    /// How many of its attempts fail before one succeeds.
    pub(super) failures: u32,
    /// Whether it fails for good.
    pub(super) broken: bool,
    pub(super) priority: u8,
    /// Whether its result is an object with this field.
    pub(super) field: Option<String>,
    /// What it adds to its job when it succeeds.
    pub(super) grows: Vec<(Grow, Part)>,
}

/// Where a task puts what it adds to its job.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Grow {
    Instead,
    Join,
    Beside,
}

impl Act {
    /// What becomes of what it is given.
    pub(super) fn result(&self, input: Option<&Value>) -> Value {
        let n = (input.map_or(0, digest) * 17 + self.add).rem_euclid(MODULUS);
        match &self.field {
            Some(name) => json!({ name: n }),
            None => json!(n),
        }
    }

    pub(super) fn message(&self) -> String {
        format!("{} is broken", self.id)
    }

    fn task(&self) -> NewTask {
        let task = NewTask::new(Script::NAME, &json!([self])).unwrap();
        with_retries(task, self.failures).priority(Priority::new(self.priority).unwrap())
    }
}

/// A number that tells lists in different orders apart. All errors are the same.
fn digest(value: &Value) -> i64 {
    let next = |sum: i64, n: i64| (sum * 31 + n).rem_euclid(MODULUS);
    match value {
        Value::Number(n) => n.as_i64().unwrap(),
        Value::Array(items) => items.iter().fold(7, |sum, item| next(sum, digest(item))),
        Value::Object(fields) if fields.contains_key("Err") => 1_000,
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            sorted.values().fold(11, |sum, value| next(sum, digest(value)))
        }
        other => panic!("no task gives {other}"),
    }
}

impl Part {
    pub(super) fn node(&self) -> Node {
        let nodes = |parts: &[Self]| parts.iter().map(Self::node).collect::<Vec<_>>();
        match self {
            Self::Act(act) => act.task().into(),
            Self::Chain(steps) => Node::Chain(nodes(steps)),
            Self::Group { members, on_error } => Node::Group(Group {
                members: nodes(members),
                on_error: on_error.policy(),
                accumulate: BTreeMap::new(),
            }),
            Self::Total { members, on_error, name, how } => Node::Group(Group {
                members: members.iter().map(|act| act.task().into()).collect(),
                on_error: on_error.policy(),
                accumulate: BTreeMap::from([(name.clone(), *how)]),
            }),
            Self::Fold { members, with, width } => {
                let of = Node::Group(Group { members: nodes(members), ..Group::default() });
                let callbacks = Callbacks::default();
                let with = Step { task: with.task(), into: Some(Target::First), callbacks };
                Node::Fold(Box::new(Fold { of, with, width: *width }))
            }
            Self::Graph(knots) => Node::Graph(
                knots
                    .iter()
                    .enumerate()
                    .map(|(i, knot)| GraphNode {
                        name: i.to_string(),
                        node: knot.part.node(),
                        after: knot.after.iter().map(ToString::to_string).collect(),
                        collect: knot.collect,
                    })
                    .collect(),
            ),
        }
    }
}

impl Errors {
    fn policy(self) -> OnError {
        match self {
            Self::Fail => OnError::Fail,
            Self::Collect => OnError::Collect,
            Self::Tolerate(most) => OnError::Tolerate(most),
        }
    }
}

/// The task: the last of its arguments is an [`Act`], the one before it what it is given.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Script(Vec<Value>);

impl Task for Script {
    const NAME: &'static str = "act";
    type Output = Value;
}

/// What the tasks did.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// How often each attempt of each member began.
    pub(super) begun: BTreeMap<(TaskId, u32), usize>,
    /// How often each member failed, not to fail more often than it should.
    failed: BTreeMap<TaskId, u32>,
    /// How often each act succeeded.
    pub(super) succeeded: BTreeMap<u32, usize>,
}

/// The book in which all tasks write, and how many attempts have begun.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    begun: Arc<watch::Sender<usize>>,
}

impl Ledger {
    pub(super) fn tasks(&self) -> Tasks {
        Registry::new(self.clone()).task(run).build()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Waits until so many attempts have begun.
    pub(super) async fn has_begun(&self, attempts: usize) {
        self.begun.subscribe().wait_for(|begun| *begun >= attempts).await.unwrap();
    }

    fn begin(&self, ctx: &Context) {
        *self.book().begun.entry((ctx.id(), ctx.attempt())).or_default() += 1;
        self.begun.send_modify(|begun| *begun += 1);
    }
}

async fn run(
    ledger: Data<Ledger>,
    ctx: Context,
    Script(mut args): Script,
) -> Result<Value, TaskError> {
    let act: Act = serde_json::from_value(args.pop().unwrap()).unwrap();
    ledger.begin(&ctx);
    // Who watches for it has its turn.
    tokio::task::yield_now().await;
    if act.broken {
        return Err(TaskError::fatal(act.message()));
    }
    let mut book = ledger.book();
    let failed = book.failed.entry(ctx.id()).or_default();
    if *failed < act.failures {
        *failed += 1;
        return Err(TaskError::new("it is tried again"));
    }
    *book.succeeded.entry(act.id).or_default() += 1;
    drop(book);
    for (grow, part) in &act.grows {
        match grow {
            Grow::Instead => ctx.continue_with(part.node()),
            Grow::Join => ctx.spawn_into_group(part.node()),
            Grow::Beside => ctx.spawn(part.node()),
        }
    }
    Ok(act.result(args.first()))
}
