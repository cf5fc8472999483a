//! `celeriac job`: one job, how far it is (`tree`), and what people do with it.

mod tree;

use std::io::IsTerminal;
use std::time::Duration;

use celeriac_broker_schema::script::{Cancelled, JobControlled, JobDeleted, JobRetried};
use celeriac_broker_schema::{Broker, JobId, TaskId, Timestamp};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use self::tree::Part;
use super::jobs::JobLine;
use super::status;
use crate::args::{JobAction, JobCommandArgs, OneJobArgs};
use crate::error::CliError;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

pub(crate) async fn run(args: &JobCommandArgs, globals: &Globals) -> Result<(), CliError> {
    match &args.action {
        Some(action) => act(action, globals).await,
        None => show(args, globals).await,
    }
}

async fn show(args: &JobCommandArgs, globals: &Globals) -> Result<(), CliError> {
    let job = job_id(args.id.as_deref().unwrap_or_default())?;
    let broker = globals.connect().await?;
    let live = args.watch && !globals.json && std::io::stdout().is_terminal();
    let mut screen = Screen { live, drawn: 0, told: String::new() };
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(view) = View::look(&broker, job).await? else {
            return Err(CliError::Unknown(job.task()));
        };
        screen.tell(&view, args.watch, globals)?;
        if !args.watch || view.job.ended.is_some() {
            return Ok(());
        }
    }
}

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(500);

/// A job and its parts, at one instant.
#[derive(Serialize)]
struct View {
    #[serde(skip)]
    now: Timestamp,
    #[serde(flatten)]
    job: JobLine,
    tree: Part,
}

impl View {
    async fn look(broker: &Broker, id: JobId) -> Result<Option<Self>, CliError> {
        let (now, job) = broker.job(id).await?;
        let Some(job) = job else { return Ok(None) };
        let tree = tree::look(broker, &job).await?;
        Ok(Some(Self { now, job: JobLine::new(job), tree }))
    }

    fn text(&self) -> String {
        let facts = status::job_text(&self.job, self.now);
        format!("{facts}\n{}", self.tree.lines().join("\n"))
    }

    /// All of it in one short line.
    fn line(&self) -> String {
        format!("{}: {}", self.job.state_and_pause(), self.job.progress())
    }
}

/// Where it is told, and what is there.
struct Screen {
    live: bool,
    /// Lines that are drawn anew.
    drawn: usize,
    told: String,
}

impl Screen {
    fn tell(&mut self, view: &View, watch: bool, globals: &Globals) -> Result<(), CliError> {
        let told = if globals.json {
            serde_json::to_string(view).expect("our own types are always JSON")
        } else if self.live || !watch || view.job.ended.is_some() {
            view.text()
        } else {
            view.line()
        };
        if told == self.told {
            return Ok(());
        }
        if self.live && self.drawn > 0 {
            // To the first of the lines, and away with all below.
            output::bytes(format!("\x1b[{}A\x1b[J", self.drawn).as_bytes())?;
        }
        output::line(&told)?;
        self.drawn = told.lines().count();
        self.told = told;
        Ok(())
    }
}

/// What became of a job.
#[derive(Debug, Serialize)]
struct Answer {
    id: JobId,
    /// `paused`, `resumed`, `cancelled`, `deleted`; `unchanged`: it was so before; `ended`: it had ended
    /// before; `under_way`: it has not ended.
    answer: &'static str,
}

