//! `celeriac cancel`: end tasks and jobs that nobody wants any more, by id or by a filter on what
//! waits in a queue.

use std::collections::BTreeSet;

use celeriac_broker_schema::script::{Cancelled, Found};
use celeriac_broker_schema::{Broker, CancelFilter, JobId, QueueName, Requester, State, TaskId};
use serde::Serialize;

use crate::args::values::duration_text;
use crate::args::{CancelArgs, Waiting};
use crate::deed::{self, note};
use crate::error::CliError;
use crate::format::counted;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

pub(crate) async fn run(args: &CancelArgs, globals: &Globals) -> Result<(), CliError> {
    let who = requester(&args.who);
    match &args.queue {
        Some(queue) => by_filter(filter(queue, args)?, args.dry_run, who, globals).await,
        None => by_id(&args.ids, args.dry_run, &who, globals).await,
    }
}

/// What became of one id.
#[derive(Debug, Serialize)]
struct Answer {
    id: TaskId,
    /// `cancelled`, `told`, `ended` or `unknown`; with --dry-run `meant`.
    answer: &'static str,
    /// The lease under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
}

impl Answer {
    fn new(id: TaskId, cancelled: Cancelled) -> Self {
        let (answer, worker) = match cancelled {
            Cancelled::Done => ("cancelled", None),
            Cancelled::Told(lease) => ("told", Some(lease.as_str().to_owned())),
            Cancelled::Ended => ("ended", None),
            Cancelled::Unknown | Cancelled::IsChunk => ("unknown", None),
        };
        Self { id, answer, worker }
    }

    fn text(&self) -> String {
        let rest = match (self.answer, &self.worker) {
            ("told", Some(worker)) => format!("runs, and is told to stop (worker {worker})"),
            ("ended", _) => "had ended before".to_owned(),
            ("unknown", _) => "is not known here".to_owned(),
            ("meant", _) => "would be cancelled".to_owned(),
            (answer, _) => answer.to_owned(),
        };
        format!("{} {rest}", self.id)
    }
}

async fn by_id(
    ids: &[String],
    dry_run: bool,
    who: &Requester,
    globals: &Globals,
) -> Result<(), CliError> {
    let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<TaskId>, _>>()?;
    if let Some(chunk) = ids.iter().find(|id| id.chunk().is_some()) {
        return Err(CliError::Arguments(format!(
            "chunk {chunk} cannot be cancelled by itself: cancel its job, {}",
            chunk.job()
        )));
    }
    let broker = globals.connect().await?;
    let answers: Vec<Answer> = if dry_run {
        look(&broker, &ids).await?
    } else {
        let answers = broker.cancel(&ids, who).await?;
        note(&broker, "cancel", deed::ids(&ids), who, changed(&answers)).await;
        ids.into_iter().zip(answers).map(|(id, answer)| Answer::new(id, answer)).collect()
    };
    if globals.json {
        output::json(&answers)?;
    } else {
        answers.iter().try_for_each(|answer| output::line(answer.text()))?;
    }
    match answers.iter().find(|answer| answer.answer == "unknown") {
        Some(unknown) => Err(CliError::Unknown(unknown.id)),
        None => Ok(()),
    }
}

/// How many of them are different now.
fn changed(answers: &[Cancelled]) -> u64 {
    let told = |answer: &&Cancelled| matches!(answer, Cancelled::Done | Cancelled::Told(_));
    answers.iter().filter(told).count() as u64
}

/// What would become of them.
async fn look(broker: &Broker, ids: &[TaskId]) -> Result<Vec<Answer>, CliError> {
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        let (_, job) = broker.job(id.job()).await?;
        let answer = match (job, broker.inspect(*id).await?) {
            (Some(job), _) if job.state == "running" => "meant",
            (_, Found::Task { .. }) => "meant",
            (None, Found::Unknown) => "unknown",
            _ => "ended",
        };
        answers.push(Answer { id: *id, answer, worker: None });
    }
    Ok(answers)
}

