//! Jobs that are streamed in: a group that takes members in until it is closed, while the first of them run.

use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::script::WorkflowPart;
use celeriac_broker_schema::workflow::{Edit, MemberTerms, Shape, Stretch};
use celeriac_broker_schema::{InvalidInput, JobId, JobSpec, TaskId};
use serde::{Deserialize, Serialize};

use super::compile::Compiler;
use super::spawn::stretches;
use super::{Group, Node, OnError, Workflow};
use crate::error::{EnqueueError, InvalidWorkflow, Problem};
use crate::handle::Handle;
use crate::producer::Producer;

/// The number of the member that stands for the group, and of the barrier before it.
const GROUP: u64 = 0;

/// A job whose group is not closed yet. What was pushed runs; what follows the group begins when it is closed
/// and all of it has ended.
///
/// When its producer is gone, the job stays open, and is shown as such. It can be continued
/// ([`Producer::continue_job`]) or cancelled.
///
/// ```no_run
/// # use celeriac_producer::workflow::{Group, Workflow};
/// # use celeriac_producer::{EnqueueError, NewTask, Producer};
/// # async fn example(producer: Producer, lines: Vec<String>) -> Result<(), EnqueueError> {
/// let total = NewTask::new("total", &serde_json::json!([]))?;
/// let mut job = producer.open_job(Group::default(), vec![total.into()]).await?;
/// for line in &lines {
///     job.push(NewTask::new("count", &[line])?).await?;
/// }
/// let handle = job.close().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct OpenJob {
    producer: Producer,
    id: TaskId,
    terms: GroupTerms,
    part: u64,
    nodes: Vec<Node>,
    bytes: usize,
    pushed: u64,
    first: u64,
    /// A part that may have been taken or not, its members, and whether it was sent before.
    pending: Option<(WorkflowPart, u64, bool)>,
}

/// What is stored of the group with the description of its job, for whoever continues it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct GroupTerms {
    /// Whether failures are caught.
    #[serde(default)]
    collects: bool,
    /// Whether numbers are accumulated in place of keeping results.
    #[serde(default)]
    accumulates: bool,
    /// Which accumulators, if what follows the group has others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<String>,
    /// How many members the job has besides those that were pushed.
    #[serde(default)]
    others: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Outline {
    open: GroupTerms,
}

impl GroupTerms {
    fn of(group: &Group) -> Self {
        let collects = group.on_error != OnError::Fail;
        Self { collects, accumulates: !group.accumulate.is_empty(), ..Self::default() }
    }

    fn shape(&self, group: &Group) -> Shape {
        if self.accumulates {
            return Shape::totals(group.accumulate.keys().cloned().collect());
        }
        let fed = Shape::fed(0);
        if self.collects { fed.tried() } else { fed }
    }
}

impl Producer {
    /// Begins a job with a group that takes members in until it is closed: any number of them, in batches, while
    /// the first ones run. `then`: what follows the group, one after the other, as in a chain.
    ///
    /// # Errors
    /// [`EnqueueError`]; `group` must have no members yet.
    pub async fn open_job(&self, group: Group, then: Vec<Node>) -> Result<OpenJob, EnqueueError> {
        self.open_workflow(Node::Chain(Vec::new()), group, then).await
    }

    /// As [`Producer::open_job`], with the settings of a workflow, whose `root` counts for nothing.
    ///
    /// # Errors
    /// As [`Producer::open_job`].
    pub async fn open_workflow(
        &self,
        settings: impl Into<Workflow>,
        group: Group,
        mut then: Vec<Node>,
    ) -> Result<OpenJob, EnqueueError> {
        let workflow = settings.into();
        if !group.members.is_empty() {
            return Err(EnqueueError::Invalid(InvalidInput::OutOfBounds {
                what: "group",
                value: "an open job".to_owned(),
                expected: "push its members when it is open",
            }));
        }
        for node in &mut then {
            node.each_task(&mut |task| self.apply_layers(task))?;
        }
        let mut terms = GroupTerms::of(&group);
        let tolerates = match group.on_error {
            OnError::Tolerate(most) => Some(most),
            _ => None,
        };
        let shape = terms.shape(&group);
        let names: Vec<String> = group.accumulate.keys().cloned().collect();
        let plan = Compiler::default().open(shape, tolerates, group.accumulate, then)?;
        terms.others = plan.members();
        if names.len() < plan.accumulate.len() {
            terms.only = names;
        }
        let outline = Outline { open: terms.clone() };
        let outline = serde_json::value::to_raw_value(&outline).expect("our own types are JSON");
        let id = self.new_id();
        let parts = workflow.parts_of(plan, &outline, id.job(), || self.new_id())?;
        let count = parts.len() as u64;
        for part in parts {
            let told = self.send_part(WorkflowPart { last: false, ..part }).await?;
            told.all_taken()?;
        }
        Ok(OpenJob {
            producer: self.clone(),
            id,
            first: terms.others,
            terms,
            part: count,
            nodes: Vec::new(),
            bytes: 0,
            pushed: 0,
            pending: None,
        })
    }

