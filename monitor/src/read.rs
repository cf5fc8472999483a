//! The reads of single jobs and tasks: a bounded number of calls each.

use celeriac_broker_schema::script::{Found, JobView};
use celeriac_broker_schema::{Broker, BrokerError, JobId, Outcome, TaskId};

use crate::error::Problem;
use crate::model::{JobDetail, Task};
use crate::observation::{Detail, Reading};
use crate::state::Monitor;
use crate::viewers::Topic;

/// What a page is about, beyond the reading; None for the overview, which is the reading. What is not
/// to be shown is not in it.
///
/// # Errors
/// Redis is away. What is wrong with the one thing alone is a [`Detail::None`].
pub(crate) async fn detail(
    monitor: &Monitor,
    topic: Topic,
    reading: Option<&Reading>,
) -> Result<Option<Detail>, BrokerError> {
    let (broker, hidden) = (monitor.broker(), &monitor.config().redaction);
    let detail = match topic {
        Topic::Overview => return Ok(None),
        Topic::Job(id) => job(broker, id, reading).await,
        Topic::Task(id) => task(broker, id, reading).await,
    };
    match detail {
        Ok(Detail::Job(mut job)) => {
            hidden.job(&mut job);
            Ok(Some(Detail::Job(job)))
        }
        Ok(Detail::Task(mut task)) => {
            hidden.task(&mut task);
            Ok(Some(Detail::Task(task)))
        }
        Ok(detail) => Ok(Some(detail)),
        Err(error @ (BrokerError::Script { .. } | BrokerError::Protocol { .. })) => {
            Ok(Some(Detail::None(error.into())))
        }
        Err(error) => Err(error),
    }
}

async fn job(broker: &Broker, id: JobId, reading: Option<&Reading>) -> Result<Detail, BrokerError> {
    let (now, view) = broker.job(id).await?;
    let Some(view) = view else {
        return Ok(Detail::None(Problem::unknown_job(id)));
    };
    let outcome = match view.ended {
        Some(_) => outcome(broker, &view).await?,
        None => None,
    };
    let listed = reading.and_then(|reading| reading.jobs.iter().find(|job| job.id == id));
    let rate = listed.and_then(|job| job.done_per_s);
    Ok(Detail::Job(Box::new(JobDetail::new(&view, now, rate, outcome))))
}

async fn outcome(broker: &Broker, view: &JobView) -> Result<Option<Outcome>, BrokerError> {
    let found = broker.inspect(view.id.task()).await?;
    Ok(match found {
        Found::Ended(outcome) => serde_json::from_str(&outcome).ok(),
        _ => None,
    })
}

async fn task(
    broker: &Broker,
    id: TaskId,
    reading: Option<&Reading>,
) -> Result<Detail, BrokerError> {
    let found = broker.inspect(id).await?;
    // Also tells the time, and whether the id is that of a job.
    let (now, job) = broker.job(id.job()).await?;
    let task = Task::new(id, &found, now, job.is_some());
    Ok(match task {
        Some(mut task) => {
            let workers = reading.map_or(&[][..], |reading| &reading.workers);
            task.add_progress(workers);
            Detail::Task(Box::new(task))
        }
        None => Detail::None(Problem::unknown_task(id)),
    })
}
