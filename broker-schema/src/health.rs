//! What is not as it should be in a namespace, and what to do about it: the checks of `celeriac
//! doctor`, which the monitor shows, too. Pure: what was read goes in, findings come out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::config::ServerReport;
use crate::job::JobSpec;
use crate::script::Snapshot;
use crate::time::Timestamp;
use crate::words::{counted, grouped, mebibytes, span};
use crate::worker_info::WorkerInfo;

/// A clock that is wrong by more makes `--at` and the times on screen surprising.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// A round trip above this makes everything slow.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(20);

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter.
    pub what: String,
    /// What to do about it.
    pub todo: String,
}

/// How bad a finding is; the worse comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Tasks do not run, or may get lost.
    Problem,
    /// Worth knowing; it may be meant so.
    Notice,
}

/// The memory of the server, and how much of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// In use.
    pub used_bytes: u64,
    /// 0: no limit is set.
    pub max_bytes: u64,
}

/// Above this share of the limit there is reason to act while there is time.
const EARLY_PERCENT: u64 = 80;
/// Above this one enqueueing will soon be refused.
const LATE_PERCENT: u64 = 95;

impl Memory {
    /// What `INFO memory` says.
    pub fn of_info(info: &str) -> Self {
        let number = |name: &str| {
            let mut lines = info.lines().filter_map(|line| line.trim().split_once(':'));
            lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
        };
        let or_zero = |name| number(name).unwrap_or(0);
        Self { used_bytes: or_zero("used_memory"), max_bytes: or_zero("maxmemory") }
    }

    /// The share in use, in percent; none without a limit.
    pub fn percent(self) -> Option<u64> {
        (self.max_bytes > 0).then(|| self.used_bytes.saturating_mul(100) / self.max_bytes)
    }

    /// What is to be said about it, and whether it is urgent.
    pub fn warning(self) -> Option<(String, bool)> {
        let percent = self.percent().filter(|percent| *percent >= EARLY_PERCENT)?;
        let (used, max) = (mebibytes(self.used_bytes), mebibytes(self.max_bytes));
        let what = format!(
            "Redis uses {percent} % of its memory ({used} of {max}); when it is full, enqueueing is refused"
        );
        Some((what, percent >= LATE_PERCENT))
    }
}

/// What stands out about the server, the way to it and its clock. `local`: the clock of this machine.
pub fn server_findings(
    server: &ServerReport,
    round_trip: Duration,
    redis: Timestamp,
    local: Timestamp,
) -> Vec<Finding> {
    // Each of these warnings says what to do after its last semicolon.
    let split = |warning: &String| match warning.rsplit_once("; ") {
        Some((what, todo)) => problem(what, todo),
        None => problem(warning, "see the documentation of the server"),
    };
    let mut findings: Vec<Finding> = server.warnings.iter().map(split).collect();
    if round_trip > SLOW_ROUND_TRIP {
        findings.push(notice(
            format!("a round trip to Redis takes {round_trip:.1?}"),
            "run workers and producers near Redis: the same zone, the same network",
        ));
    }
    let apart = Duration::from_millis(redis.since(local) + local.since(redis));
    if apart > CLOCK_TOLERANCE {
        findings.push(notice(
            format!("the clock of this machine is {} away from that of Redis", span(apart)),
            "set both by NTP; Celeriac goes by the clock of Redis, also for --at and --expires",
        ));
    }
    findings
}

/// Whether the memory of the server runs short.
pub fn memory_finding(memory: Memory) -> Option<Finding> {
    let (what, is_urgent) = memory.warning()?;
    let todo = "see what takes it with `celeriac doctor --memory`; raise maxmemory, or keep outcomes for less time";
    Some(if is_urgent { problem(what, todo) } else { notice(what, todo) })
}

/// What stands out about tasks, queues, jobs and workers. `workers`: all of them, by lease;
/// `unreadable`: those beside them whose description cannot be read.
pub fn findings(
    snapshot: &Snapshot,
    workers: &[(String, WorkerInfo)],
    unreadable: u64,
) -> Vec<Finding> {
    let fleet = Fleet { workers, unreadable };
    let mut findings = lease_findings(snapshot, &fleet);
    findings.extend(wedged_findings(&fleet));
    findings.extend(queue_findings(snapshot, &fleet));
    findings.extend(job_findings(snapshot, &fleet));
    findings
}

/// The workers of a namespace, as far as they were heard of.
struct Fleet<'a> {
    workers: &'a [(String, WorkerInfo)],
    unreadable: u64,
}

