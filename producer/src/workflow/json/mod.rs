//! Workflows as JSON: what `celeriac enqueue --file` reads and programs in other languages write. The form is
//! described by [`SCHEMA`]. All that is wrong is told at once, each with its JSON pointer.

mod fields;
mod task;

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::text;
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{Accumulate, Unique, UniqueKey, UniqueMode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::fields::{Fields, meant};
use super::{Callbacks, Fold, GraphNode, Group, Node, OnError, Workflow, compile};
use crate::error::{InvalidWorkflow, Problem};

/// The JSON Schema of workflows.
pub const SCHEMA: &str = include_str!("schema.json");

/// Nodes may stand in one another so deep.
const MOST_DEPTH: usize = 100;
/// How many results one task folds, unless it is said.
const FOLD_WIDTH: usize = 100;
/// For how long a key stands for its job, unless it is said.
const KEY_FOR: Duration = Duration::from_secs(86_400);

/// Each node is one of these.
const KINDS: [&str; 8] = ["task", "chain", "group", "chord", "map", "starmap", "fold", "graph"];
/// Those that are side by side.
const SIDE_BY_SIDE: [&str; 3] = ["group", "map", "starmap"];
/// What may be said of a group.
const OF_GROUPS: [&str; 2] = ["on_error", "accumulate"];
/// What may be said of a part of a graph.
const OF_PARTS: [&str; 2] = ["after", "collect"];
/// What may be said of the job.
const OF_JOBS: [&str; 8] =
    ["label", "submitted_by", "key", "key_for", "keep", "on_success", "on_failure", "on_end"];
/// Tasks that run when something has ended.
const CALLBACKS: [&str; 3] = ["on_success", "on_failure", "on_end"];

impl Workflow {
    /// Reads a workflow from JSON: a node, or an object with the node as `workflow` and the settings of the
    /// job beside it. It is validated completely, as far as that is possible without Redis.
    ///
    /// # Errors
    /// All that is wrong with it; the path of each [`Problem`] is a JSON pointer into the text.
    ///
    /// ```
    /// use celeriac_producer::workflow::Workflow;
    /// let workflow = Workflow::from_json(r#"{"chain": [
    ///     {"map": {"task": "page.count_words", "over": ["a.txt", "b.txt"]}},
    ///     {"task": "sum"}
    /// ]}"#)?;
    /// assert_eq!(workflow.plan()?.members(), 3);
    ///
    /// let wrong = Workflow::from_json(r#"{"chian": []}"#).unwrap_err();
    /// assert_eq!(wrong.problems[0].path, "/chian");
    /// # Ok::<(), celeriac_producer::InvalidWorkflow>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self, InvalidWorkflow> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            let reason = format!("this is no JSON: {error}");
            InvalidWorkflow { problems: vec![Problem { path: String::new(), reason }] }
        })?;
        let mut reader = Reader::default();
        let workflow = reader.document(raw);
        match workflow {
            Some(workflow) if reader.problems.is_empty() => {
                compile(workflow.root.clone()).map_err(|wrong| reader.told(wrong))?;
                Ok(workflow)
            }
            _ => Err(InvalidWorkflow { problems: reader.problems }),
        }
    }
}

/// Where something stands: in the text, and in the tree that is made of it.
#[derive(Debug, Clone, Default)]
struct At {
    json: String,
    tree: String,
}

impl At {
    /// A field or an element of the text.
    fn in_text(&self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { json: format!("{}/{name}", self.json), tree: self.tree.clone() }
    }

    fn with_tree(self, tree: String) -> Self {
        Self { tree, ..self }
    }
}

#[derive(Debug, Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Parts that stand at another path in the tree than in the text: there, and here.
    elsewhere: Vec<(String, String)>,
    depth: usize,
}

/// A text of a certain form.
trait Form: Sized {
    fn of(text: &str) -> Result<Self, String>;
}

impl Form for Duration {
    fn of(text: &str) -> Result<Self, String> {
        text::duration(text)
    }
}

impl Form for celeriac_broker_schema::Backoff {
    fn of(text: &str) -> Result<Self, String> {
        text::backoff(text)
    }
}

/// Reads such a text.
struct Formed<T>(T);

