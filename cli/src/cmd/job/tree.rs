//! A job as a tree of its parts, each with how far it is: as text, and as JSON.

use celeriac_broker_schema::script::{Far, JobView};
use celeriac_broker_schema::workflow::{Outline, Stretch};
use celeriac_broker_schema::{Broker, JobSpec};
use serde::Serialize;

use crate::error::CliError;
use crate::format::{grouped, percent};

/// Characters of a bar.
const BAR: u64 = 20;

/// A part of a job.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    /// `task`, `chain`, `group`, `fold`, `graph`, `more` (what there was no room for), `chunks`, `added` (by running
    /// members, or to groups that take members in).
    kind: String,
    /// Its name in a graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Tasks in it, and in its parts.
    tasks: u64,
    /// Those that have settled: succeeded, failed, or were skipped.
    done: u64,
    /// Those that are ready, or were.
    begun: u64,
    /// `waiting`, `ready` (or running), `done`; `failed`: the job failed in it.
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

/// The parts of a job with how far they are.
pub(super) async fn look(broker: &Broker, job: &JobView) -> Result<Part, CliError> {
    let spec = JobSpec::decode(&job.spec).ok();
    let outline = spec.as_ref().and_then(|spec| spec.workflow);
    let outline: Option<Outline> =
        outline.and_then(|outline| serde_json::from_str(outline.get()).ok());
    let Some(outline) = outline else {
        return Ok(Part::chunks(job, spec.map(|spec| spec.chunk.task.to_string())));
    };
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut drawn = 0;
    outline.each(&mut |part| {
        stretches.extend(&part.stretches);
        drawn = drawn.max(part.stretches.iter().map(|(_, hi)| *hi).max().unwrap_or(0));
    });
    // Members that others have added lie behind all that was there at first.
    let enqueued = spec.map_or(drawn, |spec| spec.chunks);
    let added = (enqueued, job.total);
    if added.0 < added.1 {
        stretches.push(added);
    }
    let far = broker.tree(job.id, &stretches).await?;
    let failed = job.failed_task.as_deref().and_then(|id| id.split_once(':')?.1.parse().ok());
    let mut counted = Counted { far: far.iter(), failed };
    let mut root = counted.part(&outline);
    if added.0 < added.1 {
        let mut part = Part::new("added");
        part.count(&[added], added.1 - added.0, &mut counted);
        part.tell();
        root.done += part.done;
        root.begun += part.begun;
        root.tasks += part.tasks;
        root.parts.push(part);
        root.tell();
    }
    Ok(root)
}

struct Counted<'a> {
    far: std::slice::Iter<'a, Far>,
    /// The member that ended the job.
    failed: Option<u64>,
}

impl Counted<'_> {
    fn part(&mut self, outline: &Outline) -> Part {
        let kind = serde_json::to_value(outline.kind).ok();
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("part");
        let mut part = Part::new(kind);
        part.part.clone_from(&outline.part);
        part.task.clone_from(&outline.task);
        part.label.clone_from(&outline.label);
        part.count(&outline.stretches, outline.tasks, self);
        for inner in &outline.parts {
            let inner = self.part(inner);
            part.tasks += inner.tasks;
            part.done += inner.done;
            part.begun += inner.begun;
            if inner.state == "failed" {
                part.state = "failed";
            }
            part.parts.push(inner);
        }
        part.tell();
        part
    }
}

impl Part {
    fn new(kind: &str) -> Self {
        let (part, task, label) = (None, None, None);
        let (tasks, done, begun, state) = (0, 0, 0, "");
        Self {
            kind: kind.to_owned(),
            part,
            task,
            label,
            tasks,
            done,
            begun,
            state,
            parts: Vec::new(),
        }
    }

    /// The one part of a job of chunks.
    fn chunks(job: &JobView, task: Option<String>) -> Self {
        let mut part = Self::new("chunks");
        (part.task, part.tasks, part.done) = (task, job.total, job.done);
        part.begun = if job.started.is_some() { job.total } else { 0 };
        if job.state == "failed" {
            part.state = "failed";
        }
        part.tell();
        part
    }

    fn count(&mut self, stretches: &[Stretch], tasks: u64, counted: &mut Counted<'_>) {
        self.tasks = tasks;
        for (lo, hi) in stretches {
            let far = counted.far.next().copied().unwrap_or_default();
            self.done += far.done;
            self.begun += far.begun;
            if counted.failed.is_some_and(|failed| (*lo..*hi).contains(&failed)) {
                self.state = "failed";
            }
        }
    }

    fn tell(&mut self) {
        if self.state == "failed" {
            return;
        }
        self.state = match (self.done, self.begun) {
            (done, _) if done >= self.tasks => "done",
            (0, 0) => "waiting",
            _ => "ready",
        };
    }

    /// The tree, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut rows = Vec::new();
        self.rows("", "", &mut rows);
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let line = |(name, far): &(String, String)| format!("{name:<width$}  {far}");
        rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
    }

    fn rows(&self, begin: &str, inner: &str, rows: &mut Vec<(String, String)>) {
        rows.push((format!("{begin}{}", self.name()), self.far()));
        for (i, part) in self.parts.iter().enumerate() {
            let (branch, below) =
                if i + 1 < self.parts.len() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
            part.rows(&format!("{inner}{branch}"), &format!("{inner}{below}"), rows);
        }
    }

    fn name(&self) -> String {
        let part = self.part.as_ref().map(|part| format!("{part}: ")).unwrap_or_default();
        let what = match self.kind.as_str() {
            "more" => "more".to_owned(),
            kind => self.task.clone().unwrap_or_else(|| kind.to_owned()),
        };
        let many = self.parts.is_empty() && self.tasks != 1;
        let many = if many { format!(" × {}", grouped(self.tasks)) } else { String::new() };
        let label = self.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
        format!("{part}{what}{many}{label}")
    }

    fn far(&self) -> String {
        if self.tasks <= 1 {
            return self.state.to_owned();
        }
        let filled = BAR * self.done / self.tasks.max(1);
        let bar: String = (0..BAR).map(|i| if i < filled { '#' } else { '-' }).collect();
        let (done, tasks) = (grouped(self.done), grouped(self.tasks));
        let share = percent(self.done, self.tasks);
        let state = match self.state {
            "failed" | "waiting" => format!(", {}", self.state),
            _ => String::new(),
        };
        format!("[{bar}] {done} of {tasks} ({share} %){state}")
    }
}