async fn act(action: &JobAction, globals: &Globals) -> Result<(), CliError> {
    let (JobAction::Pause(OneJobArgs { id, .. })
    | JobAction::Resume(OneJobArgs { id, .. })
    | JobAction::Cancel(OneJobArgs { id, .. })
    | JobAction::Retry(OneJobArgs { id, .. })
    | JobAction::Delete { id }) = action;
    let id = job_id(id)?;
    let broker = globals.connect().await?;
    let answer = match action {
        JobAction::Pause(args) => {
            controlled(broker.pause_job(id, &requester(&args.who)).await?, "paused")
        }
        JobAction::Resume(args) => {
            controlled(broker.resume_job(id, &requester(&args.who)).await?, "resumed")
        }
        JobAction::Cancel(args) => cancel(&broker, id, args).await?,
        JobAction::Retry(args) => return retry(&broker, id, args, globals).await,
        JobAction::Delete { .. } => match broker.delete_job(id).await? {
            JobDeleted::Deleted => Some("deleted"),
            JobDeleted::UnderWay => Some("under_way"),
            JobDeleted::Unknown => None,
        },
    };
    let Some(answer) = answer else { return Err(CliError::Unknown(id.task())) };
    let answer = Answer { id, answer };
    if globals.json {
        output::json(&answer)?;
    } else {
        output::line(answer.text())?;
    }
    match answer.answer {
        "under_way" => Err(CliError::Arguments(format!(
            "job {id} has not ended, so nothing was deleted: cancel it first (celeriac job cancel {id})"
        ))),
        _ => Ok(()),
    }
}

fn controlled(controlled: JobControlled, word: &'static str) -> Option<&'static str> {
    match controlled {
        JobControlled::Changed => Some(word),
        JobControlled::Unchanged => Some("unchanged"),
        JobControlled::Over => Some("ended"),
        JobControlled::Unknown => None,
    }
}

async fn cancel(
    broker: &Broker,
    id: JobId,
    args: &OneJobArgs,
) -> Result<Option<&'static str>, CliError> {
    // What is no job is left alone: this is `celeriac job`.
    if broker.job(id).await?.1.is_none() {
        return Ok(None);
    }
    let answers = broker.cancel(&[id.task()], &requester(&args.who)).await?;
    Ok(match answers.first() {
        Some(Cancelled::Done | Cancelled::Told(_)) => Some("cancelled"),
        Some(Cancelled::Ended) => Some("ended"),
        _ => None,
    })
}

/// Where a job goes on.
#[derive(Serialize)]
struct Retried {
    id: JobId,
    /// `retried`, or `continued`: it was retried before.
    answer: &'static str,
    /// The job that goes on in its place.
    job: JobId,
}

async fn retry(
    broker: &Broker,
    id: JobId,
    args: &OneJobArgs,
    globals: &Globals,
) -> Result<(), CliError> {
    let refused = |why: &str| CliError::Arguments(format!("job {id} {why}"));
    let (answer, job) = match broker.retry_job(id, &requester(&args.who)).await? {
        JobRetried::Retried(job) => ("retried", job),
        JobRetried::Continued(job) => ("continued", job),
        JobRetried::UnderWay => return Err(refused("has not ended")),
        JobRetried::NotFailed => return Err(refused("has not failed: there is nothing to retry")),
        JobRetried::NotRetryable => {
            return Err(refused("is no workflow: enqueue its chunks again as a new job"));
        }
        JobRetried::Incomplete => {
            return Err(refused("was never enqueued as a whole: enqueue it again"));
        }
        JobRetried::Unknown => return Err(CliError::Unknown(id.task())),
    };
    if globals.json {
        return output::json(&Retried { id, answer, job });
    }
    if answer == "continued" {
        globals.talk("it was retried before: this is the job that goes on in its place");
    }
    output::line(job)
}

impl Answer {
    fn text(&self) -> String {
        let Self { id, answer } = self;
        match *answer {
            "unchanged" => format!("{id} was so before"),
            "ended" => format!("{id} had ended before, or only its end is left"),
            "under_way" => format!("{id} has not ended"),
            other => format!("{id} {other}"),
        }
    }
}

/// The id of a job; not that of one of its chunks.
fn job_id(text: &str) -> Result<JobId, CliError> {
    let id: TaskId = text.parse()?;
    match id.chunk() {
        None => Ok(id.job()),
        Some(_) => {
            let job = id.job();
            Err(CliError::Arguments(format!("{id} is a part of job {job}: name the job")))
        }
    }
}