impl<'de, T: Form> Deserialize<'de> for Formed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::of(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Reader {
    fn problem(&mut self, at: &At, reason: impl Into<String>) {
        let problem = Problem { path: at.json.clone(), reason: reason.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What is wrong with the tree, as it is found in the text.
    fn told(&self, wrong: InvalidWorkflow) -> InvalidWorkflow {
        let mut problems: Vec<Problem> = Vec::new();
        for Problem { path, reason } in wrong.problems {
            let fits = |(tree, _): &&(String, String)| {
                path.strip_prefix(tree.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let longest = self.elsewhere.iter().filter(fits).max_by_key(|(tree, _)| tree.len());
            let path = match longest {
                Some((tree, json)) => format!("{json}{}", &path[tree.len()..]),
                None => path,
            };
            let problem = Problem { path, reason };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        InvalidWorkflow { problems }
    }

    fn read<'a, T: Deserialize<'a>>(&mut self, at: &At, raw: &'a RawValue) -> Option<T> {
        let read = serde_json::from_str(raw.get()).map_err(|error| {
            let text = error.to_string();
            let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
            self.problem(at, reason);
        });
        read.ok()
    }

    /// The value of a field, if it is there and as it should be.
    fn field<T: DeserializeOwned>(
        &mut self,
        at: &At,
        fields: &mut Fields<'_>,
        name: &str,
    ) -> Option<T> {
        fields.take(name).and_then(|raw| self.read(&at.in_text(name), raw))
    }

    /// The same of a text of a certain form.
    fn formed<T: Form>(&mut self, at: &At, fields: &mut Fields<'_>, name: &str) -> Option<T> {
        self.field::<Formed<T>>(at, fields, name).map(|formed| formed.0)
    }

    fn object<'a>(&mut self, at: &At, raw: &'a RawValue) -> Option<Fields<'a>> {
        let mut fields: Fields<'a> = self.read(at, raw)?;
        for name in fields.take_twins() {
            self.problem(&at.in_text(&name), "it is given twice");
        }
        Some(fields)
    }

    /// Nobody has taken these.
    fn unknown(&mut self, at: &At, fields: Fields<'_>, known: &[&str]) {
        for (name, _) in fields.rest() {
            let reason = match (task::hint(&name), meant(&name, known)) {
                (_, Some(meant)) => format!("unknown field `{name}`: did you mean `{meant}`?"),
                (Some(hint), None) => format!("unknown field `{name}`: {hint}"),
                (None, None) => format!("unknown field `{name}`: there are {}", listed(known)),
            };
            self.problem(&at.in_text(&name), reason);
        }
    }

    fn document(&mut self, raw: &RawValue) -> Option<Workflow> {
        let at = At::default();
        let mut fields = self.object(&at, raw)?;
        let Some(root) = fields.take("workflow") else {
            return self.node_of(&at, fields, false, &[]).map(Workflow::from);
        };
        let node = self.node(&at.in_text("workflow"), root, false);
        self.elsewhere.push((String::new(), "/workflow".to_owned()));
        let label: Option<String> = self.field(&at, &mut fields, "label");
        let submitted_by: Option<String> = self.field(&at, &mut fields, "submitted_by");
        for (name, text) in [("label", &label), ("submitted_by", &submitted_by)] {
            let most = celeriac_broker_schema::limits::MAX_LABEL_BYTES;
            if text.as_ref().is_some_and(|text| text.len() > most) {
                self.problem(&at.in_text(name), format!("at most {most} bytes are kept of it"));
            }
        }
        let unique = self.unique(&at, &mut fields);
        let keep: Option<Duration> = self.formed(&at, &mut fields, "keep");
        let callbacks = self.callbacks(&at, &mut fields);
        let known: Vec<&str> = OF_JOBS.into_iter().chain(["workflow"]).collect();
        self.unknown(&at, fields, &known);
        let mut workflow = Workflow { label, submitted_by, unique, callbacks, ..node?.into() };
        workflow.keep_ms = keep.map_or(workflow.keep_ms, millis);
        Some(workflow)
    }

    fn unique(&mut self, at: &At, fields: &mut Fields<'_>) -> Option<Unique> {
        let key = self.field::<String>(at, fields, "key");
        let remembered: Option<Duration> = self.formed(at, fields, "key_for");
        let Some(key) = key else {
            if remembered.is_some() {
                let reason = "it says for how long a key stands for the job, and there is no `key`";
                self.problem(&at.in_text("key_for"), reason);
            }
            return None;
        };
        match UniqueKey::new(key) {
            Ok(key) => {
                Some(Unique { key, mode: UniqueMode::throttle(remembered.unwrap_or(KEY_FOR)) })
            }
            Err(error) => {
                self.problem(&at.in_text("key"), error.to_string());
                None
            }
        }
    }

    /// A node. `follows`: whether it is given the result of something.
    fn node(&mut self, at: &At, raw: &RawValue, follows: bool) -> Option<Node> {
        let fields = self.object(at, raw)?;
        self.node_of(at, fields, follows, &[])
    }

    /// The same, of fields of which some are taken already: `beside`.
    fn node_of(
        &mut self,
        at: &At,
        mut fields: Fields<'_>,
        follows: bool,
        beside: &[&str],
    ) -> Option<Node> {
        let mut kinds = KINDS.iter().copied().filter(|kind| fields.has(kind));
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            let told: Vec<&str> = KINDS.iter().copied().filter(|kind| fields.has(kind)).collect();
            if told.is_empty() {
                self.no_kind(at, fields, beside);
            } else {
                let reason = format!("it is {} at once: say which one", listed(&told));
                self.problem(at, reason);
            }
            return None;
        };
        if self.depth >= MOST_DEPTH {
            self.problem(at, format!("nested deeper than {MOST_DEPTH} levels"));
            return None;
        }
        self.depth += 1;
        let node = self.node_of_kind(at, kind, &mut fields, follows);
        self.depth -= 1;
        let mut known = vec![kind];
        known.extend(beside);
        if kind == "task" {
            known.extend(task::FIELDS);
        } else if SIDE_BY_SIDE.contains(&kind) {
            known.extend(OF_GROUPS);
        }
        // Where a workflow begins, people write what is true of the job.
        if at.json.is_empty() && kind != "task" {
            for name in OF_JOBS {
                if fields.take(name).is_some() {
                    let reason = format!(
                        "`{name}` is said of the job: write {{\"workflow\": {{\"{kind}\": …}}, \"{name}\": …}}"
                    );
                    self.problem(&at.in_text(name), reason);
                }
            }
        }
        self.unknown(at, fields, &known);
        node
    }

    /// A node that says not what it is. Perhaps a letter is wrong.
    fn no_kind(&mut self, at: &At, fields: Fields<'_>, beside: &[&str]) {
        let before = self.problems.len();
        for (name, _) in fields.rest() {
            if let Some(meant) = meant(&name, &KINDS).filter(|_| !beside.contains(&name.as_str())) {
                let reason = format!("unknown field `{name}`: did you mean `{meant}`?");
                self.problem(&at.in_text(&name), reason);
            }
        }
        if self.problems.len() == before {
            self.problem(at, format!("say what it is: one of {}", listed(&KINDS)));
        }
    }

    fn node_of_kind(
        &mut self,
        at: &At,
        kind: &str,
        fields: &mut Fields<'_>,
        follows: bool,
    ) -> Option<Node> {
        if kind == "task" {
            return self.step(at, fields, follows).map(|step| Node::Task(Box::new(step)));
        }
        if SIDE_BY_SIDE.contains(&kind) {
            return self.group(at, kind, fields, follows).map(Node::Group);
        }
        let raw = fields.take(kind)?;
        let within = at.in_text(kind);
        match kind {
            "chain" => {
                let steps: Vec<&RawValue> = self.read(&within, raw)?;
                let tree = format!("{}/chain", at.tree);
                let steps = steps.into_iter().enumerate().map(|(i, step)| {
                    let at = within.in_text(&i.to_string()).with_tree(format!("{tree}/{i}"));
                    self.node(&at, step, follows || i > 0)
                });
                all(steps).map(Node::Chain)
            }
            "chord" => self.chord(&within, raw, follows),
            "fold" => self.fold(&within, raw, follows),
            _ => self.graph(&within, raw, follows),
        }
    }

    fn group(
        &mut self,
        at: &At,
        kind: &str,
        fields: &mut Fields<'_>,
        follows: bool,
    ) -> Option<Group> {
        let on_error = fields.take("on_error");
        let on_error = on_error.map_or(Some(OnError::Fail), |raw| self.on_error(at, raw));
        let accumulate: Option<BTreeMap<String, Accumulate>> = match fields.has("accumulate") {
            true => self.field(at, fields, "accumulate"),
            false => Some(BTreeMap::new()),
        };
        let raw = fields.take(kind)?;
        let within = at.in_text(kind);
        let tree = format!("{}/group", at.tree);
        let members = if kind == "group" {
            let members: Vec<&RawValue> = self.read(&within, raw)?;
            let members = members.into_iter().enumerate().map(|(i, member)| {
                let at = within.in_text(&i.to_string()).with_tree(format!("{tree}/{i}"));
                self.node(&at, member, follows)
            });
            all(members)
        } else {
            self.elsewhere.push((tree, within.in_text("over").json));
            self.map(&within, kind == "starmap", raw, follows)
        };
        Some(Group { members: members?, on_error: on_error?, accumulate: accumulate? })
    }

    fn on_error(&mut self, at: &At, raw: &RawValue) -> Option<OnError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Tolerate {
            tolerate: u64,
        }
        match raw.get() {
            r#""fail""# => return Some(OnError::Fail),
            r#""collect""# => return Some(OnError::Collect),
            _ => {}
        }
        if let Ok(Tolerate { tolerate }) = serde_json::from_str(raw.get()) {
            return Some(OnError::Tolerate(tolerate));
        }
        self.problem(
            &at.in_text("on_error"),
            r#"it is "fail", "collect", or {"tolerate": N} with a whole number"#,
        );
        None
    }

    /// A group and what follows it: a chain of both.
    fn chord(&mut self, at: &At, raw: &RawValue, follows: bool) -> Option<Node> {
        let mut fields = self.object(at, raw)?;
        let tree = format!("{}/chain", at.tree);
        let then = fields.take("then");
        if !SIDE_BY_SIDE.iter().any(|kind| fields.has(kind)) {
            self.problem(at, format!("a chord begins with one of {}", listed(&SIDE_BY_SIDE)));
            return None;
        }
        let head = at.clone().with_tree(format!("{tree}/0"));
        self.elsewhere.push((head.tree.clone(), head.json.clone()));
        let head = self.node_of(&head, fields, follows, &["then"]);
        let Some(then) = then else {
            self.problem(at, "a chord needs what follows its group: `then`");
            return None;
        };
        let behind = at.in_text("then").with_tree(format!("{tree}/1"));
        self.elsewhere.push((behind.tree.clone(), behind.json.clone()));
        let then = self.node(&behind, then, true);
        Some(Node::Chain(vec![head?, then?]))
    }

    fn fold(&mut self, at: &At, raw: &RawValue, follows: bool) -> Option<Node> {
        let mut fields = self.object(at, raw)?;
        let tree = format!("{}/fold", at.tree);
        self.elsewhere.push((tree.clone(), at.json.clone()));
        let width = self.field(at, &mut fields, "width");
        if width.is_some_and(|width: usize| width < 2) {
            self.problem(&at.in_text("width"), "a fold takes at least 2 results at a time");
        }
        let inner = at.in_text("of").with_tree(tree);
        let of = match fields.take("of") {
            Some(of) => self.node(&inner, of, follows),
            None => {
                self.problem(at, "a fold needs what is folded: `of`");
                None
            }
        };
        match &of {
            Some(Node::Group(group)) => {
                if group.members.is_empty() {
                    self.problem(&inner, "there is nothing to fold: the group is empty");
                }
                if group.on_error != OnError::Fail || !group.accumulate.is_empty() {
                    self.problem(
                        &inner,
                        "a group that is folded fails with its parts, and has no accumulators",
                    );
                }
            }
            Some(_) => {
                self.problem(&inner, format!("only one of {} is folded", listed(&SIDE_BY_SIDE)));
            }
            None => {}
        }
        let with = match fields.take("with") {
            Some(with) => self.task_alone(&at.in_text("with"), with, true),
            None => {
                self.problem(at, "a fold needs the task that makes one of several: `with`");
                None
            }
        };
        self.unknown(at, fields, &["of", "with", "width"]);
        let width = width.unwrap_or(FOLD_WIDTH);
        Some(Node::Fold(Box::new(Fold { of: of?, with: with?, width })))
    }

    fn graph(&mut self, at: &At, raw: &RawValue, follows: bool) -> Option<Node> {
        let parts = self.object(at, raw)?;
        let tree = format!("{}/graph", at.tree);
        let parts = parts.rest().into_iter().map(|(name, raw)| {
            let at = at.in_text(&name).with_tree(format!("{tree}/{name}"));
            self.elsewhere.push((at.tree.clone(), at.json.clone()));
            let mut fields = self.object(&at, raw)?;
            let after: Vec<String> = match fields.has("after") {
                true => self.field(&at, &mut fields, "after")?,
                false => Vec::new(),
            };
            let collect = match fields.has("collect") {
                true => self.field(&at, &mut fields, "collect")?,
                false => false,
            };
            if collect && after.is_empty() {
                let reason = "it waits for nothing whose failure it could be given";
                self.problem(&at.in_text("collect"), reason);
            }
            let follows = follows || !after.is_empty();
            let node = self.node_of(&at, fields, follows, &OF_PARTS)?;
            Some(GraphNode { name, node, after, collect })
        });
        all(parts).map(Node::Graph)
    }

    fn callbacks(&mut self, at: &At, fields: &mut Fields<'_>) -> Callbacks {
        let [on_success, on_failure, on_end] = CALLBACKS.map(|name| {
            let Some(raw) = fields.take(name) else { return Vec::new() };
            let at = at.in_text(name);
            if !raw.get().starts_with('[') {
                return self.callback(&at, raw).into_iter().collect();
            }
            let all: Vec<&RawValue> = self.read(&at, raw).unwrap_or_default();
            let all = all.into_iter().enumerate();
            all.filter_map(|(i, raw)| self.callback(&at.in_text(&i.to_string()), raw)).collect()
        });
        Callbacks { on_success, on_failure, on_end }
    }
}

/// All of them, or nothing if one is not as it should be; each is looked at.
fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut found = Some(Vec::new());
    for item in items {
        match item {
            Some(item) => {
                if let Some(found) = &mut found {
                    found.push(item);
                }
            }
            None => found = None,
        }
    }
    found
}

/// `a`, `b` and `c`
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
