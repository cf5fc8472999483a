//! The exchange: the one place where a worker takes tasks from Redis and gives endings back, in
//! numbered calls, one at a time. While a call is under way the next batch collects.
//!
//! It calls when there is something to give or a reason to look: an ending, a bell, an event that
//! is due, now and then for safety. In a busy worker it waits a moment for more endings, as long
//! as the slots have enough to do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::script::{
    Claim, Claimed, Closed, Delivery, Ending, Grant, Opened, Run, RunField,
};
use celeriac_broker_schema::{
    BrokerError, ErrorKind, JobId, LeaseId, TaskFailure, TaskId, Timestamp,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::attempt::release;
use crate::bell::BellLine;
use crate::merge::{Merger, join_released};
use crate::outbox::{Ended, FULL, How};
use crate::pace::Pace;
use crate::shared::Shared;
use crate::task::{CancelReason, ErasedTask};
use crate::unit::{ChunkRun, Epoch, JobPlan, Unit, Work};

/// How long endings wait for more of them while the slots have enough to do.
const LINGER: Duration = Duration::from_millis(5);
/// The same where nobody waits for one of them alone: chunks that succeeded.
const LINGER_CHUNKS: Duration = Duration::from_millis(25);
/// What is enough: a round trip takes a fraction of it, also on a busy machine.
const ENOUGH: Duration = Duration::from_millis(4);
/// How often it is looked whether buffered tasks move.
const STALL: Duration = Duration::from_millis(100);
/// An idle worker looks at least this often, whatever it heard.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);
/// Most tasks asked for in one call.
const MOST: usize = 1_000;
/// Plans of jobs that are remembered.
const PLANS: usize = 256;
/// How long endings are still tried to be told when the worker leaves while Redis is away.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The loop's handles and state.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    bell: BellLine,
    lease: LeaseId,
    epoch: Epoch,
    /// The number of the last call under this lease.
    number: u64,
    pace: Pace,
    /// Tasks and runs that the lease holds as far as we know; runs with the chunks they have left.
    tasks: HashSet<TaskId>,
    runs: HashMap<RunField, u64>,
    plans: HashMap<JobId, Arc<JobPlan>>,
    /// The runs whose chunks succeed with the call under way.
    told: Vec<Arc<ChunkRun>>,
    /// Units in the process that have not freed their place, of whatever epoch.
    occupied: usize,
    suspects: usize,
    /// Whether to ask for work although nothing has ended.
    look: bool,
    /// Whether to tell what has ended although the slots have enough to do.
    tell: bool,
    /// When to look again without being called.
    look_at: Instant,
    handed_back: bool,
    leave_by: Option<Instant>,
}

/// The worker leaves with so many tasks that it could not tell of or give back.
struct LeftBehind(usize);

/// What made the exchange stop waiting.
enum Wake {
    Again,
    Look,
    Tell,
    Bell,
    Stall,
}

impl Exchange {
    pub(crate) fn new(shared: Arc<Shared>, bell: BellLine) -> Self {
        let (lease, epoch) = shared.lease();
        Self {
            shared,
            bell,
            lease,
            epoch,
            number: 0,
            pace: Pace::default(),
            tasks: HashSet::new(),
            runs: HashMap::new(),
            plans: HashMap::new(),
            told: Vec::new(),
            occupied: 0,
            suspects: 0,
            look: true,
            tell: false,
            look_at: Instant::now() + LOOK_ANYWAY,
            handed_back: false,
            leave_by: None,
        }
    }

