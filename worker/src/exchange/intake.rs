//! What a call brought: deliveries into the lanes, and what could not be taken as it was told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::script::{Delivery, Ending, Grant, Run};
use celeriac_broker_schema::{ErrorKind, TaskFailure, TaskId, Timestamp};
use tokio::time::Instant;

use super::{Exchange, LOOK_ANYWAY};
use crate::events::Event;
use crate::outbox::{Ended, How};
use crate::task::ErasedTask;
use crate::unit::{ChunkRun, JobPlan, Unit, Work, cost_of};

/// Plans of jobs that are remembered.
const PLANS: usize = 256;

impl Exchange {
    pub(super) fn take_in(&mut self, grant: Grant, want: usize) {
        for id in &grant.stale {
            tracing::warn!(
                id,
                "an ending was not accepted: the task was given to somebody else, or its job is over"
            );
            self.shared.events.tell(|| Event::Stale { id: id.clone() });
        }
        self.shared.clock.set(grant.now);
        if self.deliver(grant.tasks, grant.runs) < want {
            self.look_at = self.next_look(grant.now, grant.next_event, grant.watching);
            self.shared.schedules.tell(grant.next_schedule);
        }
    }

    /// Idle workers sleep exactly until the next event; all but one of them a little longer, so
    /// that they do not come as a herd.
    pub(super) fn next_look(
        &self,
        now: Timestamp,
        event: Option<Timestamp>,
        watching: bool,
    ) -> Instant {
        let anyway = LOOK_ANYWAY.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        let wait = match event {
            Some(at) => {
                let until = Duration::from_millis(at.since(now).max(1));
                let later = if watching { 0.0 } else { 0.05 + rand::random::<f64>() / 4.0 };
                anyway.min(until + Duration::from_secs_f64(later))
            }
            None => anyway,
        };
        Instant::now() + wait
    }

    /// The reply of the call before was lost: what it gave is in here, together with what we have.
    pub(super) fn take_in_again(&mut self, now: Timestamp, tasks: Vec<Delivery>, runs: Vec<Run>) {
        self.shared.clock.set(now);
        let tasks = tasks.into_iter().filter(|task| !self.tasks.contains(&task.id)).collect();
        let runs = runs.into_iter().filter(|run| !self.runs.contains_key(&run.field)).collect();
        self.deliver(tasks, runs);
        self.look = true;
    }

    /// Puts deliveries into the lanes. Returns how many units they are.
    pub(super) fn deliver(&mut self, tasks: Vec<Delivery>, runs: Vec<Run>) -> usize {
        let epoch = self.epoch;
        let slots = self.shared.changes.slots();
        // What costs more than there is fails as soon as it begins, and waits for no more than one.
        let within =
            |cost: u32| usize::try_from(cost).ok().filter(|cost| *cost <= slots).unwrap_or(1);
        let mut awaiting = Vec::with_capacity(tasks.len());
        let mut computing = Vec::new();
        for delivery in tasks {
            self.tasks.insert(delivery.id);
            let cost = within(cost_of(&delivery.record));
            let work = Work::Task(Box::new(delivery));
            awaiting.push(Unit { epoch, work, cost, input: None, data: Vec::new() });
        }
        for run in runs {
            let Some(run) = self.plan(run) else { continue };
            self.runs.insert(run.run.field.clone(), run.run.hi - run.run.lo);
            if run.job.speculates {
                self.shared.speculates.store(true, Ordering::Relaxed);
            }
            let computes = matches!(self.shared.tasks.get(&run.job.task), Some(ErasedTask::Cpu(_)));
            let units = (run.run.lo..run.run.hi).map(|index| {
                let cost = run.run.record(index).map_or(run.job.options.cost, cost_of);
                let work = Work::Chunk { run: Arc::clone(&run), index };
                Unit { epoch, work, cost: within(cost), input: None, data: Vec::new() }
            });
            if computes { computing.extend(units) } else { awaiting.extend(units) }
        }
        for unit in awaiting.iter().chain(&computing) {
            self.pace.weighed(unit.bytes());
            self.suspects += usize::from(unit.is_suspect());
        }
        let units = awaiting.len() + computing.len();
        if units > 0 {
            self.shared.events.tell(|| Event::Claimed { units });
        }
        let costs = awaiting.iter().chain(&computing).map(|unit| unit.cost).sum::<usize>();
        self.occupied += costs;
        if !awaiting.is_empty() {
            self.shared.lanes.push_to_await(awaiting);
        }
        if !computing.is_empty() {
            self.shared.lanes.push_to_compute(computing);
        }
        if costs > units {
            self.hand_back_costly();
        }
        units
    }

