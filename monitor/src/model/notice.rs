//! What somebody should look at first. Pure: a reading in, sentences out.

use celeriac_broker_schema::ServerReport;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Queue, Totals, Worker};

/// Something that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Notice {
    /// Tells kinds apart; does not change.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// The notices of a reading, the most urgent first.
pub(crate) fn notices(
    server: &ServerReport,
    totals: &Totals,
    queues: &[Queue],
    workers: &[Worker],
) -> Vec<Notice> {
    let mut notices = unserved(totals, queues, workers);
    if totals.orphans > 0 {
        notices.push(Notice {
            kind: "workers-lost",
            text: format!(
                "{} lost: what they held is going back to its queues",
                count(totals.orphans, "worker")
            ),
        });
    }
    let suspects: u64 = queues.iter().map(|queue| queue.suspects).sum();
    if suspects > 0 {
        notices.push(Notice {
            kind: "suspects",
            text: format!(
                "{} lost a worker more than once: such suspects are tried one at a time, as one of them may be what kills workers",
                count(suspects, "task")
            ),
        });
    }
    notices.extend(
        server.warnings.iter().map(|warning| Notice { kind: "server", text: warning.clone() }),
    );
    notices
}

/// Queues in which something waits for a worker that does not exist.
fn unserved(totals: &Totals, queues: &[Queue], workers: &[Worker]) -> Vec<Notice> {
    if totals.workers == 0 {
        let waits = (totals.ready > 0).then(|| Notice {
            kind: "no-worker",
            text: format!(
                "{} ready, and there is no worker: start one with `celeriac worker`",
                count(totals.ready, "task")
            ),
        });
        return Vec::from_iter(waits);
    }
    // One that was not read may serve the queue.
    if totals.workers_read < totals.workers {
        return Vec::new();
    }
    let nobody = |queue: &&Queue| {
        queue.ready > 0 && !workers.iter().any(|worker| worker.serves(&queue.name))
    };
    let notice = |queue: &Queue| Notice {
        kind: "no-worker",
        text: format!(
            "{} ready in queue {name}, which no worker serves: start one with `celeriac worker --queues {name}`",
            count(queue.ready, "task"),
            name = queue.name
        ),
    };
    queues.iter().filter(nobody).map(notice).collect()
}

/// "1 task", "2 tasks".
fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::Timestamp;
    use celeriac_broker_schema::script::{Controls, QueueView, Snapshot, WorkerView};

    use super::*;

    fn kinds(ready: u64, orphans: u64, workers: &[&str], all_workers: u64) -> Vec<&'static str> {
        let queue = QueueView {
            name: "mail".to_owned(),
            elements: [0; 10],
            ready,
            suspects: 0,
            controls: Controls::default(),
        };
        let snapshot = Snapshot {
            now: Timestamp(0),
            queues: vec![queue.clone()],
            jobs: Vec::new(),
            tasks: 0,
            delayed: 0,
            waiting: 0,
            leases: 0,
            dead: 0,
            open_jobs: 0,
            orphans,
            stats: Default::default(),
        };
        let worker = |queue: &&str| {
            let description = format!(
                r#"{{"host":"h","pid":1,"version":"0","queues":["{queue}"],"tasks":[],"slots":1,"busy":0,"buffered":0,"draining":false,"started":0,"succeeded":0,"failed":0,"visibility_ms":1000,"running":[]}}"#
            );
            let view = WorkerView { lease: "l".to_owned(), description, expires: Timestamp(0) };
            Worker::new(&view, None)
        };
        let workers: Vec<Worker> = workers.iter().map(worker).collect();
        let server = ServerReport {
            product: "Redis".to_owned(),
            version: "7.0.0".to_owned(),
            warnings: Vec::new(),
        };
        let totals = Totals::new(&snapshot, &workers, all_workers);
        let found = notices(&server, &totals, &[Queue::new(&queue)], &workers);
        found.iter().map(|notice| notice.kind).collect()
    }

    #[test]
    fn a_queue_without_a_worker_is_noticed() {
        assert_eq!(kinds(5, 0, &[], 0), ["no-worker"]);
        assert_eq!(kinds(5, 0, &["other"], 1), ["no-worker"]);
        assert!(kinds(5, 0, &["other", "mail"], 2).is_empty());
        assert!(kinds(0, 0, &[], 0).is_empty());
    }

    #[test]
    fn nothing_is_claimed_about_workers_that_were_not_read() {
        assert!(kinds(5, 0, &["other"], 300).is_empty());
    }

    #[test]
    fn lost_workers_are_noticed() {
        assert_eq!(kinds(0, 2, &[], 0), ["workers-lost"]);
    }
}