    /// Runs until the worker has left in good order. Returns how many tasks it could not tell of or
    /// give back: Redis was away, and they will be reclaimed when the lease ends.
    pub(crate) async fn run(mut self) -> usize {
        let mut begun = self.shared.lanes.begun();
        loop {
            if self.shared.is_lost(self.epoch) && self.begin_new_lease().await.is_err() {
                return self.occupied;
            }
            if self.shared.shutdown.is_draining() {
                self.drain();
                if self.is_done() {
                    return self.leave().await;
                }
            }
            if self.must_call() {
                if let Err(LeftBehind(tasks)) = self.call().await {
                    return tasks;
                }
                continue;
            }
            match self.wait().await {
                Wake::Again => {}
                Wake::Look => self.look = true,
                Wake::Tell => self.tell = true,
                Wake::Bell => self.hear_bell().await,
                Wake::Stall => {
                    let now = self.shared.lanes.begun();
                    if now == begun && self.shared.lanes.buffered() > 0 {
                        self.hand_back(usize::MAX);
                        self.pace.took(STALL * 3);
                    }
                    begun = now;
                }
            }
        }
    }

    /// How many more units there is room for.
    fn want(&self) -> usize {
        // What is put beside a suspect would be lost with it.
        if self.shared.shutdown.is_draining() || self.suspects > 0 {
            return 0;
        }
        let slots = self.shared.config.concurrency;
        (slots + self.pace.ahead(slots)).saturating_sub(self.occupied).min(MOST)
    }

    fn must_call(&self) -> bool {
        let ended = self.shared.outbox.len();
        if ended >= FULL || (ended > 0 && (self.tell || self.is_low())) {
            return true;
        }
        self.look && self.want() > 0
    }

    /// Whether the slots may soon have nothing to do.
    fn is_low(&self) -> bool {
        let slots = self.shared.config.concurrency;
        let buffered = self.shared.lanes.buffered();
        buffered * 2 <= self.pace.ahead(slots) && self.pace.time_for(buffered, slots) < ENOUGH
    }

    async fn wait(&mut self) -> Wake {
        let shared = &self.shared;
        let endings_wait = shared.outbox.len() > 0;
        let buffered = shared.lanes.buffered() > 0;
        let idle = self.want() > 0;
        let linger = if shared.outbox.is_awaited() { LINGER } else { LINGER_CHUNKS };
        // A token is of use to those who have not enough to do.
        self.bell.listen(idle && self.is_low());
        let leave_by = self.leave_by;
        tokio::select! {
            () = shared.outbox.arrived() => Wake::Again,
            () = self.bell.rang() => Wake::Bell,
            () = shared.lease_news.notified() => Wake::Again,
            () = shared.shutdown.draining(), if !shared.shutdown.is_draining() => Wake::Again,
            () = shared.shutdown.told_now(), if !shared.shutdown.is_now() => Wake::Again,
            () = sleep(linger), if endings_wait => Wake::Tell,
            () = sleep(STALL), if buffered && !endings_wait => Wake::Stall,
            () = sleep_until(self.look_at), if idle => Wake::Look,
            () = sleep_until(leave_by.unwrap_or(self.look_at)), if leave_by.is_some() => Wake::Again,
        }
    }

    async fn hear_bell(&mut self) {
        self.look = true;
        if self.want() == 0
            && let Err(error) = self.shared.broker.ring(&self.shared.config.queues).await
        {
            tracing::debug!(%error, "a bell could not be passed on");
        }
    }

    /// One round trip: endings out, tasks in. It is repeated under its number until it is
    /// answered, or the lease is known to be lost.
    ///
    /// # Errors
    /// The worker leaves before that.
    async fn call(&mut self) -> Result<(), LeftBehind> {
        let (endings, freed) = self.collect();
        self.occupied -= freed;
        self.number += 1;
        let want = self.want();
        (self.look, self.tell) = (false, false);
        let shared = Arc::clone(&self.shared);
        let claim = Claim {
            lease: &self.lease.clone(),
            number: self.number,
            want,
            suspect: self.suspects == 0,
            crash_limit: shared.config.crash_limit,
            queues: &shared.config.queues,
        };
        let mut pause = Duration::from_millis(20);
        loop {
            let answer = if endings.is_empty() {
                shared.broker.claim(&claim).await
            } else {
                shared.broker.complete(&claim, &endings).await
            };
            match answer {
                Ok(Claimed::Granted(grant)) => {
                    self.fail_refused(&grant.refused, &endings);
                    self.take_in(grant, want);
                }
                Ok(Claimed::Repeated { now, tasks, runs }) => self.take_in_again(now, tasks, runs),
                Ok(Claimed::Lost) => shared.lease_lost(self.epoch),
                Err(error) => {
                    if !self.wait_out(&error, &mut pause).await {
                        return Err(LeftBehind(self.occupied + endings.len()));
                    }
                    // Then there is nobody left to tell of it.
                    if !shared.is_lost(self.epoch) {
                        continue;
                    }
                }
            }
            shared.count_call();
            return Ok(());
        }
    }

