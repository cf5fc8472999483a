//! Giving back: what was taken too early, what a lost lease leaves, and all when the worker leaves.

use std::time::Duration;

use celeriac_broker_schema::script::{Closed, Opened};
use celeriac_broker_schema::{BrokerError, LeaseId};
use tokio::time::Instant;

use super::{Exchange, LeftBehind};
use crate::attempt::release;
use crate::events::Event;
use crate::keeper::host;
use crate::outbox::Ended;
use crate::task::CancelReason;

impl Exchange {
    /// Gives back what has not begun, up to `most` of it, the last first: so the first of it comes to
    /// be in front.
    pub(super) fn hand_back(&mut self, most: usize) {
        for unit in self.shared.lanes.take_last(most) {
            self.shared.outbox.push(Ended::before_it_began(&unit, release(&unit, false)), true);
        }
    }

    /// Gives back what was taken on a guess that turned out wrong: the tasks take longer than those
    /// before them, and others may be free for them.
    pub(super) fn hand_back_surplus(&mut self) {
        let fitting = 2 * self.pace.ahead(self.shared.changes.slots()) + 8;
        let surplus = self.shared.lanes.buffered().saturating_sub(fitting);
        if surplus > 0 {
            self.hand_back(surplus + fitting / 2);
        }
    }

    /// Gives back what there is no room for, because it costs more than was thought when it was
    /// asked for.
    pub(super) fn hand_back_costly(&mut self) {
        let slots = self.shared.changes.slots();
        let over = self.occupied.saturating_sub(slots + self.pace.ahead(slots));
        for unit in self.shared.lanes.take_last_costing(over) {
            self.shared.outbox.push(Ended::before_it_began(&unit, release(&unit, false)), true);
        }
    }

    /// Another lease, because this one is lost. What ran under it has been told to stop.
    pub(super) async fn begin_new_lease(&mut self) -> Result<(), ()> {
        let dropped = self.shared.lanes.take_last(usize::MAX);
        self.occupied -= dropped.iter().map(|unit| unit.cost).sum::<usize>();
        self.suspects -= dropped.iter().filter(|unit| unit.is_suspect()).count();
        self.tasks.clear();
        self.runs.clear();
        let lease = LeaseId::new();
        let mut pause = Duration::from_millis(20);
        loop {
            match self.shared.broker.open_on(&host(), &lease, self.shared.config.visibility).await {
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
        let _ = self.shared.broker.ring(self.shared.served().names()).await;
        tracing::info!(lease = %self.lease, "a new lease is open");
        self.shared.events.tell(|| Event::Opened { lease: self.lease.clone() });
        Ok(())
    }

    /// Moves on with leaving: first what has not begun goes back, then what runs may finish until
    /// the time is over, then it is told to stop and goes back, too.
    pub(super) fn drain(&mut self) {
        if self.leave_by.is_none() {
            self.shared.events.tell(|| Event::Draining);
        }
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

    pub(super) fn is_done(&self) -> bool {
        let given_up = self.handed_back && self.leave_by.is_some_and(|by| Instant::now() >= by);
        self.shared.outbox.len() == 0 && (self.occupied == 0 || given_up)
    }

    /// Hands back what still runs (it did not stop when told to), and ends the lease.
    pub(super) async fn leave(&mut self) -> usize {
        for running in self.shared.running() {
            if let Some(how) = running.give_up(&self.shared) {
                if let Some(state) = running.last_state(&how) {
                    self.shared.outbox.push(state, true);
                }
                // Its slot may still free its place itself.
                let ended = Ended::besides(running.unit.epoch, how);
                self.shared.outbox.push(ended, true);
            }
        }
        // One call carries only so many.
        while self.shared.outbox.len() > 0 {
            if let Err(LeftBehind(tasks)) = self.call().await {
                return tasks;
            }
        }
        let mut closed = self.shared.broker.close(&self.lease).await;
        if closed.as_ref().is_err_and(BrokerError::is_temporary) {
            // An idle worker may not have noticed yet that its connection is broken.
            closed = self.shared.broker.close(&self.lease).await;
        }
        // A token that was taken on the way out is of use to others.
        let _ = self.shared.broker.ring(self.shared.served().names()).await;
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
