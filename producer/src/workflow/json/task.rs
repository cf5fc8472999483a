//! One task of a workflow in JSON, and many that differ in their arguments (`map`, `starmap`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use celeriac_broker_schema::workflow::Target;
use celeriac_broker_schema::{Backoff, Headers, Label, Priority, QueueName, TaskName, Tenant};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::{Callbacks, Node, Step};
use super::fields::Fields;
use super::{At, Reader, all};
use crate::call::NewTask;

/// What may be said of a task.
pub(super) const FIELDS: [&str; 19] = [
    "task",
    "args",
    "queue",
    "needs",
    "priority",
    "delay",
    "retries",
    "backoff",
    "timeout",
    "soft_timeout",
    "label",
    "tags",
    "headers",
    "tenant",
    "cost",
    "into",
    "on_success",
    "on_failure",
    "on_end",
];
/// What callbacks do not have of it.
const NOT_OF_CALLBACKS: [&str; 5] = ["delay", "into", "on_success", "on_failure", "on_end"];
/// What may be said of tasks that differ in their arguments.
const OF_MAPS: [&str; 3] = ["over", "chunk", "as"];

/// What to write in place of something that tasks have elsewhere.
pub(super) fn hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "keep" | "keep_failed" => {
            "what is kept of a task is a matter of its job: write `keep` beside `workflow`"
        }
        "key" | "unique" | "key_for" => {
            "a task of a workflow has no key: its job may have one, `key` beside `workflow`"
        }
        "at" | "expires" => "a task of a workflow may have a `delay`, but no time and no expiry",
        "retry" => "did you mean `retries`?",
        _ => return None,
    })
}