    /// Waits a little before a call is repeated. False if there is no time left for it.
    async fn wait_out(&mut self, error: &BrokerError, pause: &mut Duration) -> bool {
        if error.is_temporary() {
            tracing::debug!(%error, "Redis is away; what runs goes on");
        } else {
            tracing::error!(%error, "Redis refuses a call; it is repeated");
            *pause = Duration::from_secs(1);
        }
        // The word to leave may come while Redis is away.
        if self.shared.shutdown.is_draining() {
            self.drain();
        }
        if self.leave_by.is_some_and(|by| Instant::now() > by + LAST_WORDS) {
            return false;
        }
        sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        *pause = (*pause * 2).min(Duration::from_secs(1));
        true
    }

    /// Takes what has ended since the last call. Returns the endings to tell, and how many units
    /// freed their place.
    fn collect(&mut self) -> (Vec<Ending>, usize) {
        let ended = self.shared.outbox.take();
        let freed = ended.iter().filter(|ended| ended.frees).count();
        let mut endings = Vec::with_capacity(ended.len());
        let mut merger = Merger::default();
        for Ended { epoch, how, took, suspect, .. } in ended {
            if took > Duration::ZERO {
                self.pace.took(took);
            }
            self.suspects -= usize::from(suspect && !matches!(how, How::Silent));
            // What ran under a lost lease is somebody else's now.
            if epoch != self.epoch {
                continue;
            }
            match how {
                How::Silent => {}
                How::Chunk(Work::Chunk { run, index }, deltas) => {
                    self.let_go(&run.run.field, 1);
                    merger.add(run, index, deltas);
                }
                How::Chunk(Work::Task(_), _) => {}
                How::Told(id, ending) => {
                    self.forget(id, &ending);
                    if !endings.last_mut().is_some_and(|last| join_released(last, &ending)) {
                        endings.push(*ending);
                    }
                }
            }
        }
        self.told = merger.runs();
        endings.extend(merger.finish());
        self.hand_back_surplus();
        (endings, freed)
    }

    fn forget(&mut self, id: TaskId, ending: &Ending) {
        match ending {
            Ending::ChunkRetry { run, .. } | Ending::ChunkFailed { run, .. } => self.let_go(run, 1),
            Ending::ChunksSucceeded { run, lo, hi, .. }
            | Ending::ChunksReleased { run, lo, hi } => {
                self.let_go(run, hi - lo);
            }
            _ => {
                self.tasks.remove(&id);
            }
        }
    }

    fn let_go(&mut self, run: &RunField, chunks: u64) {
        if let Some(left) = self.runs.get_mut(run) {
            *left = left.saturating_sub(chunks);
            if *left == 0 {
                self.runs.remove(run);
            }
        }
    }

    fn take_in(&mut self, grant: Grant, want: usize) {
        for id in &grant.stale {
            tracing::warn!(
                id,
                "an ending was not accepted: the task was given to somebody else, or its job is over"
            );
        }
        self.shared.clock.set(grant.now);
        let before = self.occupied;
        self.deliver(grant.tasks, grant.runs);
        if self.occupied - before < want {
            self.look_at = self.next_look(grant.now, grant.next_event, grant.watching);
        }
    }