impl Fleet<'_> {
    fn serves(&self, queue: &str) -> bool {
        self.workers.iter().any(|(_, info)| info.queues.iter().any(|name| name == queue))
    }

    /// Whether any of those that serve this queue takes something new.
    fn takes_from(&self, queue: &str) -> bool {
        let takes = |info: &WorkerInfo| {
            !info.draining && info.paused.is_none() && info.queues.iter().any(|name| name == queue)
        };
        self.workers.iter().any(|(_, info)| takes(info))
    }

    fn knows(&self, task: &str) -> bool {
        self.workers.iter().any(|(_, info)| info.tasks.iter().any(|name| name == task))
    }
}

/// A finding because of which tasks do not run, or may get lost.
pub fn problem(what: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { severity: Severity::Problem, what: what.into(), todo: todo.into() }
}

/// A finding that is only good to know.
pub fn notice(what: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { severity: Severity::Notice, ..problem(what, todo) }
}

fn lease_findings(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let alive = fleet.workers.len() as u64 + fleet.unreadable;
    if fleet.workers.is_empty() && snapshot.tasks + snapshot.open_jobs > 0 {
        findings.push(problem(
            "no worker is alive, but there are tasks",
            "start a worker: celeriac worker",
        ));
    }
    if snapshot.leases > alive {
        let lost = grouped(snapshot.leases - alive);
        let what =
            format!("leases without a sign of life: {lost}; their workers were lost or frozen");
        findings.push(match alive {
            0 => problem(
                what,
                "start a worker: any worker gives their tasks back when the leases have expired",
            ),
            _ => notice(what, "nothing: their tasks go back when the leases have expired"),
        });
    }
    if snapshot.orphans > 0 {
        let what = format!("expired leases that are being emptied: {}", grouped(snapshot.orphans));
        findings.push(match alive {
            0 => problem(what, "start a worker: any worker goes on with it"),
            _ => notice(what, "nothing: the workers are at it"),
        });
    }
    if fleet.unreadable > 0 {
        findings.push(notice(
            format!("workers of a version that this one cannot read: {}", fleet.unreadable),
            "use the newest version of the command",
        ));
    }
    findings
}

/// Slots that tasks keep which were settled long ago.
fn wedged_findings(fleet: &Fleet<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (lease, info) in fleet.workers {
        let wedged = info.running.iter().filter(|task| task.wedged.is_some());
        let names: BTreeSet<&str> = wedged.map(|task| &*task.task).collect();
        let names = Vec::from_iter(names).join(", ");
        let number = info.wedged_slots();
        let (slots, host, pid) = (info.slots, &info.host, info.pid);
        let what = format!(
            "worker {lease} (pid {pid} on {host}) has {number} of its {} wedged by what goes on after its end: {names}",
            counted(slots.into(), "slot")
        );
        let todo = format!(
            "let the task ask whether it is cancelled (docs/cancel.md); to have the slots back: celeriac workers drain {lease}, and start another"
        );
        match number {
            0 => {}
            _ if number >= slots => findings.push(problem(what, todo)),
            _ => findings.push(notice(what, todo)),
        }
    }
    findings
}

fn queue_findings(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for queue in &snapshot.queues {
        let (name, ready) = (&queue.name, counted(queue.ready, "task"));
        if queue.ready > 0 && !fleet.workers.is_empty() && !fleet.serves(name) {
            findings.push(problem(
                format!("no worker serves queue {name}; waiting there: {ready}"),
                match name.split_once('@') {
                    Some((queue, label)) => {
                        format!("start one: celeriac worker --queues {queue} --label {label}")
                    }
                    None => format!("start one: celeriac worker --queues {name}"),
                },
            ));
        }
        if queue.ready > 0 && fleet.serves(name) && !fleet.takes_from(name) {
            findings.push(notice(
                format!("all workers of queue {name} are paused or about to leave; waiting there: {ready}"),
                "when that is over: celeriac workers resume --all, or start others",
            ));
        }
        if let Some(note) = queue.controls.paused.as_ref().filter(|_| queue.ready > 0) {
            findings.push(notice(
                format!("queue {name} is paused{}; waiting there: {ready}", note.who.by_whom()),
                format!("when that is over: celeriac queues resume {name}"),
            ));
        }
        if queue.suspects > 0 {
            findings.push(notice(
                format!("tasks in queue {name} that lost their worker twice or more: {}", grouped(queue.suspects)),
                "they run one at a time; look for the cause in the logs of the workers (memory, native code)",
            ));
        }
    }
    if snapshot.dead > 0 {
        findings.push(notice(
            format!("dead tasks, which failed for good: {}", grouped(snapshot.dead)),
            "see why with `celeriac dead --group` and `celeriac dead show ID`",
        ));
    }
    findings
}