    /// The plan of a run's job, read once. A job whose description cannot be read fails.
    pub(super) fn plan(&mut self, run: Run) -> Option<Arc<ChunkRun>> {
        if let Some(job) = self.plans.get(&run.job) {
            return Some(Arc::new(ChunkRun { job: Arc::clone(job), run }));
        }
        match JobPlan::read(&run.spec) {
            Ok(job) => {
                if self.plans.len() >= PLANS {
                    self.plans.clear();
                }
                let job = Arc::new(job);
                self.plans.insert(run.job, Arc::clone(&job));
                Some(Arc::new(ChunkRun { job, run }))
            }
            Err(error) => {
                let failure = TaskFailure::new(ErrorKind::BadRecord, error.to_string());
                self.fail_chunks(&run, run.lo, run.hi, &failure);
                None
            }
        }
    }

    /// Fails chunks that succeeded and yet cannot be counted, and members that spawned too many others.
    pub(super) fn fail_refused(&self, refused: &[String], endings: &[Ending]) {
        for ending in endings {
            let (run, lo, hi, kind, reason) = match ending {
                Ending::ChunksSucceeded { run, lo, hi, .. }
                | Ending::MembersSucceeded { run, lo, hi, .. } => {
                    let reason = "its numbers leave the range in which sums are exact, up to 2^62";
                    (run, *lo, *hi, ErrorKind::BadAccumulator, reason)
                }
                Ending::MemberSpawned { run, index, .. } => {
                    let reason = "its job would get more members, or members deeper below one another, than it may have; or its numbers leave the range in which sums are exact";
                    (run, *index, index + 1, ErrorKind::BadResult, reason)
                }
                _ => continue,
            };
            let is_refused = refused.iter().any(|refused| refused == run.as_str());
            let told = self.told.iter().find(|told| told.run.field == *run);
            if is_refused && let Some(told) = told {
                self.fail_chunks(&told.run, lo, hi, &TaskFailure::new(kind, reason));
            }
        }
    }

    /// Fails chunk `lo` of a run, and with it its job, and gives up those up to `hi`.
    pub(super) fn fail_chunks(&self, run: &Run, lo: u64, hi: u64, failure: &TaskFailure) {
        let json = serde_json::to_string(failure).expect("our own types are always JSON");
        let ended = self.shared.clock.now();
        let endings = [
            Ending::ChunkFailed {
                run: run.field.clone(),
                index: lo,
                outcome: format!(r#"{{"v":1,"state":"failed","error":{json},"ended":{ended}}}"#),
                attempt: format!(
                    r#"{{"attempt":{},"outcome":"failed","worker":"{}","ended":{ended},"error":{json}}}"#,
                    run.attempt, self.lease
                ),
                failure: json,
            },
            Ending::ChunksReleased { run: run.field.clone(), lo: lo + 1, hi },
        ];
        let real = if hi - lo > 1 { 2 } else { 1 };
        for ending in endings.into_iter().take(real) {
            let how = How::Told(TaskId::of_chunk(run.job, lo), Box::new(ending));
            let ended = Ended::besides(self.epoch, how);
            self.shared.outbox.push(ended, true);
        }
    }
}