    /// Idle workers sleep exactly until the next event; all but one of them a little longer, so
    /// that they do not come as a herd.
    fn next_look(&self, now: Timestamp, event: Option<Timestamp>, watching: bool) -> Instant {
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
    fn take_in_again(&mut self, now: Timestamp, tasks: Vec<Delivery>, runs: Vec<Run>) {
        self.shared.clock.set(now);
        let tasks = tasks.into_iter().filter(|task| !self.tasks.contains(&task.id)).collect();
        let runs = runs.into_iter().filter(|run| !self.runs.contains_key(&run.field)).collect();
        self.deliver(tasks, runs);
        self.look = true;
    }

    fn deliver(&mut self, tasks: Vec<Delivery>, runs: Vec<Run>) {
        let epoch = self.epoch;
        let mut awaiting = Vec::with_capacity(tasks.len());
        let mut computing = Vec::new();
        for delivery in tasks {
            self.tasks.insert(delivery.id);
            awaiting.push(Unit { epoch, work: Work::Task(Box::new(delivery)) });
        }
        for run in runs {
            let Some(run) = self.plan(run) else { continue };
            self.runs.insert(run.run.field.clone(), run.run.hi - run.run.lo);
            let computes = matches!(self.shared.tasks.get(&run.job.task), Some(ErasedTask::Cpu(_)));
            let units = (run.run.lo..run.run.hi)
                .map(|index| Unit { epoch, work: Work::Chunk { run: Arc::clone(&run), index } });
            if computes { computing.extend(units) } else { awaiting.extend(units) }
        }
        for unit in awaiting.iter().chain(&computing) {
            self.pace.weighed(unit.bytes());
            self.suspects += usize::from(unit.is_suspect());
        }
        self.occupied += awaiting.len() + computing.len();
        if !awaiting.is_empty() {
            self.shared.lanes.push_to_await(awaiting);
        }
        if !computing.is_empty() {
            self.shared.lanes.push_to_compute(computing);
        }
    }

    /// The plan of a run's job, read once. A job whose description cannot be read fails.
    fn plan(&mut self, run: Run) -> Option<Arc<ChunkRun>> {
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

    /// Fails the jobs of chunks that succeeded and yet cannot be counted.
    fn fail_refused(&self, refused: &[String], endings: &[Ending]) {
        for ending in endings {
            if let Ending::ChunksSucceeded { run, lo, hi, .. } = ending
                && refused.iter().any(|refused| refused == run.as_str())
                && let Some(told) = self.told.iter().find(|told| told.run.field == *run)
            {
                let reason = "its numbers leave the range in which sums are exact, up to 2^62";
                let failure = TaskFailure::new(ErrorKind::BadAccumulator, reason);
                self.fail_chunks(&told.run, *lo, *hi, &failure);
            }
        }
    }

    /// Fails chunk `lo` of a run, and with it its job, and gives up those up to `hi`.
    fn fail_chunks(&self, run: &Run, lo: u64, hi: u64, failure: &TaskFailure) {
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
            let ended = Ended {
                epoch: self.epoch,
                how,
                took: Duration::ZERO,
                frees: false,
                suspect: false,
            };
            self.shared.outbox.push(ended, true);
        }
    }

    /// Gives back what has not begun, up to `most` of it, the last first: so the first of it comes to
    /// be in front.
    fn hand_back(&mut self, most: usize) {
        for unit in self.shared.lanes.take_last(most) {
            let ended = Ended {
                epoch: unit.epoch,
                how: How::Told(unit.id(), Box::new(release(&unit))),
                took: Duration::ZERO,
                frees: true,
                suspect: unit.is_suspect(),
            };
            self.shared.outbox.push(ended, true);
        }
    }

    /// Gives back what was taken on a guess that turned out wrong: the tasks take longer than those
    /// before them, and others may be free for them.
    fn hand_back_surplus(&mut self) {
        let fitting = 2 * self.pace.ahead(self.shared.config.concurrency) + 8;
        let surplus = self.shared.lanes.buffered().saturating_sub(fitting);
        if surplus > 0 {
            self.hand_back(surplus + fitting / 2);
        }
    }

    /// Another lease, because this one is lost. What ran under it has been told to stop.
    async fn begin_new_lease(&mut self) -> Result<(), ()> {
        let dropped = self.shared.lanes.take_last(usize::MAX);
        self.occupied -= dropped.len();
        self.suspects -= dropped.iter().filter(|unit| unit.is_suspect()).count();
        self.tasks.clear();
        self.runs.clear();
        let lease = LeaseId::new();
        let mut pause = Duration::from_millis(20);
        loop {
            match self.shared.broker.open(&lease, self.shared.config.visibility).await {
                Ok(Opened::At(now)) => {
                    self.shared.clock.set(now);
                    break;
                }
                Ok(Opened::Taken) => break,
                Err(error) => {
                    if !self.wait_out(&error, &mut pause).await {
                        return Err(());
                    }
                }
            }
        }
        self.epoch = self.shared.set_lease(lease.clone());
        self.lease = lease;
        self.number = 0;
        self.look = true;
        // An idle worker must come to know when this lease ends. Lost, it only comes later.
        let _ = self.shared.broker.ring(&self.shared.config.queues).await;
        tracing::info!(lease = %self.lease, "a new lease is open");
        Ok(())
    }

    /// Moves on with leaving: first what has not begun goes back, then what runs may finish until
    /// the time is over, then it is told to stop and goes back, too.
    fn drain(&mut self) {
        let by =
            *self.leave_by.get_or_insert_with(|| Instant::now() + self.shared.config.drain_timeout);
        // A slot may have put something back into the lanes meanwhile.
        if self.shared.lanes.buffered() > 0 {
            self.hand_back(usize::MAX);
        }
        if !self.handed_back && (Instant::now() >= by || self.shared.shutdown.is_now()) {
            self.handed_back = true;
            self.shared.cancel(CancelReason::Stopping, |_| true);
            // Those that stop in time are told as they end; the others go back with the lease.
            self.leave_by = Some(Instant::now() + Duration::from_secs(1));
        }
    }

    fn is_done(&self) -> bool {
        let given_up = self.handed_back && self.leave_by.is_some_and(|by| Instant::now() >= by);
        self.shared.outbox.len() == 0 && (self.occupied == 0 || given_up)
    }

    /// Hands back what still runs (it did not stop when told to), and ends the lease.
    async fn leave(&mut self) -> usize {
        for running in self.shared.running() {
            if let Some(how) = running.give_up() {
                let ended = Ended {
                    epoch: running.unit.epoch,
                    how,
                    took: Duration::ZERO,
                    // Its slot may still free its place itself.
                    frees: false,
                    suspect: false,
                };
                self.shared.outbox.push(ended, true);
            }
        }
        if self.shared.outbox.len() > 0
            && let Err(LeftBehind(tasks)) = self.call().await
        {
            return tasks;
        }
        let mut closed = self.shared.broker.close(&self.lease).await;
        if closed.as_ref().is_err_and(BrokerError::is_temporary) {
            // An idle worker may not have noticed yet that its connection is broken.
            closed = self.shared.broker.close(&self.lease).await;
        }
        // A token that was taken on the way out is of use to others.
        let _ = self.shared.broker.ring(&self.shared.config.queues).await;
        match closed {
            Ok(Closed::Busy(held)) => usize::try_from(held).unwrap_or(usize::MAX),
            Ok(Closed::Done | Closed::Lost) => 0,
            Err(error) => {
                tracing::warn!(%error, "the lease could not be closed; it will expire");
                self.occupied
            }
        }
    }
}
