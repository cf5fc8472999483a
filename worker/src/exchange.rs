//! The exchange: the one place where a worker takes tasks from Redis and gives endings back, in
//! numbered calls, one at a time. While a call is under way the next batch collects.
//!
//! It calls when there is something to give or a reason to look: an ending, a bell, an event that
//! is due, now and then for safety. In a busy worker it waits a moment for more endings, as long
//! as the slots have enough to do.

mod intake;
mod leave;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::script::{Claim, Claimed, Ending, OwnRoom, Room, RunField};
use celeriac_broker_schema::{BrokerError, JobId, LeaseId, QueueName, TaskId};
use tokio::time::{Instant, sleep, sleep_until};

use crate::bell::{BellLine, Queues};
use crate::merge::{Merger, join_released};
use crate::outbox::{Ended, FULL, How};
use crate::pace::Pace;
use crate::shared::Shared;
use crate::unit::{ChunkRun, Epoch, JobPlan};

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
/// How long endings are still tried to be told when the worker leaves while Redis is away.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The loop's handles and state.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    bell: BellLine,
    /// All queues that are served.
    all: Queues,
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
    Order,
}

impl Exchange {
    pub(crate) fn new(shared: Arc<Shared>, bell: BellLine) -> Self {
        let (lease, epoch) = shared.lease();
        let all = shared.served().names().into();
        Self {
            shared,
            bell,
            all,
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
                // What has not begun was taken under other rules.
                Wake::Order => {
                    self.serve();
                    self.hand_back(usize::MAX);
                    self.look = true;
                }
                Wake::Stall => {
                    let now = self.shared.lanes.begun();
                    let waits_for_room = self.shared.lanes.heavy_waits();
                    if now == begun && self.shared.lanes.buffered() > 0 && !waits_for_room {
                        self.hand_back(usize::MAX);
                        self.pace.took(1, STALL * 3);
                    }
                    begun = now;
                }
            }
        }
    }

    /// How many more units there is room for.
    fn want(&self) -> usize {
        // What is put beside a suspect would be lost with it.
        if self.shared.shutdown.is_draining()
            || self.suspects > 0
            || self.shared.changes.is_paused()
        {
            return 0;
        }
        let slots = self.shared.changes.slots();
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
        // However much is buffered for the others, these slots wait for their queue.
        if self.shared.lanes.has_idle_reserve() {
            return true;
        }
        let slots = self.shared.changes.slots();
        let buffered = self.shared.lanes.buffered();
        buffered * 2 <= self.pace.ahead(slots) && self.pace.time_for(buffered, slots) < ENOUGH
    }

    async fn wait(&mut self) -> Wake {
        let shared = &self.shared;
        let endings_wait = shared.outbox.len() > 0;
        let buffered = shared.lanes.buffered() > 0;
        let idle = self.want() > 0;
        shared.tell_asks(idle);
        let linger = if shared.outbox.is_awaited() { LINGER } else { LINGER_CHUNKS };
        // A token is of use to those who have not enough to do.
        self.bell.listen(if idle && self.is_low() { self.queues_with_room() } else { None });
        let (leave_by, handed_back) = (self.leave_by, self.handed_back);
        tokio::select! {
            () = shared.outbox.arrived() => Wake::Again,
            () = self.bell.rang() => Wake::Bell,
            () = shared.lease_news.notified() => Wake::Again,
            // The ending of a unit may be told before its slot is free.
            () = shared.lanes.room_news.notified() => Wake::Again,
            () = shared.changes.news.notified() => Wake::Order,
            // Asked is what this loop has seen of it: the word may come just before the question.
            () = shared.shutdown.draining(), if leave_by.is_none() => Wake::Again,
            () = shared.shutdown.told_now(), if !handed_back => Wake::Again,
            () = sleep(linger), if endings_wait => Wake::Tell,
            () = sleep(STALL), if buffered && !endings_wait => Wake::Stall,
            () = sleep_until(self.look_at), if idle => Wake::Look,
            () = sleep_until(leave_by.unwrap_or(self.look_at)), if leave_by.is_some() => Wake::Again,
        }
    }

    /// Serves the queues that are wanted by now.
    fn serve(&mut self) {
        let all: Queues = self.shared.served().names().into();
        if all != self.all {
            self.all = all;
            self.bell.turn_to(self.queues_with_room());
        }
    }

    /// The queues of which something can be taken.
    fn queues_with_room(&self) -> Option<Queues> {
        let Some(rooms) = self.rooms() else { return Some(Arc::clone(&self.all)) };
        let queues: Queues =
            self.all.iter().filter(|queue| self.has_room(&rooms, queue)).cloned().collect();
        (!queues.is_empty()).then_some(queues)
    }

    /// How much of each class of queues can be taken; None: as much as there is room at all.
    fn rooms(&self) -> Option<(Vec<usize>, usize)> {
        self.shared.lanes.room(self.pace.ahead(self.shared.changes.slots()))
    }

    fn has_room(&self, (own, pool): &(Vec<usize>, usize), queue: &QueueName) -> bool {
        *pool > 0 || own[self.shared.served().class(queue.as_str())] > 0
    }

    /// The queues of the next claim in their order, and the room for each if that is bounded.
    fn ask(&self) -> (Vec<QueueName>, Option<Room>) {
        let served = self.shared.served();
        let mut queues = served.order(rand::random::<f64>).into_owned();
        let Some(rooms) = self.rooms() else { return (queues, None) };
        // Of the others nothing is wanted; their bells may wake somebody else.
        queues.retain(|queue| self.has_room(&rooms, queue));
        let (own, pool) = rooms;
        let own_room = |queue: &QueueName| {
            let group = served.class(queue.as_str());
            OwnRoom { group, room: own[group] }
        };
        let own = queues.iter().map(own_room).collect();
        (queues, Some(Room { own, pool }))
    }

    async fn hear_bell(&mut self) {
        self.look = true;
        let with_room = if self.want() == 0 { None } else { self.queues_with_room() };
        let is_of_use =
            |queue: &QueueName| with_room.as_ref().is_some_and(|queues| queues.contains(queue));
        let others: Vec<QueueName> =
            self.all.iter().filter(|queue| !is_of_use(queue)).cloned().collect();
        // Before they ring again: the token would come back to us.
        self.bell.listen(with_room);
        if !others.is_empty()
            && let Err(error) = self.shared.broker.ring(&others).await
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
        let (queues, room) = self.ask();
        let claim = Claim {
            lease: &self.lease.clone(),
            number: self.number,
            want,
            suspect: self.suspects == 0,
            crash_limit: shared.config.crash_limit,
            queues: &queues,
            room,
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

    /// Takes what has ended since the last call. Returns the endings to tell, and how many slots
    /// are free again.
    fn collect(&mut self) -> (Vec<Ending>, usize) {
        let ended = self.shared.outbox.take();
        let freed = ended.iter().map(|ended| ended.frees).sum();
        let mut endings = Vec::with_capacity(ended.len());
        let (mut merger, mut spawned) = (Merger::default(), Vec::new());
        let (mut attempts, mut together) = (0, Duration::ZERO);
        for Ended { epoch, how, took, suspect, .. } in ended {
            if took > Duration::ZERO {
                attempts += 1;
                together += took;
            }
            self.suspects -= usize::from(suspect && !matches!(how, How::Silent));
            // What ran under a lost lease is somebody else's now.
            if epoch != self.epoch {
                continue;
            }
            match how {
                How::Silent => {}
                How::Chunk(run, index, deltas, result) => {
                    self.let_go(&run.run.field, 1);
                    merger.add(run, index, deltas, result);
                }
                How::Spawned(run, ending) => {
                    self.let_go(&run.run.field, 1);
                    spawned.push(run);
                    endings.push(*ending);
                }
                How::Told(id, ending) => {
                    self.forget(id, &ending);
                    if !endings.last_mut().is_some_and(|last| join_released(last, &ending)) {
                        endings.push(*ending);
                    }
                }
            }
        }
        self.pace.took(attempts, together);
        self.told = merger.runs();
        self.told.append(&mut spawned);
        endings.extend(merger.finish());
        self.hand_back_surplus();
        (endings, freed)
    }

    fn forget(&mut self, id: TaskId, ending: &Ending) {
        match ending {
            Ending::Checkpoint(_) => {}
            Ending::ChunkRetry { run, .. }
            | Ending::ChunkSnoozed { run, .. }
            | Ending::ChunkFailed { run, .. }
            | Ending::MemberSpawned { run, .. } => self.let_go(run, 1),
            Ending::ChunksSucceeded { run, lo, hi, .. }
            | Ending::MembersSucceeded { run, lo, hi, .. }
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
}
