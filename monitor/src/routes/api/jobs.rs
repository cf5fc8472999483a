//! Jobs.

use celeriac_broker_schema::{JobId, TaskId};

use super::query::{Limit, Parameter, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{Chunks, Jobs, Stretch};
use super::table::{Call, Table, words};
use crate::error::Problem;
use crate::model::{Job, JobDetail, running_of};
use crate::observation::{Detail, Reading};
use crate::poller::JOBS;
use crate::read;
use crate::topic::Topic;

pub(super) fn add(table: &mut Table) {
    table.get(
        "/jobs",
        words(
            "listJobs",
            "jobs",
            "The newest jobs",
            "The newest open ones, then the newest ended ones.",
        ),
        list,
    );
    table.get("/jobs/{id}", words("getJob", "jobs", "One job", ""), one);
    table.get(
        "/jobs/{id}/chunks",
        words("mapChunks", "jobs", "How far each stretch of the chunks is", "The chunks in stretches of the same length, as many as asked for at most; of a job with no more chunks than that each chunk by itself."),
        chunks,
    );
}

query! {
    struct JobsQuery {
        /// Only jobs in this state.
        state: JobState,
        /// Most open jobs, and as many ended ones.
        limit: Limit<20, 200>,
    }
}

/// The state of a job.
pub(super) struct JobState(&'static str);

const STATES: [&str; 5] = ["running", "reducing", "succeeded", "failed", "cancelled"];

impl Parameter for JobState {
    fn read(text: &str) -> Result<Self, String> {
        let found = STATES.into_iter().find(|state| *state == text);
        found
            .map(Self)
            .ok_or_else(|| format!("there is no such state: there are {}", STATES.join(", ")))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "enum": STATES })
    }
}

async fn list(call: Call<(), JobsQuery>) -> Result<Told<Jobs>, Refusal> {
    let observation = call.monitor.latest().await;
    let Reading { now, jobs, totals, .. } = observation.current()?.clone();
    let limit = Limit::of(call.query.limit);
    let wanted = |job: &Job| call.query.state.as_ref().is_none_or(|state| job.state == state.0);
    let told = |now, jobs: Vec<Job>| Jobs { now, open: totals.open_jobs, jobs };
    if limit == JOBS {
        let jobs = jobs.into_iter().filter(wanted).collect();
        return Ok(Told::seen(told(now, jobs), &observation));
    }
    let snapshot = call.monitor.broker().snapshot(0, limit).await?;
    let rate = |id: JobId| jobs.iter().find(|job| job.id == id).and_then(|job| job.done_per_s);
    let now = snapshot.now;
    let found = snapshot.jobs.iter().map(|view| Job::new(view, now, rate(view.id))).filter(wanted);
    Ok(Told::new(told(now, found.collect())))
}

async fn one(call: Call<JobId>) -> Result<Told<JobDetail>, Refusal> {
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    match read::detail(&call.monitor, &Topic::Job(call.path), Some(reading)).await? {
        Some(Detail::Job(job, _)) => Ok(Told::new(*job)),
        Some(Detail::None(problem)) => Err(problem.into()),
        _ => Err(Problem::unknown_job(call.path).into()),
    }
}

query! {
    struct ChunksQuery {
        /// Most stretches.
        limit: Limit<256, 512>,
    }
}

async fn chunks(call: Call<JobId, ChunksQuery>) -> Result<Told<Chunks>, Refusal> {
    let (broker, job) = (call.monitor.broker(), call.path);
    let (_, view) = broker.job(job).await?;
    let total = view.ok_or_else(|| Problem::unknown_job(job))?.total;
    let most = Limit::of(call.query.limit).into();
    let map = broker.map_chunks(job, total, most).await?;
    let map = map.ok_or_else(|| Problem::unknown_job(job))?;
    let size = map.size.max(1);
    let stretches = map.stretches.iter().zip((0..).step_by(size as usize));
    let mut stretches: Vec<Stretch> = stretches
        .map(|(stretch, first)| Stretch {
            first,
            chunks: size.min(total - first),
            done: stretch.done,
            retried: stretch.retried,
            running: 0,
        })
        .collect();
    let observation = call.monitor.latest().await;
    let workers = observation.reading.as_ref().map_or(&[][..], |reading| &reading.workers);
    for (_, running) in running_of(workers, job) {
        let index = running.id.parse().ok().and_then(TaskId::chunk);
        let stretch =
            index.and_then(|index| stretches.get_mut(usize::try_from(index / size).ok()?));
        if let Some(stretch) = stretch {
            stretch.running += 1;
        }
    }
    Ok(Told::new(Chunks { job, total, stretch: size, stretches }))
}
