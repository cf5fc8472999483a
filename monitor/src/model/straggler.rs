//! What runs far longer than its like: pure, from what workers say that they run and from how long
//! tasks of that name took lately.

use celeriac_broker_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{History, Worker};

/// So many attempts must have ended before one can be called slow.
const ENOUGH: u64 = 20;
/// How many times longer than 95 of a hundred it runs.
const TIMES: f64 = 3.0;
/// And longer than this, in milliseconds: below it nobody waits for it.
const LEAST_MS: f64 = 10_000.0;

/// A task or chunk that runs far longer than others of its name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Straggler {
    pub(crate) id: String,
    pub(crate) task: String,
    /// The lease of its worker.
    pub(crate) worker: String,
    pub(crate) host: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) runs_ms: u64,
    /// In this time 95 of a hundred of its name have ended lately.
    pub(crate) usual_ms: f64,
}

/// All that straggles.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Stragglers {
    /// Redis time.
    pub(crate) now: Timestamp,
    /// The longest first.
    pub(crate) stragglers: Vec<Straggler>,
}

/// What straggles, the longest first. `history`: figures by task.
pub(crate) fn stragglers(workers: &[Worker], history: &History, now: Timestamp) -> Vec<Straggler> {
    let usual_ms = |task: &str| {
        let series = history.series.iter().find(|series| series.name.as_deref() == Some(task))?;
        series.sum.run.filter(|run| run.count >= ENOUGH).map(|run| run.p95_ms)
    };
    let mut found = Vec::new();
    for worker in workers {
        for running in worker.running() {
            let runs_ms = now.since(running.since);
            let Some(usual_ms) = usual_ms(&running.task) else { continue };
            if runs_ms as f64 > (usual_ms * TIMES).max(LEAST_MS) {
                found.push(Straggler {
                    id: running.id.clone(),
                    task: running.task.clone(),
                    worker: worker.lease.clone(),
                    host: worker.info.as_ref().map(|info| info.host.clone()),
                    since: running.since,
                    runs_ms,
                    usual_ms,
                });
            }
        }
    }
    found.sort_by_key(|straggler| std::cmp::Reverse(straggler.runs_ms));
    found
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::figures::{Event, Figures};
    use celeriac_broker_schema::history;
    use celeriac_broker_schema::script::WorkerView;

    use super::*;

    /// So many of a task ran 10 s each.
    fn history(task: &str, n: u64) -> History {
        let mut figures = Figures::default();
        figures.counts.add(Event::Succeeded, n);
        for _ in 0..n {
            figures.run.add_us(10_000_000);
        }
        let point = history::Point { figures, known: true, ..history::Point::default() };
        let series = history::Series { name: Some(task.to_owned()), points: vec![point] };
        History::new(&history::History {
            now: Timestamp(1),
            from: Timestamp(0),
            step_ms: 60_000,
            since: Some(Timestamp(0)),
            series: vec![series],
        })
    }

    fn found(n: u64, runs_ms: u64) -> usize {
        let description = r#"{"host":"h","pid":1,"version":"0","queues":["q"],"tasks":[],"slots":1,"busy":1,"buffered":0,"draining":false,"started":0,"succeeded":0,"failed":0,"visibility_ms":1000,"running":[{"id":"1","task":"slow","attempt":1,"since":1000}]}"#;
        let view = WorkerView {
            lease: "l".to_owned(),
            description: description.to_owned(),
            expires: Timestamp(0),
        };
        let workers = [Worker::new(&view, None)];
        stragglers(&workers, &history("slow", n), Timestamp(1_000 + runs_ms)).len()
    }

    #[test]
    fn what_runs_three_times_longer_straggles() {
        assert_eq!((found(20, 29_000), found(20, 31_000)), (0, 1));
    }

    #[test]
    fn of_a_few_nothing_is_said() {
        assert_eq!(found(19, 600_000), 0);
    }
}