/// What was found and done.
#[derive(Debug, Serialize)]
struct Tally {
    queue: QueueName,
    /// Tasks that fit the filter when they were looked at.
    found: u64,
    cancelled: u64,
    /// Those that had begun meanwhile, and are told to stop.
    told: u64,
    /// Jobs of which chunks wait here, which are left alone.
    jobs: BTreeSet<JobId>,
    dry_run: bool,
    #[serde(flatten)]
    who: Requester,
}

fn filter(queue: &str, args: &CancelArgs) -> Result<CancelFilter, CliError> {
    let state = args.state.map(|state| match state {
        Waiting::Ready => State::Ready,
        Waiting::Delayed => State::Delayed,
    });
    Ok(CancelFilter {
        task: args.task.as_ref().map(|name| name.parse()).transpose()?,
        tenant: args.tenant.as_ref().map(|name| name.parse()).transpose()?,
        tag: args.tag.clone(),
        state,
        older_than: args.older_than.unwrap_or_default(),
        ..CancelFilter::of(queue.parse()?)
    })
}

async fn by_filter(
    filter: CancelFilter,
    dry_run: bool,
    who: Requester,
    globals: &Globals,
) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let (queue, jobs) = (filter.queue.clone(), BTreeSet::new());
    let mut tally = Tally { queue, found: 0, cancelled: 0, told: 0, jobs, dry_run, who };
    let mut after = None;
    loop {
        let (jobs, next) = if dry_run {
            let page = broker.tasks_where(&filter, after).await?;
            tally.found += page.tasks.len() as u64;
            (page.jobs, page.next)
        } else {
            let page = broker.cancel_where(&filter, after, &tally.who).await?;
            tally.add(&page.answers);
            (page.jobs, page.next)
        };
        tally.jobs.extend(jobs);
        after = next;
        if after.is_none() {
            break;
        }
    }
    if !dry_run {
        let changed = tally.cancelled + tally.told;
        note(&broker, "cancel-matching", meant(&filter), &tally.who, changed).await;
    }
    if globals.json { output::json(&tally) } else { output::line(tally.text()) }
}

/// What a filter says: `queue=mail task=mail.send`.
fn meant(filter: &CancelFilter) -> String {
    let part = |name: &str, value: Option<String>| value.map(|value| format!(" {name}={value}"));
    let CancelFilter { queue, task, tenant, tag, state, older_than } = filter;
    let age = Some(*older_than).filter(|age| !age.is_zero());
    let parts = [
        part("task", task.as_ref().map(ToString::to_string)),
        part("tenant", tenant.as_ref().map(ToString::to_string)),
        part("tag", tag.clone()),
        part("state", state.map(|state| state.as_str().to_owned())),
        part("older_than", age.map(duration_text)),
    ];
    format!("queue={queue}{}", parts.into_iter().flatten().collect::<String>())
}

impl Tally {
    fn add(&mut self, answers: &[(TaskId, Cancelled)]) {
        let count =
            |fits: fn(&Cancelled) -> bool| answers.iter().filter(|(_, a)| fits(a)).count() as u64;
        self.found += answers.len() as u64;
        self.cancelled += count(|answer| *answer == Cancelled::Done);
        self.told += count(|answer| matches!(answer, Cancelled::Told(_)));
    }

    fn text(&self) -> String {
        let mut text = match (self.dry_run, self.told) {
            (true, _) => format!("{} would be cancelled", counted(self.found, "task")),
            (false, 0) => format!("{} cancelled", counted(self.cancelled, "task")),
            (false, told) => format!(
                "{} cancelled; {} had begun, and told to stop",
                counted(self.cancelled, "task"),
                counted(told, "task")
            ),
        };
        if !self.jobs.is_empty() {
            let ids: Vec<String> = self.jobs.iter().map(JobId::to_string).collect();
            text.push_str(&format!("\njobs with chunks here, left alone: {}", ids.join(" ")));
        }
        text
    }
}
