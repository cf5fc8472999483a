//! The rules: each looks at the facts and adds what it has to say.

use super::{Facts, Order, Reason, Shut, Standing, Turn};
use crate::name::QueueName;
use crate::outcome::{Outcome, TaskFailure};
use crate::requester::{Note, Requester};
use crate::state::State;
use crate::worker_info::{RunningTask, WorkerInfo};

type Rule = fn(&Facts, &mut Vec<Reason>);

/// All rules, in the order in which people want to read what they say.
const ALL: &[Rule] = &[
    known, unknown, chunks, follows, due, held, told, comes_back, paused, job_paused, limits,
    workers, turn, expiry, ended, moves,
];

/// What there is to say; never nothing.
pub(super) fn reasons(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for rule in ALL {
        rule(facts, &mut reasons);
    }
    reasons
}

fn known(facts: &Facts, reasons: &mut Vec<Reason>) {
    reasons.extend(facts.known.iter().cloned());
}

fn unknown(facts: &Facts, reasons: &mut Vec<Reason>) {
    if matches!(facts.standing, Standing::Unknown) {
        reasons.push(Reason::Unknown);
    }
    let ended = matches!(facts.standing, Standing::Ended(_) | Standing::Settled(_));
    let unreadable = facts.order.is_none() && facts.standing.state().is_some() && !ended;
    if unreadable || matches!(facts.standing, Standing::Unreadable) {
        reasons.push(Reason::Unreadable);
    }
}

fn chunks(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Some(job) = &facts.job else { return };
    let (done, total) = (job.done, job.total);
    match facts.standing {
        Standing::Chunks => {
            reasons.push(Reason::ChunksUnderWay { done, total, begun: job.begun });
        }
        Standing::Waiting => {
            reasons.push(Reason::WaitsForChunks { left: total.saturating_sub(done), total });
        }
        _ => {}
    }
}

fn follows(facts: &Facts, reasons: &mut Vec<Reason>) {
    if let (Standing::Waiting, Some(id)) = (&facts.standing, &facts.around.follows) {
        reasons.push(Reason::Follows { id: id.clone() });
    }
}

fn due(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Standing::Delayed(at) = facts.standing else { return };
    reasons.push(match at.since(facts.now) {
        0 => Reason::Overdue { at, for_ms: facts.now.since(at) },
        in_ms => Reason::Due { at, in_ms, retry: facts.failures > 0 },
    });
}

fn held(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Standing::Held { lease, attempt, claimed } = &facts.standing else { return };
    let (attempt, claimed, lease) = (*attempt, *claimed, lease.clone());
    let info = facts.workers.iter().find(|(of, _)| *of == lease).map(|(_, info)| info);
    let id = facts.id.to_string();
    let running = info.and_then(|info| info.running.iter().find(|running| running.id == id));
    // Only a worker that lists all it runs can be taken at its word about what it does not run.
    let buffered = running.is_none()
        && info
            .is_some_and(|info| info.buffered > 0 && info.running.len() < WorkerInfo::MAX_RUNNING);
    if buffered {
        let for_ms = facts.now.since(claimed);
        reasons.push(Reason::Buffered { attempt, lease: lease.clone(), for_ms });
    } else {
        let since = running.map_or(claimed, |running: &RunningTask| running.since);
        reasons.push(Reason::Runs {
            attempt,
            lease: lease.clone(),
            host: info.map(|info| info.host.clone()),
            pid: info.map(|info| info.pid),
            since,
            for_ms: facts.now.since(since),
            progress: running.and_then(|running| running.progress.clone()),
        });
    }
    reasons.push(match facts.around.lease_until.filter(|at| *at > facts.now) {
        Some(at) => Reason::LeaseUntil { at, in_ms: at.since(facts.now) },
        None => Reason::LeaseOver { lease },
    });
}

fn told(facts: &Facts, reasons: &mut Vec<Reason>) {
    let (Standing::Held { .. }, Some(Note { at, who })) = (&facts.standing, &facts.around.cancel)
    else {
        return;
    };
    let Requester { by, why } = who.clone();
    reasons.push(Reason::ToldToStop { at: *at, for_ms: facts.now.since(*at), by, why });
}

fn comes_back(facts: &Facts, reasons: &mut Vec<Reason>) {
    if let Some(lease) = &facts.around.orphan {
        reasons.push(Reason::ComesBack { lease: lease.clone() });
    }
}

