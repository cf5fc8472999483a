//! Limits: what they let go, what they hold and what waits for them.

use super::query::{Limit, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{Busy, Fair, LimitedQueue, Limits, SetLimit};
use super::table::{Call, Table, words};

pub(super) fn add(table: &mut Table) {
    table.get(
        "/limits",
        words("listLimits", "limits", "Limits that are set, and how they stand", ""),
        list,
    );
}

query! {
    struct LimitsQuery {
        /// Most limits, and most busy subjects.
        limit: Limit<200, 1000>,
    }
}

async fn list(call: Call<(), LimitsQuery>) -> Result<Told<Limits>, Refusal> {
    let found = call.monitor.broker().limits(Limit::of(call.query.limit)).await?;
    let observation = call.monitor.latest().await;
    let queues = observation.current()?.queues.iter().filter_map(|queue| {
        let limit = queue.controls.limit.as_ref()?;
        Some(LimitedQueue { queue: queue.name.clone(), max: limit.max, note: limit.note.clone() })
    });
    let limits = found.set.into_iter();
    let busy = found.busy.into_iter();
    let fair = found.fair.into_iter();
    Ok(Told::new(Limits {
        now: found.now,
        limits: limits
            .map(|view| SetLimit { subject: view.subject, limit: view.limit, note: view.note })
            .collect(),
        busy: busy
            .map(|view| Busy {
                subject: view.subject,
                held: view.held,
                waiting: view.waiting,
                next: view.next,
            })
            .collect(),
        fair: fair.map(|view| Fair { queue: view.queue, note: view.note }).collect(),
        queues: queues.collect(),
    }))
}