    /// Goes on with a job that another producer left open. [`OpenJob::pushed`] tells how many members were
    /// pushed before, in their order: push those behind them. Two producers that push at once are told apart: one of
    /// them gets [`EnqueueError::WrongPart`].
    ///
    /// # Errors
    /// [`EnqueueError`]: the job has ended, was closed, or is no open job.
    pub async fn continue_job(&self, id: JobId) -> Result<OpenJob, EnqueueError> {
        let over = || EnqueueError::JobOver { job: id };
        let found = self
            .broker()
            .job(id)
            .await
            .map_err(|error| EnqueueError::Refused(std::sync::Arc::new(error)))?;
        let job = found.1.filter(|job| job.growing.is_some()).ok_or_else(over)?;
        let spec = JobSpec::decode(&job.spec).map_err(|_| over())?;
        let outline =
            spec.workflow.and_then(|json| serde_json::from_str::<Outline>(json.get()).ok());
        let terms = outline.ok_or_else(over)?.open;
        Ok(OpenJob {
            producer: self.clone(),
            id: id.task(),
            pushed: job.pushed,
            first: terms.others,
            terms,
            part: job.parts,
            nodes: Vec::new(),
            bytes: 0,
            pending: None,
        })
    }
}

impl OpenJob {
    /// A handle to the job.
    pub fn handle(&self) -> Handle {
        self.producer.handle(self.id)
    }

    /// How many members were pushed and taken by Redis so far. A part that consists of several tasks counts as
    /// these.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Adds a member to the group: a task, or a part of several tasks. It is sent when a batch is full, or by
    /// [`OpenJob::flush`].
    ///
    /// # Errors
    /// An earlier batch failed, or a layer refuses the task.
    pub async fn push(&mut self, member: impl Into<Node>) -> Result<(), EnqueueError> {
        let mut node = member.into();
        let (mut tasks, mut bytes) = (0, 0);
        node.each_task(&mut |task| {
            tasks += 1;
            bytes += task.args().get().len() + 100;
            self.producer.apply_layers(task)
        })?;
        // What cannot be added is refused here, and what was pushed before stays.
        self.edits(std::slice::from_ref(&node))?;
        let is_full =
            self.nodes.len() + tasks > MAX_BATCH / 2 || self.bytes + bytes > MAX_BATCH_BYTES;
        if is_full {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.nodes.push(node);
        Ok(())
    }

    /// Sends what was pushed and waits until Redis has it.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn flush(&mut self) -> Result<(), EnqueueError> {
        if self.nodes.is_empty() && self.pending.is_none() {
            return Ok(());
        }
        self.send(false).await
    }

    /// Sends what is left and closes the group: what follows it begins when all members have ended.
    ///
    /// # Errors
    /// [`EnqueueError`]; the job stays open then, and may be continued.
    pub async fn close(mut self) -> Result<Handle, EnqueueError> {
        self.send(true).await?;
        Ok(self.handle())
    }

    async fn send(&mut self, last: bool) -> Result<(), EnqueueError> {
        // What was not taken, as far as is known, goes first and as it was.
        if self.pending.is_some() {
            self.send_pending().await?;
            if !last && self.nodes.is_empty() {
                return Ok(());
            }
        }
        let (edits, joined, members) = self.edits(&self.nodes)?;
        let part = WorkflowPart {
            id: self.id.job(),
            part: self.part,
            job: None,
            base: None,
            edits,
            ends: 0,
            joins: Some((GROUP, joined)),
            last,
        };
        self.nodes.clear();
        self.bytes = 0;
        self.pending = Some((part, members, false));
        self.send_pending().await
    }

    /// Sends the part that waits. It stays until it is known that Redis has it.
    async fn send_pending(&mut self) -> Result<(), EnqueueError> {
        let Some((part, members, sent_before)) = &mut self.pending else { return Ok(()) };
        let (number, members) = (part.part, *members);
        let repeated = std::mem::replace(sent_before, true);
        match self.producer.send_part(part.clone()).await {
            Ok(_) => {}
            // Its answer was lost the last time, or somebody else was quicker: only we have tried this part.
            Err(EnqueueError::WrongPart { expected, .. }) if repeated && expected == number + 1 => {
            }
            Err(error) => return Err(error),
        }
        self.pending = None;
        self.part += 1;
        self.pushed += members;
        Ok(())
    }

    /// What is added, the members among it that the group waits for, and how many members there are.
    fn edits(&self, nodes: &[Node]) -> Result<(Vec<Edit>, Vec<Stretch>, u64), InvalidWorkflow> {
        let GroupTerms { collects, accumulates, .. } = self.terms;
        let only = self.terms.only.clone();
        let terms = MemberTerms { keep: !accumulates, accumulates, only, ..MemberTerms::default() };
        let mut compiler = Compiler::default();
        let joined: Vec<usize> =
            nodes.iter().map(|node| compiler.beside_parent(node.clone(), &terms)).collect();
        let (mut plan, numbers) = compiler.finish(&[])?;
        plan.refuse_what_is_not_added()?;
        let joined: Vec<u64> = joined.into_iter().map(|id| numbers[id] as u64).collect();
        let members = plan.members();
        let parts = plan.edits(Vec::new(), Vec::new());
        if parts.len() > 1 {
            let reason = format!(
                "one member has at most about {MAX_BATCH} tasks and {MAX_BATCH_BYTES} bytes: push its parts one by one"
            );
            let problems = vec![Problem { path: String::new(), reason }];
            return Err(InvalidWorkflow { problems });
        }
        let mut edits: Vec<Edit> = parts.into_iter().flatten().collect();
        for edit in &mut edits {
            let Edit::Span(span) = edit else { continue };
            if span.feeds == "p" {
                span.feeds = format!("={GROUP}");
            }
            if span.catch == "p" {
                span.catch = if collects { "+0" } else { "-" }.to_owned();
            }
        }
        Ok((edits, stretches(&joined), members))
    }

    /// Where the members that were pushed begin in the job.
    pub fn first_member(&self) -> u64 {
        self.first
    }
}