/// Whether workers are what it lacks, now or when its time has come.
fn needs_worker(facts: &Facts) -> Option<&Order> {
    let needs = matches!(facts.standing, Standing::Ready | Standing::Delayed(_) | Standing::Chunks);
    facts.order.as_ref().filter(|_| needs)
}

fn paused(facts: &Facts, reasons: &mut Vec<Reason>) {
    let (Some(order), Some(Note { at, who })) = (needs_worker(facts), &facts.around.paused) else {
        return;
    };
    let Requester { by, why } = who.clone();
    let (queue, for_ms) = (order.place.queue.clone(), facts.now.since(*at));
    reasons.push(Reason::QueuePaused { queue, at: *at, for_ms, by, why });
}

fn job_paused(facts: &Facts, reasons: &mut Vec<Reason>) {
    let note = facts.job.as_ref().and_then(|job| job.paused.as_ref());
    let waits = needs_worker(facts).is_some() || matches!(facts.standing, Standing::Waiting);
    let Some(Note { at, who }) = note.filter(|_| waits) else { return };
    let Requester { by, why } = who.clone();
    let (job, for_ms) = (facts.id.job().to_string(), facts.now.since(*at));
    reasons.push(Reason::JobPaused { job, at: *at, for_ms, by, why });
}

fn limits(facts: &Facts, reasons: &mut Vec<Reason>) {
    reasons.extend(facts.around.shut.iter().map(|shut| {
        let Shut { subject, held, concurrency, opens, before } = shut.clone();
        let in_ms = opens.map(|at| at.since(facts.now));
        Reason::LimitReached { subject, held, concurrency, opens, in_ms, ahead: before }
    }));
}

fn workers(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Some(Order { task, place, cost, .. }) = needs_worker(facts) else { return };
    let queue = place.queue.clone();
    let serving = workers_of(facts, queue.as_str());
    let workers = serving.len() as u64;
    if workers == 0 {
        return reasons.push(nobody_serves(facts, queue));
    }
    let unknowing = serving.iter().filter(|info| !info.tasks.contains(task)).count() as u64;
    if unknowing > 0 {
        reasons.push(Reason::NotKnownToWorkers { task: task.clone(), unknowing, workers });
    }
    let slots = serving.iter().map(|info| info.slots).max().unwrap_or(0);
    if slots < *cost {
        reasons.push(Reason::CostsTooMuch { cost: *cost, slots });
    }
    if serving.iter().all(|info| info.draining) {
        return reasons.push(Reason::WorkersLeave { queue, workers });
    }
    if serving.iter().all(|info| info.draining || info.paused.is_some()) {
        return reasons.push(all_paused(queue, &serving));
    }
    if matches!(facts.standing, Standing::Ready) {
        reasons.extend(no_room(queue, *cost, &serving));
    }
}

/// Why none of these workers has room for a task of the queue, if none has.
fn no_room(queue: QueueName, cost: u32, serving: &[&WorkerInfo]) -> Option<Reason> {
    let workers = serving.len() as u64;
    let sum = |of: fn(&WorkerInfo) -> u32| serving.iter().map(|info| u64::from(of(info))).sum();
    let free = |info: &WorkerInfo| info.slots.saturating_sub(info.busy);
    let most = serving.iter().map(|info| free(info)).max().unwrap_or(0);
    if most == 0 {
        let (slots, wedged) = (sum(|info| info.slots), sum(|info| info.wedged));
        return Some(Reason::WorkersBusy { queue, workers, slots, wedged });
    }
    if serving.iter().all(|info| info.open_for(queue.as_str()) == 0) {
        let free = sum(|info| info.slots.saturating_sub(info.busy));
        return Some(Reason::SlotsKept { queue, free });
    }
    (most < cost).then_some(Reason::TooFewSlotsFree { queue, cost, free: most })
}

fn workers_of<'a>(facts: &'a Facts, queue: &str) -> Vec<&'a WorkerInfo> {
    let infos = facts.workers.iter().map(|(_, info)| info);
    infos.filter(|info| info.queues.iter().any(|name| name == queue)).collect()
}

/// Of a sub-queue `<queue>@<label>` it is the label that workers lack.
fn nobody_serves(facts: &Facts, queue: QueueName) -> Reason {
    let parts = queue.as_str().split_once('@');
    match parts.and_then(|(of, label)| Some((of.parse::<QueueName>().ok()?, label))) {
        Some((of, label)) => {
            let workers = workers_of(facts, of.as_str()).len() as u64;
            Reason::NoWorkerWithLabel { queue: of, label: label.to_owned(), workers }
        }
        None => Reason::NoWorkerForQueue { queue },
    }
}

