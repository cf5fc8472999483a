//! `celeriac workers drain`, `pause`, `resume` and `set`: orders to workers that run, and whether they
//! have taken them up. A worker that stands still gets its order when it goes on, if its lease lives.

use std::time::Duration;

use celeriac_broker_schema::script::{Order, OrderSeen};
use celeriac_broker_schema::{Broker, LeaseId, QueueName, Requester};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::args::{OrderCommand, WhichArgs};
use crate::deed::note;
use crate::error::CliError;
use crate::fleet_view::FleetView;
use crate::format::{counted, span};
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

/// How often it is looked whether an order was taken up: workers tell so without being asked.
const LOOK: Duration = Duration::from_millis(50);

const TAKEN_UP: &str = "taken up";
const WAITING: &str = "not taken up yet";
const GONE: &str = "gone";

pub(super) async fn run(command: &OrderCommand, globals: &Globals) -> Result<(), CliError> {
    let (which, orders) = read(command)?;
    let broker = globals.connect().await?;
    let leases = leases(&FleetView::read(&broker).await?, which)?;
    let who = requester(&which.who);
    let mut answers = Vec::with_capacity(leases.len());
    for lease in leases {
        answers.push(give(&broker, lease, &orders, &who).await?);
    }
    wait(&broker, &mut answers, which.wait).await?;
    if globals.json {
        output::json(&answers)?;
    } else if answers.is_empty() {
        output::line("no worker is alive")?;
    } else {
        answers.iter().try_for_each(|answer| output::line(answer.text()))?;
    }
    // A worker that is told to leave may be gone before it could say that it will.
    let fine: &[&str] = if orders == [Order::Drain] { &[TAKEN_UP, GONE] } else { &[TAKEN_UP] };
    match answers.iter().filter(|answer| !fine.contains(&answer.answer)).count() {
        0 => Ok(()),
        open => Err(CliError::Check(format!(
            "{} not taken up by {}",
            if orders.len() == 1 { "the order was" } else { "the orders were" },
            counted(open as u64, "worker")
        ))),
    }
}

fn read(command: &OrderCommand) -> Result<(&WhichArgs, Vec<Order>), CliError> {
    Ok(match command {
        OrderCommand::Drain(which) => (which, vec![Order::Drain]),
        OrderCommand::Pause(which) => (which, vec![Order::Pause]),
        OrderCommand::Resume(which) => (which, vec![Order::Resume]),
        OrderCommand::Set(set) => {
            let queues: Vec<QueueName> =
                set.queues.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
            let queues = Some(queues).filter(|queues| !queues.is_empty()).map(Order::Queues);
            let slots = set.concurrency.map(Order::Concurrency);
            (&set.which, slots.into_iter().chain(queues).collect())
        }
    })
}

/// The leases that are meant.
fn leases(fleet: &FleetView, which: &WhichArgs) -> Result<Vec<String>, CliError> {
    let all: Vec<&String> = fleet.workers.iter().map(|worker| &worker.lease).collect();
    if which.all {
        return Ok(all.into_iter().cloned().collect());
    }
    let one = |text: &String| {
        // Every lease begins with it: a variable of a script that was never set, most likely.
        if text.is_empty() {
            return Err(CliError::Arguments(
                "a lease is empty: name one of `celeriac workers`, or say --all".to_owned(),
            ));
        }
        let mut fitting = all.iter().filter(|lease| lease.starts_with(text.as_str()));
        match (fitting.next(), fitting.next()) {
            (Some(lease), None) => Ok((*lease).clone()),
            (None, _) => Err(CliError::Arguments(format!(
                "no worker has a lease {text:?}: see `celeriac workers`"
            ))),
            (Some(_), Some(_)) => {
                Err(CliError::Arguments(format!("several leases begin with {text:?}")))
            }
        }
    };
    which.leases.iter().map(one).collect()
}

/// What became of the orders to one worker.
#[derive(Debug, Serialize)]
struct Answer {
    worker: String,
    /// The number of the last of them.
    order: u64,
    /// `taken up`, `not taken up yet`, or `gone`: the worker left, or its lease was lost.
    answer: &'static str,
    /// How long ago the worker was heard of, if it has not taken them up (milliseconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heard_ms: Option<u64>,
}

impl Answer {
    fn look(&mut self, fleet: &FleetView) {
        let worker = fleet.workers.iter().find(|worker| worker.lease == self.worker);
        (self.answer, self.last_heard_ms) = match worker {
            None => (GONE, None),
            Some(worker) if worker.info.order >= self.order => (TAKEN_UP, None),
            Some(worker) => {
                let heard = worker.expires.0.saturating_sub(worker.info.lives_ms());
                (WAITING, Some(fleet.now.0.saturating_sub(heard)))
            }
        };
    }

    fn text(&self) -> String {
        let heard = self
            .last_heard_ms
            .map(|ms| format!("; last heard of {} ago", span(Duration::from_millis(ms))));
        format!("{} {}{}", self.worker, self.answer, heard.unwrap_or_default())
    }
}

async fn give(
    broker: &Broker,
    worker: String,
    orders: &[Order],
    who: &Requester,
) -> Result<Answer, CliError> {
    let lease = LeaseId::from_wire(&worker);
    let mut answer = Answer { worker, order: 0, answer: WAITING, last_heard_ms: None };
    for order in orders {
        match broker.order(&lease, order, who).await? {
            OrderSeen::Kept(number) => {
                answer.order = number;
                let (action, told) = named(order);
                let target = format!("worker={}{told}", answer.worker);
                note(broker, action, target, who, 1).await;
            }
            OrderSeen::Lost => answer.answer = GONE,
        }
    }
    Ok(answer)
}

/// What the audit list calls it.
fn named(order: &Order) -> (&'static str, String) {
    match order {
        Order::Drain => ("drain-worker", String::new()),
        Order::Pause => ("pause-worker", String::new()),
        Order::Resume => ("resume-worker", String::new()),
        Order::Concurrency(slots) => ("set-slots", format!(" slots={slots}")),
        Order::Queues(queues) => {
            let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
            ("set-queues", format!(" queues={}", names.join(",")))
        }
    }
}

/// Waits until all workers say that they have taken their orders up, or it has been long enough.
async fn wait(broker: &Broker, answers: &mut [Answer], longest: Duration) -> Result<(), CliError> {
    let begin = Instant::now();
    loop {
        let fleet = FleetView::read(broker).await?;
        for answer in answers.iter_mut().filter(|answer| answer.answer == WAITING) {
            answer.look(&fleet);
        }
        let done = answers.iter().all(|answer| answer.answer != WAITING);
        if done || begin.elapsed() >= longest {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
