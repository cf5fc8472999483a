//! Collects the facts: a few looks one after the other, and once more if the task moved meanwhile.

use super::{Explanation, Facts, JobFacts, Order, Place, Standing, Surroundings};
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::job::JobSpec;
use crate::meta::Meta;
use crate::outcome::{Outcome, attempts_of, counts_of};
use crate::record::Record;
use crate::requester::{Note, Requester};
use crate::script::{Found, JobView, Question, Whereabouts};
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::WorkerInfo;

/// Workers that are looked at, in pages: enough to know whether a queue is served.
const WORKERS: u64 = 2_000;
const PAGE: u32 = 200;

/// Looks at a task that moves all the time.
const LOOKS: usize = 3;

/// What there is to say of a task, a chunk or a job.
pub(crate) async fn gather(broker: &Broker, id: TaskId) -> Result<Explanation, BrokerError> {
    let mut looks = 1;
    loop {
        let facts = look(broker, id).await?;
        if looks == LOOKS || !has_moved(&facts) {
            return Ok(Explanation::of(&facts));
        }
        looks += 1;
    }
}

/// It was ready, and a moment later not to be found where it should be.
fn has_moved(facts: &Facts) -> bool {
    let Surroundings { ahead, suspects_ahead, orphan, turn, shut, .. } = &facts.around;
    let parked = shut.iter().any(|shut| shut.before.is_some());
    let listed = ahead.is_some() || suspects_ahead.is_some() || turn.is_some();
    let seen = listed || parked || orphan.is_some();
    matches!(facts.standing, Standing::Ready) && !seen
}

async fn look(broker: &Broker, id: TaskId) -> Result<Facts, BrokerError> {
    let (_, job) = broker.job(id.job()).await?;
    let mut facts = Facts {
        id,
        now: Timestamp(0),
        standing: Standing::Unknown,
        order: None,
        job: job.as_ref().map(JobFacts::of),
        failures: 0,
        crashes: 0,
        attempts: Vec::new(),
        around: Surroundings::default(),
        workers: Vec::new(),
        known: Vec::new(),
    };
    let under_way = job.filter(|job| id.chunk().is_none() && job.state == "running");
    match under_way {
        Some(job) => {
            facts.standing = Standing::Chunks;
            // Of a workflow, each member has an order of its own.
            let spec = JobSpec::decode(&job.spec).ok().filter(|spec| spec.workflow.is_none());
            facts.order = spec.map(|spec| Order::of(spec.chunk));
            // People know the job by its own label.
            let label = JobSpec::decode(&job.spec).ok().and_then(|spec| spec.label);
            if let (Some(order), Some(label)) = (&mut facts.order, label) {
                order.meta.label = Some(label.into_owned());
            }
        }
        None => facts.take_in(broker.inspect(id).await?),
    }
    look_around(broker, &mut facts).await?;
    if matches!(facts.standing, Standing::Settled(State::Cancelled)) {
        facts.around.cancel = who_cancelled(broker, id).await?;
    }
    Ok(facts)
}

/// Who cancelled the job of a chunk, if somebody did.
async fn who_cancelled(broker: &Broker, chunk: TaskId) -> Result<Option<Note>, BrokerError> {
    let Found::Ended(stored) = broker.inspect(chunk.job().task()).await? else {
        return Ok(None);
    };
    let outcome = serde_json::from_str::<Outcome>(&stored).ok();
    Ok(outcome.filter(|outcome| outcome.state == State::Cancelled).map(|outcome| {
        let Outcome { ended: at, by, why, .. } = outcome;
        Note { at, who: Requester { by, why } }
    }))
}

async fn look_around(broker: &Broker, facts: &mut Facts) -> Result<(), BrokerError> {
    let ready = matches!(facts.standing, Standing::Ready | Standing::Chunks);
    let waits = ready || matches!(facts.standing, Standing::Delayed(_));
    let lease = match &facts.standing {
        Standing::Held { lease, .. } => Some(lease.as_str()),
        _ => None,
    };
    for _ in 0..2 {
        let order = facts.order.as_ref().filter(|_| waits);
        let question = Question { id: facts.id, order, ready, lease };
        (facts.now, facts.around) = broker.surroundings(&question).await?;
        let (Some(to), Some(order)) = (&facts.around.moved, &mut facts.order) else { break };
        order.place.queue = to.clone();
    }
    let ended = matches!(facts.standing, Standing::Ended(_) | Standing::Settled(_));
    if !ended && !matches!(facts.standing, Standing::Unknown) {
        facts.workers = workers(broker).await?;
    }
    Ok(())
}

/// The workers that are alive and can be read.
async fn workers(broker: &Broker) -> Result<Vec<(String, WorkerInfo)>, BrokerError> {
    let mut all = Vec::new();
    let mut offset = 0;
    loop {
        let page = broker.workers(offset, PAGE).await?;
        let alive = page.page.into_iter().filter(|worker| worker.expires >= page.now);
        all.extend(alive.filter_map(|worker| {
            Some((worker.lease, serde_json::from_str(&worker.description).ok()?))
        }));
        offset += u64::from(PAGE);
        if offset >= page.total.min(WORKERS) {
            return Ok(all);
        }
    }
}

impl Facts {
    fn take_in(&mut self, found: Found) {
        match found {
            Found::Unknown => {}
            Found::Ended(stored) => {
                self.standing = match serde_json::from_str::<Outcome>(&stored) {
                    Ok(outcome) => {
                        self.attempts = outcome.attempts.clone();
                        Standing::Ended(Box::new(outcome))
                    }
                    Err(_) => Standing::Unreadable,
                };
            }
            Found::Task { whereabouts, record, history, moved } => {
                self.stand(whereabouts, &history);
                self.order = Record::decode(&record).ok().map(Order::of);
                if let (Some(order), Some(to)) = (&mut self.order, moved) {
                    order.place.queue = to;
                }
            }
            Found::Chunk { whereabouts, spec, history, .. } => {
                self.stand(whereabouts, &history);
                self.order = JobSpec::decode(&spec).ok().map(|spec| Order::of(spec.chunk));
            }
        }
    }

    fn stand(&mut self, whereabouts: Whereabouts, history: &str) {
        (self.failures, self.crashes) = counts_of(history);
        self.attempts = attempts_of(history);
        self.standing = match whereabouts {
            Whereabouts::Waiting => Standing::Waiting,
            Whereabouts::Delayed(due) => Standing::Delayed(Timestamp(due)),
            Whereabouts::Queued => Standing::Ready,
            Whereabouts::Running { lease, attempt, claimed } => {
                Standing::Held { lease, attempt, claimed: Timestamp(claimed) }
            }
            Whereabouts::Succeeded => Standing::Settled(State::Succeeded),
            Whereabouts::Failed(_) => Standing::Settled(State::Failed),
            Whereabouts::Cancelled => Standing::Settled(State::Cancelled),
        };
    }
}

impl Order {
    fn of(mut record: Record<'_>) -> Self {
        let options = record.options();
        let meta: Meta = record.take_meta();
        Self {
            task: record.task.into_owned(),
            tenant: options.tenant.as_ref().map(ToString::to_string),
            cost: options.cost,
            place: Place { queue: options.queue, priority: options.priority },
            meta,
        }
    }
}

impl JobFacts {
    fn of(job: &JobView) -> Self {
        Self {
            total: job.total,
            done: job.done,
            begun: job.started.is_some(),
            failed_task: job.failed_task.clone(),
            paused: job.paused.clone(),
        }
    }
}