/// Arguments before anything is put into them.
#[derive(Debug, Clone)]
enum Args<'a> {
    None,
    List(Vec<&'a RawValue>),
    Object(BTreeMap<String, &'a RawValue>),
    Other(&'a RawValue),
}

impl<'a> Args<'a> {
    fn of(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Self::None };
        let list = serde_json::from_str(raw.get()).map(Self::List);
        let object = || serde_json::from_str(raw.get()).map(Self::Object);
        list.or_else(|_| object()).unwrap_or(Self::Other(raw))
    }

    fn written(&self) -> Box<RawValue> {
        let written = match self {
            Self::None => return RawValue::NULL.to_owned(),
            Self::List(list) => to_raw_value(list),
            Self::Object(fields) => to_raw_value(fields),
            Self::Other(raw) => return (*raw).to_owned(),
        };
        written.expect("values of JSON are JSON")
    }
}

impl Reader {
    /// A task that follows something or not.
    pub(super) fn step(&mut self, at: &At, fields: &mut Fields<'_>, follows: bool) -> Option<Step> {
        let args = Args::of(fields.take("args"));
        let into = self.into(at, fields);
        let callbacks = self.callbacks(at, fields);
        let task = self.new_task(at, fields);
        self.given(at, task?, args, into?, follows, callbacks)
    }

    /// A task in an object of its own.
    pub(super) fn task_alone(&mut self, at: &At, raw: &RawValue, follows: bool) -> Option<Step> {
        let mut fields = self.object(at, raw)?;
        let step = self.step(at, &mut fields, follows);
        self.unknown(at, fields, &FIELDS);
        step
    }

    /// A task that runs when something has ended: it follows nothing, and nothing follows it.
    pub(super) fn callback(&mut self, at: &At, raw: &RawValue) -> Option<NewTask> {
        let mut fields = self.object(at, raw)?;
        if fields.take("delay").is_some() {
            self.problem(&at.in_text("delay"), "a callback begins as soon as it is called");
        }
        let args = Args::of(fields.take("args"));
        let task = self.new_task(at, &mut fields);
        let known: Vec<&str> =
            FIELDS.into_iter().filter(|name| !NOT_OF_CALLBACKS.contains(name)).collect();
        self.unknown(at, fields, &known);
        if matches!(args, Args::List(_) | Args::Other(_)) {
            let reason =
                "the arguments of a callback are an object: what ended is put into it as `parent`";
            self.problem(&at.in_text("args"), reason);
            return None;
        }
        let mut task = task?;
        task.set_args(if matches!(args, Args::None) { empty() } else { args.written() });
        Some(task)
    }

    /// Many tasks that differ in their arguments.
    pub(super) fn map(
        &mut self,
        at: &At,
        star: bool,
        raw: &RawValue,
        follows: bool,
    ) -> Option<Vec<Node>> {
        let mut fields = self.object(at, raw)?;
        let over: Option<Vec<&RawValue>> = match fields.take("over") {
            Some(over) => self.read(&at.in_text("over"), over),
            None => {
                self.problem(at, "say over which arguments: `over` is a list");
                None
            }
        };
        let chunk: Option<usize> = self.field(at, &mut fields, "chunk");
        let name: Option<String> = self.field(at, &mut fields, "as");
        if star && (chunk.is_some() || name.is_some()) {
            self.problem(at, "`chunk` and `as` are for `map`: a `starmap` is given all arguments");
        }
        if chunk == Some(0) {
            self.problem(&at.in_text("chunk"), "a task takes at least 1 of them");
        }
        let args = Args::of(fields.take("args"));
        let into = self.into(at, &mut fields);
        let callbacks = self.callbacks(at, &mut fields);
        let task = self.new_task(at, &mut fields);
        let known: Vec<&str> = FIELDS.into_iter().chain(OF_MAPS).collect();
        self.unknown(at, fields, &known);
        let (over, task, into) = (over?, task?, into?);

        let items: Vec<Box<RawValue>>;
        let each: Vec<Args<'_>> = if star {
            let spread = over.into_iter().enumerate().map(|(i, item)| {
                self.spread(&at.in_text("over").in_text(&i.to_string()), item, &args)
            });
            all(spread)?
        } else {
            items = match chunk {
                None => over.into_iter().map(ToOwned::to_owned).collect(),
                Some(n) => {
                    let bites = over.chunks(n.max(1));
                    bites.map(|items| Args::List(items.to_vec()).written()).collect()
                }
            };
            self.placed(at, &items, name.as_deref(), &args)?
        };
        let each = each.into_iter().map(|args| {
            self.given(at, task.clone(), args, into.clone(), follows, callbacks.clone())
        });
        all(each).map(nodes)
    }

    /// Each item among the arguments that all have: in front of them, or as a field.
    fn placed<'a>(
        &mut self,
        at: &At,
        items: &'a [Box<RawValue>],
        name: Option<&str>,
        args: &Args<'a>,
    ) -> Option<Vec<Args<'a>>> {
        let place = |item: &'a RawValue| match (name, args) {
            (Some(name), Args::None) => Some(Args::Object([(name.to_owned(), item)].into())),
            (Some(name), Args::Object(fields)) => {
                let mut fields = fields.clone();
                fields.insert(name.to_owned(), item);
                Some(Args::Object(fields))
            }
            (None, Args::None) => Some(Args::List(vec![item])),
            (None, Args::List(list)) => {
                Some(Args::List([item].into_iter().chain(list.iter().copied()).collect()))
            }
            _ => None,
        };
        let placed = items.iter().map(|item| place(item)).collect();
        let reason = match name {
            Some(_) => "with `as` the other arguments are an object",
            None => {
                "the other arguments are a list; if they are an object, `as` says in which field each item goes"
            }
        };
        if Option::is_none(&placed) {
            self.problem(&at.in_text("args"), reason);
        }
        placed
    }

    /// An item of a `starmap` with the arguments that all have.
    fn spread<'a>(&mut self, at: &At, item: &'a RawValue, args: &Args<'a>) -> Option<Args<'a>> {
        match (Args::of(Some(item)), args) {
            (own @ (Args::List(_) | Args::Object(_)), Args::None) => Some(own),
            (Args::List(own), Args::List(more)) => {
                Some(Args::List(own.into_iter().chain(more.iter().copied()).collect()))
            }
            (Args::Object(own), Args::Object(more)) => {
                let mut fields = more.clone();
                fields.extend(own);
                Some(Args::Object(fields))
            }
            _ => {
                self.problem(
                    at,
                    "each item of a `starmap` is a list of arguments or an object of them, as `args` if that is given",
                );
                None
            }
        }
    }

    /// `Some(None)`: it is not said where the result goes.
    #[expect(clippy::option_option, reason = "not valid, not given, given")]
    fn into(&mut self, at: &At, fields: &mut Fields<'_>) -> Option<Option<Into>> {
        let Some(raw) = fields.take("into") else { return Some(None) };
        let into = match raw.get() {
            r#""first""# => Into::Target(Target::First),
            r#""spread""# => Into::Target(Target::Spread),
            r#""none""# => Into::Nowhere,
            other => match serde_json::from_str(other) {
                Ok(InField { field }) => Into::Target(Target::Field(field)),
                Err(_) => {
                    self.problem(
                        &at.in_text("into"),
                        r#"it is "first", "spread", "none", or {"field": NAME}"#,
                    );
                    return None;
                }
            },
        };
        Some(Some(into))
    }

    /// A task with its arguments, and where in them the result goes of what it follows.
    fn given(
        &mut self,
        at: &At,
        mut task: NewTask,
        args: Args<'_>,
        into: Option<Into>,
        follows: bool,
        callbacks: Callbacks,
    ) -> Option<Step> {
        let into = match (into, &args) {
            (Some(_), _) if !follows => {
                self.problem(
                    &at.in_text("into"),
                    "it follows nothing whose result it could be given",
                );
                return None;
            }
            (None, _) if !follows => None,
            (Some(Into::Nowhere), _) => None,
            (None, Args::None | Args::List(_)) => Some(Target::First),
            (None, Args::Object(_)) => {
                self.problem(
                    at,
                    r#"it follows another task and its arguments are an object, so say where the result goes: "into": {"field": NAME}, or "spread" if the result is an object, or "none""#,
                );
                return None;
            }
            (Some(Into::Target(target)), args) => {
                let fits = match &target {
                    _ if matches!(args, Args::None) => true,
                    Target::First => matches!(args, Args::List(_)),
                    Target::Field(_) => matches!(args, Args::Object(_)),
                    Target::Spread => !matches!(args, Args::Other(_)),
                };
                if !fits {
                    self.problem(
                        &at.in_text("into"),
                        "the arguments are of another form: with \"first\" they are a list, with a field an object",
                    );
                    return None;
                }
                Some(target)
            }
            (None, Args::Other(_)) => {
                self.problem(
                    &at.in_text("args"),
                    "the arguments of a task that follows another one are a list or an object",
                );
                return None;
            }
        };
        let none = matches!(args, Args::None) && into.is_none();
        task.set_args(if none { empty() } else { args.written() });
        Some(Step { task, into, callbacks })
    }

    /// A task without its arguments.
    fn new_task(&mut self, at: &At, fields: &mut Fields<'_>) -> Option<NewTask> {
        let name = match fields.has("task") {
            true => self.field::<TaskName>(at, fields, "task"),
            false => {
                self.problem(at, "say which task it is: `task`");
                None
            }
        };
        // All of it is read also if its name is not valid.
        let placeholder = || TaskName::new("task").expect("it is a name");
        let is_named = name.is_some();
        let mut task =
            NewTask::from_raw(name.unwrap_or_else(placeholder), empty(), Default::default());
        let queue: Option<QueueName> = self.field(at, fields, "queue");
        let needs: Option<Label> = self.field(at, fields, "needs");
        let priority: Option<Priority> = self.field(at, fields, "priority");
        let tenant: Option<Tenant> = self.field(at, fields, "tenant");
        task = queue.into_iter().fold(task, NewTask::queue);
        task = needs.into_iter().fold(task, NewTask::needs);
        task = priority.into_iter().fold(task, NewTask::priority);
        task = tenant.into_iter().fold(task, NewTask::tenant);
        task = self.field(at, fields, "retries").into_iter().fold(task, NewTask::retries);
        task = self.field(at, fields, "cost").into_iter().fold(task, NewTask::cost);
        let label: Option<String> = self.field(at, fields, "label");
        task = label.into_iter().fold(task, NewTask::label);
        let tags: Option<BTreeSet<String>> = self.field(at, fields, "tags");
        task.meta.tags = tags.unwrap_or_default();
        let headers: Option<BTreeMap<String, String>> = self.field(at, fields, "headers");
        task.meta.headers = Headers::new();
        for (name, value) in headers.into_iter().flatten() {
            task = task.header(name, value);
        }
        let backoff: Option<Backoff> = self.formed(at, fields, "backoff");
        task = backoff.into_iter().fold(task, NewTask::backoff);
        let delay: Option<Duration> = self.formed(at, fields, "delay");
        let timeout: Option<Duration> = self.formed(at, fields, "timeout");
        let soft_timeout: Option<Duration> = self.formed(at, fields, "soft_timeout");
        task = delay.into_iter().fold(task, NewTask::delay);
        task = timeout.into_iter().fold(task, NewTask::timeout);
        task = soft_timeout.into_iter().fold(task, NewTask::soft_timeout);
        if let Err(error) = task.meta.check() {
            self.problem(at, error.to_string());
        }
        is_named.then_some(task)
    }
}

/// Where a result goes.
#[derive(Debug, Clone)]
enum Into {
    Target(Target),
    Nowhere,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InField {
    field: String,
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

fn nodes(steps: Vec<Step>) -> Vec<Node> {
    steps.into_iter().map(Node::from).collect()
}
