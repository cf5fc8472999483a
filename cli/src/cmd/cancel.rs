//! `celeriac cancel`: end tasks and jobs that nobody wants any more, by id or by a filter on what
//! waits in a queue.

use std::collections::BTreeSet;
use std::time::Duration;

use celeriac_broker_schema::script::{Cancelled, Place};
use celeriac_broker_schema::{
    Broker, JobId, Priority, QueueName, Record, Requester, TaskId, TaskName,
};
use serde::Serialize;

use crate::args::{CancelArgs, Waiting};
use crate::error::CliError;
use crate::format::counted;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

/// Elements looked at in one call.
const PAGE: u32 = 500;

pub(crate) async fn run(args: &CancelArgs, globals: &Globals) -> Result<(), CliError> {
    let who = requester(args.why.as_ref());
    match &args.queue {
        Some(queue) => by_filter(Filter::new(queue, args)?, &who, globals).await,
        None => by_id(&args.ids, &who, globals).await,
    }
}

/// What became of one id.
#[derive(Debug, Serialize)]
struct Answer {
    id: TaskId,
    /// `cancelled`, `told`, `ended` or `unknown`.
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
            (answer, _) => answer.to_owned(),
        };
        format!("{} {rest}", self.id)
    }
}

async fn by_id(ids: &[String], who: &Requester, globals: &Globals) -> Result<(), CliError> {
    let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<TaskId>, _>>()?;
    if let Some(chunk) = ids.iter().find(|id| id.chunk().is_some()) {
        return Err(CliError::Arguments(format!(
            "chunk {chunk} cannot be cancelled by itself: cancel its job, {}",
            chunk.job()
        )));
    }
    let answers = globals.connect().await?.cancel(&ids, who).await?;
    let answers: Vec<Answer> =
        ids.into_iter().zip(answers).map(|(id, answer)| Answer::new(id, answer)).collect();
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

/// Which tasks of a queue.
struct Filter {
    queue: QueueName,
    task: Option<TaskName>,
    places: Vec<Place>,
    older_than: Duration,
    dry_run: bool,
}

/// What was found and done.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// Tasks that fit the filter when they were looked at.
    found: u64,
    cancelled: u64,
    /// Those that had begun meanwhile, and are told to stop.
    told: u64,
    /// Jobs of which chunks wait here, which are left alone.
    jobs: Vec<JobId>,
    dry_run: bool,
}

impl Filter {
    fn new(queue: &str, args: &CancelArgs) -> Result<Self, CliError> {
        let mut places = Vec::new();
        if args.state != Some(Waiting::Delayed) {
            let lists = (0..=9).filter_map(|number| Priority::new(number).ok()).map(Place::Ready);
            places.extend(lists.chain([Place::Suspects]));
        }
        if args.state != Some(Waiting::Ready) {
            places.push(Place::Delayed);
        }
        Ok(Self {
            queue: queue.parse()?,
            task: args.task.as_ref().map(|name| name.parse()).transpose()?,
            places,
            older_than: args.older_than.unwrap_or_default(),
            dry_run: args.dry_run,
        })
    }

    /// Those of the tasks that fit.
    async fn select(&self, broker: &Broker, ids: Vec<TaskId>) -> Result<Vec<TaskId>, CliError> {
        let records = broker.records(&ids).await?;
        let fits = |record: &Option<String>| match (record, &self.task) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(record), Some(name)) => {
                Record::decode(record).is_ok_and(|record| record.task == name.as_str())
            }
        };
        let fitting = ids.into_iter().zip(&records).filter(|(_, record)| fits(record));
        Ok(fitting.map(|(id, _)| id).collect())
    }
}

async fn by_filter(filter: Filter, who: &Requester, globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let mut tally = Tally { dry_run: filter.dry_run, ..Tally::default() };
    let mut jobs = BTreeSet::new();
    for place in &filter.places {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let mut page = broker.queued(&filter.queue, *place, at, PAGE).await?;
            let older =
                |id: &TaskId| Duration::from_millis(page.now.since(id.time())) >= filter.older_than;
            page.tasks.retain(older);
            jobs.extend(page.jobs);
            let ids = filter.select(&broker, page.tasks).await?;
            tally.found += ids.len() as u64;
            if !filter.dry_run {
                let answers = broker.cancel(&ids, who).await?;
                let count = |fits: fn(&Cancelled) -> bool| {
                    answers.iter().filter(|a| fits(a)).count() as u64
                };
                tally.cancelled += count(|answer| *answer == Cancelled::Done);
                tally.told += count(|answer| matches!(answer, Cancelled::Told(_)));
            }
            cursor = page.next;
        }
    }
    tally.jobs = jobs.into_iter().collect();
    if globals.json { output::json(&tally) } else { output::line(tally.text()) }
}

impl Tally {
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
