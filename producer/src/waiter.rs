//! The waiter loop: all that this process waits for, on one subscription. A message says which
//! tasks ended, their outcomes are then read in one call; and because a message can be lost, all
//! are asked for again now and then. A task that expires may have nobody to tell it: it is asked for
//! when its time has come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use celeriac_broker_schema::script::Watched;
use celeriac_broker_schema::{Broker, BrokerError, ClientId, JobId, Subscription, TaskId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// How often everything is asked for again. Only lost messages need it.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Most ids in one call.
const BITE: usize = 500;

/// Somebody waits.
pub(crate) enum Wait {
    /// For the end of a task. Gets the stored outcome, or None if there is none and will be none.
    End(TaskId, oneshot::Sender<Option<String>>),
    /// For news of a job: Redis has been, or is about to be, told to send it.
    News(JobId, oneshot::Sender<()>),
}

/// The loop's handles and state.
pub(crate) struct Waiter {
    broker: Broker,
    client: ClientId,
    waits: mpsc::UnboundedReceiver<Wait>,
    waiting: HashMap<TaskId, Vec<oneshot::Sender<Option<String>>>>,
    following: HashMap<JobId, Vec<oneshot::Sender<()>>>,
    /// When those are to be asked for that expire before all are asked for again.
    expiring: BinaryHeap<Reverse<(Instant, TaskId)>>,
}

/// Why one stretch of listening ended.
enum End {
    /// All producers are gone.
    ShutDown,
    /// The connection is; everything has to be asked for again on a new one.
    Disconnected,
}

impl Waiter {
    pub(crate) fn new(
        broker: Broker,
        client: ClientId,
        waits: mpsc::UnboundedReceiver<Wait>,
    ) -> Self {
        let (waiting, following) = (HashMap::new(), HashMap::new());
        Self { broker, client, waits, waiting, following, expiring: BinaryHeap::new() }
    }

    /// Runs until the last producer is dropped. Outages are waited out.
    pub(crate) async fn run(mut self) {
        let mut pause = Duration::from_millis(20);
        loop {
            let begin = Instant::now();
            match self.listen().await {
                Ok(End::ShutDown) => return,
                Ok(End::Disconnected) => {}
                Err(error) if error.is_temporary() => {
                    tracing::debug!(%error, "waiting for results is interrupted");
                }
                Err(error) => {
                    tracing::warn!(%error, "results cannot be waited for; it is tried again");
                }
            }
            self.forget_those_who_gave_up();
            if self.waits.is_closed() && self.waiting.is_empty() {
                return;
            }
            // A connection that held for a while earns a quick return.
            pause = if begin.elapsed() > ASK_AGAIN {
                Duration::from_millis(20)
            } else {
                (pause * 2).min(Duration::from_secs(1))
            };
            sleep(pause).await;
        }
    }

    async fn listen(&mut self) -> Result<End, BrokerError> {
        // Subscribed first, asked afterwards: what ends in between is told or seen.
        let mut subscription = self.broker.subscribe(&self.client).await?;
        while let Ok(wait) = self.waits.try_recv() {
            self.note(wait);
        }
        self.ask_for_all().await?;
        let mut again = interval(ASK_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.tick().await;
        loop {
            tokio::select! {
                wait = self.waits.recv() => match wait {
                    Some(wait) => self.begin(wait).await?,
                    None => return Ok(End::ShutDown),
                },
                ended = next(&mut subscription) => match ended {
                    Some(ids) => {
                        self.tell_news(&ids);
                        self.ask(&self.waited_for(&ids)).await?;
                    }
                    None => return Ok(End::Disconnected),
                },
                () = until(self.expiring.peek()) => {
                    let due = self.due();
                    self.ask(&due).await?;
                },
                _ = again.tick() => self.ask_for_all().await?,
            }
        }
    }

    /// Takes in a new wait and all others that have come meanwhile, and asks once for all.
    async fn begin(&mut self, first: Wait) -> Result<(), BrokerError> {
        let mut ids: Vec<TaskId> = self.note(first).into_iter().collect();
        while ids.len() < BITE
            && let Ok(wait) = self.waits.try_recv()
        {
            ids.extend(self.note(wait));
        }
        self.ask(&ids).await
    }

    /// Returns what is to be asked for.
    fn note(&mut self, wait: Wait) -> Option<TaskId> {
        match wait {
            Wait::End(id, answer) => {
                self.waiting.entry(id).or_default().push(answer);
                Some(id)
            }
            Wait::News(job, answer) => {
                self.following.entry(job).or_default().push(answer);
                None
            }
        }
    }

    fn tell_news(&mut self, ids: &[TaskId]) {
        for answer in ids.iter().filter_map(|id| self.following.remove(&id.job())).flatten() {
            // Whoever gave up does not mind.
            let _ = answer.send(());
        }
    }

    fn waited_for(&self, ids: &[TaskId]) -> Vec<TaskId> {
        ids.iter().copied().filter(|id| self.waiting.contains_key(id)).collect()
    }

    /// Those whose time has come and which are still waited for.
    fn due(&mut self) -> Vec<TaskId> {
        let mut ids = Vec::new();
        while let Some(Reverse((at, id))) = self.expiring.peek().copied()
            && at <= Instant::now()
        {
            self.expiring.pop();
            ids.push(id);
        }
        self.waited_for(&ids)
    }

    fn forget_those_who_gave_up(&mut self) {
        self.waiting.retain(|_, answers| {
            answers.retain(|answer| !answer.is_closed());
            !answers.is_empty()
        });
    }

    async fn ask_for_all(&mut self) -> Result<(), BrokerError> {
        self.forget_those_who_gave_up();
        // A message may have been lost: those who follow jobs look for themselves.
        let followed: Vec<TaskId> = self.following.keys().map(|job| job.task()).collect();
        self.tell_news(&followed);
        self.expiring.clear();
        let ids: Vec<TaskId> = self.waiting.keys().copied().collect();
        self.ask(&ids).await
    }

    async fn ask(&mut self, ids: &[TaskId]) -> Result<(), BrokerError> {
        for bite in ids.chunks(BITE) {
            let found = self.broker.watch(&self.client, bite).await?;
            for (id, watched) in bite.iter().zip(found) {
                let outcome = match watched {
                    Watched::Watching => continue,
                    Watched::Expiring(left) => {
                        if left < ASK_AGAIN {
                            self.expiring.push(Reverse((Instant::now() + left, *id)));
                        }
                        continue;
                    }
                    Watched::Ended(outcome) => Some(outcome),
                    Watched::Unknown => None,
                };
                for answer in self.waiting.remove(id).unwrap_or_default() {
                    // Whoever gave up does not mind.
                    let _ = answer.send(outcome.clone());
                }
            }
        }
        Ok(())
    }
}

async fn until(first: Option<&Reverse<(Instant, TaskId)>>) {
    match first {
        Some(Reverse((at, _))) => sleep_until(*at).await,
        None => std::future::pending().await,
    }
}

async fn next(subscription: &mut Subscription) -> Option<Vec<TaskId>> {
    subscription.ended().await
}
