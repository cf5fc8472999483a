//! What an action would do, before somebody says yes: looked at for a moment only.

use std::time::Duration;

use celeriac_broker_schema::{Broker, BrokerError, CancelFilter, State};
use tokio::time::Instant;

use super::action::Action;
use crate::views::counted;

/// How long is looked.
const LONGEST: Duration = Duration::from_millis(800);

/// Queues of which the length is read.
const QUEUES: u32 = 1_000;

/// What an action is about, by now: `1,200 tasks`. None: that is told by its fields.
///
/// # Errors
/// Whatever keeps us from the server.
pub(crate) async fn preview(
    action: &Action,
    broker: &Broker,
) -> Result<Option<String>, BrokerError> {
    let end = Instant::now() + LONGEST;
    let (number, whole) = match action {
        Action::CancelMatching(filter) => waiting(broker, filter, end).await?,
        Action::ReviveMatching(filter) | Action::DiscardMatching(filter) => {
            let (mut number, mut after) = (0, None);
            loop {
                let page = broker.dead_where(filter, after).await?;
                number += page.letters.len() as u64;
                after = page.next;
                if after.is_none() || Instant::now() >= end {
                    break (number, after.is_none());
                }
            }
        }
        Action::Purge { queue, delayed } | Action::Move { from: queue, delayed, .. } => {
            let queues = broker.snapshot(QUEUES, 1).await?.queues;
            let ready = queues.iter().find(|view| view.name == queue.as_str());
            let ready = ready.map_or(0, |view| view.ready);
            let state = Some(State::Delayed);
            let filter = CancelFilter { state, ..CancelFilter::of(queue.clone()) };
            let late = if *delayed { waiting(broker, &filter, end).await? } else { (0, true) };
            (ready + late.0, late.1)
        }
        _ => return Ok(None),
    };
    let what = if matches!(action, Action::ReviveMatching(_) | Action::DiscardMatching(_)) {
        counted(number, "dead letter")
    } else {
        counted(number, "task")
    };
    Ok(Some(if whole { what } else { format!("more than {what}") }))
}

/// How many tasks are meant, and whether all were looked at.
async fn waiting(
    broker: &Broker,
    filter: &CancelFilter,
    end: Instant,
) -> Result<(u64, bool), BrokerError> {
    let (mut number, mut after) = (0, None);
    loop {
        let page = broker.tasks_where(filter, after).await?;
        number += page.tasks.len() as u64;
        after = page.next;
        if after.is_none() || Instant::now() >= end {
            return Ok((number, after.is_none()));
        }
    }
}