/// Tasks that no worker knows, as far as open jobs name them.
fn job_findings(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Finding> {
    if fleet.workers.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for job in snapshot.jobs.iter().filter(|job| job.ended.is_none()) {
        let Ok(spec) = JobSpec::decode(&job.spec) else {
            findings.push(problem(
                format!("job {} was enqueued by a version that this one cannot read", job.id),
                "update the workers and this command",
            ));
            continue;
        };
        // Members of a workflow have names of their own, which are not looked at here.
        if spec.workflow.is_some() {
            continue;
        }
        let names = [Some(&*spec.chunk.task), spec.reduce.as_deref()];
        for name in names.into_iter().flatten().filter(|name| !fleet.knows(name)) {
            findings.push(problem(
                format!("no worker knows task {name} of job {}", job.id),
                "start a worker that has it, or correct the name and enqueue the job again",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_short_is_a_notice_before_it_is_a_problem() {
        let found = |used_bytes| {
            let found = memory_finding(Memory { used_bytes, max_bytes: 100 });
            found.map(|finding| finding.severity)
        };
        assert_eq!(
            [79, 80, 95].map(found),
            [None, Some(Severity::Notice), Some(Severity::Problem)]
        );
    }

    /// One worker of two slots, of which so many are wedged and so many are not.
    fn wedged(wedged: usize, well: usize) -> Vec<Finding> {
        let task = |wedged: Option<u64>| serde_json::json!({ "id": "x", "task": "render", "attempt": 1, "since": 1, "wedged": wedged });
        let running = [vec![task(Some(5)); wedged], vec![task(None); well]].concat();
        let info = serde_json::json!({
            "host": "h", "pid": 7, "version": "0", "queues": [], "tasks": [], "slots": 2, "busy": 2,
            "buffered": 0, "draining": false, "started": 0, "succeeded": 0, "failed": 0,
            "visibility_ms": 1, "running": running,
        });
        let info = serde_json::from_value(info).unwrap();
        let workers = [("4f2a".to_owned(), info)];
        wedged_findings(&Fleet { workers: &workers, unreadable: 0 })
    }

    #[test]
    fn wedged_slots_are_a_notice_and_a_problem_if_no_other_is_left() {
        assert_eq!(wedged(0, 2), []);
        let some = wedged(1, 1);
        assert_eq!((some.len(), some[0].severity), (1, Severity::Notice));
        let all = wedged(2, 0);
        assert_eq!((all.len(), all[0].severity), (1, Severity::Problem));
        let expected = "worker 4f2a (pid 7 on h) has 2 of its 2 slots wedged by what goes on after its end: render";
        assert_eq!(all[0].what, expected);
        assert!(all[0].todo.contains("celeriac workers drain 4f2a"), "{}", all[0].todo);
    }

    #[test]
    fn server_warnings_become_problems_with_a_remedy() {
        let server = ServerReport {
            product: "Redis".to_owned(),
            version: "7.0.0".to_owned(),
            warnings: vec!["maxmemory-policy is allkeys-lru: tasks may go; run `X`".to_owned()],
        };
        let quick = Duration::from_millis(1);
        let found = server_findings(&server, quick, Timestamp(60_000), Timestamp(0));
        assert_eq!(found[0], problem("maxmemory-policy is allkeys-lru: tasks may go", "run `X`"));
        assert!(found[1].what.contains("1 min"), "{:?}", found[1]);
        assert_eq!(found.len(), 2);
        let slow =
            server_findings(&server, Duration::from_millis(21), Timestamp(0), Timestamp(5_000));
        assert_eq!(slow.len(), 2);
        assert_eq!(slow[1].severity, Severity::Notice);
    }

    #[test]
    fn the_memory_warns_early() {
        let budget = |used| {
            Memory::of_info(&format!("# Memory\r\nused_memory:{used}\r\nmaxmemory:1000\r\n"))
        };
        assert_eq!(budget(790).warning(), None);
        assert!(
            budget(800).warning().is_some_and(|(what, urgent)| what.contains("80 %") && !urgent)
        );
        assert!(budget(950).warning().is_some_and(|(_, urgent)| urgent));
        assert_eq!(Memory { used_bytes: 10, max_bytes: 0 }.warning(), None);
    }
}