fn all_paused(queue: QueueName, serving: &[&WorkerInfo]) -> Reason {
    let staying = serving.iter().filter(|info| !info.draining);
    let paused: Vec<_> = staying.filter_map(|info| info.paused.as_ref()).collect();
    let Requester { by, why } = paused.first().map(|first| first.who.clone()).unwrap_or_default();
    let (workers, paused) = (serving.len() as u64, paused.len() as u64);
    Reason::WorkersPaused { queue, workers, paused, by, why }
}

fn turn(facts: &Facts, reasons: &mut Vec<Reason>) {
    let (around, order) = (&facts.around, facts.order.as_ref());
    if !matches!(facts.standing, Standing::Ready | Standing::Chunks) {
        return;
    }
    if let Some(ahead) = around.suspects_ahead {
        return reasons.push(Reason::Suspect { crashes: facts.crashes.max(2), ahead });
    }
    if let (Some(Turn { own, more, turns }), Some(Order { place, tenant: Some(tenant), .. })) =
        (around.turn, order)
    {
        let (queue, tenant) = (place.queue.clone(), tenant.clone());
        return reasons.push(Reason::Turn { queue, tenant, ahead: own, more, turns });
    }
    let (Some(ahead), Some(Order { place, .. })) = (around.ahead, order) else { return };
    let (queue, priority) = (place.queue.clone(), place.priority);
    reasons.push(if ahead == 0 && around.higher == 0 && !around.beyond {
        Reason::Next { queue }
    } else {
        Reason::Behind { queue, priority, ahead, more: around.beyond, higher: around.higher }
    });
}

fn expiry(facts: &Facts, reasons: &mut Vec<Reason>) {
    let waits = matches!(facts.standing, Standing::Ready | Standing::Delayed(_));
    if let Some(at) = facts.around.expiry.filter(|_| waits) {
        reasons.push(Reason::Expires { at, in_ms: at.since(facts.now) });
    }
}

fn ended(facts: &Facts, reasons: &mut Vec<Reason>) {
    let by_job = || facts.job.as_ref().and_then(|job| job.failed_task.clone());
    match &facts.standing {
        Standing::Ended(outcome) => reasons.push(outcome_of(facts, outcome)),
        Standing::Settled(State::Succeeded) => {
            reasons.push(Reason::Succeeded { attempt: None, ago_ms: None, took_ms: None });
        }
        Standing::Settled(State::Failed) => {
            let last = facts.attempts.last();
            reasons.push(Reason::Failed {
                attempt: last.map(|last| last.attempt),
                ago_ms: last.map(|last| facts.now.since(last.ended)),
                error: last.and_then(|last| last.error.clone()),
                by: None,
            });
        }
        Standing::Settled(state) => {
            // A chunk is cancelled with its job.
            let Note { at, who } = facts.around.cancel.clone().unwrap_or_default();
            reasons.push(Reason::Ended {
                state: *state,
                ago_ms: (at.0 > 0).then(|| facts.now.since(at)),
                by: by_job(),
                cancelled_by: who.by,
                why: who.why,
                error: None,
            });
        }
        _ => return,
    }
    if facts.around.dead {
        reasons.push(Reason::Dead);
    }
    if let Some(for_ms) = facts.around.kept_ms {
        reasons.push(Reason::Kept { for_ms });
    }
}

fn moves(_: &Facts, reasons: &mut Vec<Reason>) {
    if reasons.is_empty() {
        reasons.push(Reason::Moves);
    }
}

fn outcome_of(facts: &Facts, outcome: &Outcome) -> Reason {
    let Outcome { state, attempt, ended, started, error, failed_task, .. } = outcome;
    let ago_ms = Some(facts.now.since(*ended));
    let error: Option<TaskFailure> = error.clone();
    // A job is ended by a chunk, or by its reducer, which has its id.
    let by = failed_task.clone().filter(|by| *by != facts.id.to_string());
    match state {
        State::Succeeded => Reason::Succeeded {
            attempt: *attempt,
            ago_ms,
            took_ms: started.map(|started| ended.since(started)),
        },
        State::Failed => Reason::Failed { attempt: *attempt, ago_ms, error, by },
        state => Reason::Ended {
            state: *state,
            ago_ms,
            by,
            cancelled_by: outcome.by.clone(),
            why: outcome.why.clone(),
            error,
        },
    }
}
