//! All that can happen next, and what must never be.

use std::collections::BTreeSet;

use stateright::{Model as Checked, Property};

use crate::server::{Answer, Call, Check, Ending, FOLLOWER, Lease, Server, TASKS, Task};
use crate::worker::Worker;

const WORKERS: usize = 2;

/// How many faults of each kind may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Workers that die and start again.
    pub(crate) crashes: u8,
    /// Leases that end under a live worker, which does not know.
    pub(crate) ended_leases: u8,
    /// Messages that are lost, or arrive once more, later.
    pub(crate) lost: u8,
    /// Attempts that fail.
    pub(crate) failures: u8,
}

impl Budget {
    pub(crate) const NONE: Self = Self { crashes: 0, ended_leases: 0, lost: 0, failures: 0 };
}

/// The model with one check taken out, or none.
pub(crate) struct Model {
    pub(crate) without: Option<Check>,
    pub(crate) budget: Budget,
}

/// A message under way. They overtake each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Message {
    Call(Call),
    Reply(Call, Answer),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    server: Server,
    workers: [Worker; WORKERS],
    network: BTreeSet<Message>,
    budget: Budget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Open(usize),
    End(usize, Task, Ending),
    Call(usize),
    /// The worker has waited long enough for an answer.
    CallAgain(usize),
    Deliver(Message),
    /// It arrives, and will arrive once more.
    DeliverTwice(Message),
    Lose(Message),
    Crash(usize),
    EndLease(Lease),
    RemoveEmptied(Lease),
    Promote(Task),
}

impl Checked for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            server: Server::new(),
            workers: Default::default(),
            network: BTreeSet::new(),
            budget: self.budget,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let finished = state.server.ended.len() == TASKS;
        for (name, worker) in state.workers.iter().enumerate() {
            worker_actions(state, name, worker, finished, actions);
        }
        for message in &state.network {
            actions.push(Action::Deliver(message.clone()));
            if state.budget.lost > 0 {
                actions.push(Action::DeliverTwice(message.clone()));
                actions.push(Action::Lose(message.clone()));
            }
        }
        for &lease in state.server.in_flight.keys() {
            let renewed = state.workers.iter().any(|worker| worker.lease == Some(lease));
            if (!renewed || state.budget.ended_leases > 0) && !state.server.emptied.contains(&lease)
            {
                actions.push(Action::EndLease(lease));
            }
        }
        actions.extend(state.server.emptied.iter().map(|&lease| Action::RemoveEmptied(lease)));
        actions.extend(state.server.delayed.iter().map(|&task| Action::Promote(task)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Open(name) => state.workers[name].lease = Some(state.server.open()),
            Action::End(name, task, ending) => {
                state.budget.failures -= u8::from(ending == Ending::Retry);
                state.workers[name].ended.push((task, ending));
            }
            Action::Call(name) => {
                let call = state.workers[name].call(name)?;
                state.network.insert(Message::Call(call));
            }
            Action::CallAgain(name) => {
                let call = state.workers[name].pending.clone()?;
                state.network.insert(Message::Call(call));
            }
            Action::Deliver(message) => {
                state.network.remove(&message);
                self.deliver(&mut state, message);
            }
            Action::DeliverTwice(message) => {
                state.budget.lost -= 1;
                self.deliver(&mut state, message);
            }
            Action::Lose(message) => {
                state.budget.lost -= 1;
                state.network.remove(&message);
            }
            Action::Crash(name) => {
                state.budget.crashes -= 1;
                state.workers[name] = Worker::default();
            }
            Action::EndLease(lease) => {
                let renewed = state.workers.iter().any(|worker| worker.lease == Some(lease));
                state.budget.ended_leases -= u8::from(renewed);
                state.server.reclaim(lease, self.without);
            }
            Action::RemoveEmptied(lease) => state.server.remove_emptied(lease),
            Action::Promote(task) => state.server.promote(task),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each task counts once", |_, state: &State| {
                (0..TASKS).all(|task| {
                    let ended = state.server.ended.contains(&(task as Task));
                    state.server.counted[task] == u8::from(ended)
                })
            }),
            Property::always("each task is in one place", |_, state: &State| {
                (0..TASKS).all(|task| state.server.places(task as Task) == 1)
            }),
            Property::always("a worker knows what it holds", |_, state: &State| {
                state.workers.iter().all(|worker| knows_what_it_holds(worker, &state.server))
            }),
            Property::always("the barrier opens once, at the end", |_, state: &State| {
                let members = (0..FOLLOWER).all(|task| state.server.ended.contains(&task));
                state.server.opened == u8::from(members)
            }),
            Property::eventually("every task ends", |_, state: &State| {
                state.server.ended.len() == TASKS
            }),
        ]
    }
}

impl Model {
    fn deliver(&self, state: &mut State, message: Message) {
        match message {
            Message::Call(call) => {
                let answer = state.server.carry_out(&call, self.without);
                state.network.insert(Message::Reply(call, answer));
            }
            Message::Reply(call, answer) => state.workers[call.worker].hear(&call, answer),
        }
    }
}

fn worker_actions(
    state: &State,
    name: usize,
    worker: &Worker,
    finished: bool,
    actions: &mut Vec<Action>,
) {
    if worker.lease.is_none() && !finished {
        actions.push(Action::Open(name));
    }
    for &task in &worker.holds {
        if !worker.ended.iter().any(|(ended, _)| *ended == task) {
            actions.push(Action::End(name, task, Ending::Success));
            if state.budget.failures > 0 {
                actions.push(Action::End(name, task, Ending::Retry));
            }
        }
    }
    match &worker.pending {
        // An idle worker calls when it hears the bell.
        None if worker.lease.is_some() => {
            let bell = worker.holds.is_empty() && !state.server.ready.is_empty();
            if bell || !worker.ended.is_empty() {
                actions.push(Action::Call(name));
            }
        }
        Some(call) if !under_way(state, call) => actions.push(Action::CallAgain(name)),
        _ => {}
    }
    if state.budget.crashes > 0 && worker.lease.is_some() {
        actions.push(Action::Crash(name));
    }
}

fn under_way(state: &State, call: &Call) -> bool {
    state.network.iter().any(|message| match message {
        Message::Call(other) | Message::Reply(other, _) => other == call,
    })
}

/// While no call is under way, what it believes to hold is what its lease holds.
fn knows_what_it_holds(worker: &Worker, server: &Server) -> bool {
    match (worker.lease.and_then(|lease| server.in_flight.get(&lease)), &worker.pending) {
        (Some(held), None) => held.tasks == worker.holds,
        _ => true,
    }
}
