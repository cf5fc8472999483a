//! `celeriac doctor`: looks for trouble and says what to do about it. It only looks.

mod deep;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::script::Snapshot;
use celeriac_broker_schema::{Broker, JobSpec, ServerReport, Timestamp};
use serde::Serialize;

use super::memory::Budget;
use crate::error::CliError;
use crate::fleet_view::{FleetView, WorkerLine};
use crate::format::{counted, grouped, span};
use crate::globals::Globals;
use crate::output;

/// Most queues and jobs that are looked at.
const MOST: u32 = 1_000;
/// A clock that is wrong by more makes `--at` and the times on screen surprising.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// A round trip above this makes everything slow.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(20);

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    severity: Severity,
    /// What is the matter.
    what: String,
    /// What to do about it.
    todo: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// Tasks do not run, or may get lost.
    Problem,
    /// Worth knowing; it may be meant so.
    Notice,
}

fn problem(what: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { severity: Severity::Problem, what: what.into(), todo: todo.into() }
}

fn notice(what: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { severity: Severity::Notice, ..problem(what, todo) }
}

#[derive(Serialize)]
struct Report {
    server: String,
    product: String,
    version: String,
    namespace: String,
    round_trip_ms: f64,
    workers: usize,
    tasks: u64,
    open_jobs: u64,
    dead: u64,
    findings: Vec<Finding>,
}

pub(crate) async fn run(globals: &Globals, deep: bool) -> Result<(), CliError> {
    let broker = Broker::new(globals.redis.clone())?;
    let server = broker.check_server().await?;
    let round_trip = round_trip(&broker).await?;
    let snapshot = broker.snapshot(MOST, MOST).await?;
    let local = local_time();
    let fleet = FleetView::read(&broker).await?;
    let mut findings = server_findings(&server, round_trip, snapshot.now, local);
    findings.extend(memory_findings(Budget::read(&broker).await?));
    findings.extend(lease_findings(&snapshot, &fleet));
    findings.extend(wedged_findings(&fleet));
    findings.extend(queue_findings(&snapshot, &fleet));
    findings.extend(job_findings(&snapshot, &fleet));
    if deep {
        findings.extend(deep::findings(&broker).await?);
    }
    findings.sort_by_key(|finding| finding.severity);
    let report = Report {
        server: broker.server().to_owned(),
        product: server.product,
        version: server.version,
        namespace: globals.redis.namespace.to_string(),
        round_trip_ms: round_trip.as_secs_f64() * 1_000.0,
        workers: fleet.workers.len(),
        tasks: snapshot.tasks,
        open_jobs: snapshot.open_jobs,
        dead: snapshot.dead,
        findings,
    };
    if globals.json {
        output::json(&report)?;
    } else {
        output::line(report.text())?;
    }
    let is_problem = |finding: &&Finding| finding.severity == Severity::Problem;
    match report.findings.iter().filter(is_problem).count() {
        0 => Ok(()),
        problems => Err(CliError::Doctor(problems as u64)),
    }
}

/// The quickest of a few, so that one hiccup is no finding.
async fn round_trip(broker: &Broker) -> Result<Duration, CliError> {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        broker.ping().await?;
        quickest = quickest.min(begin.elapsed());
    }
    Ok(quickest)
}

fn local_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(celeriac_broker_schema::time::millis(since))
}

fn server_findings(
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

fn memory_findings(budget: Budget) -> Option<Finding> {
    let (what, is_urgent) = budget.warning()?;
    let todo = "see what takes it with `celeriac doctor --memory`; raise maxmemory, or keep outcomes for less time";
    Some(if is_urgent { problem(what, todo) } else { notice(what, todo) })
}

fn lease_findings(snapshot: &Snapshot, fleet: &FleetView) -> Vec<Finding> {
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
fn wedged_findings(fleet: &FleetView) -> Vec<Finding> {
    let mut findings = Vec::new();
    for WorkerLine { lease, info, .. } in &fleet.workers {
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

fn queue_findings(snapshot: &Snapshot, fleet: &FleetView) -> Vec<Finding> {
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
fn job_findings(snapshot: &Snapshot, fleet: &FleetView) -> Vec<Finding> {
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

impl Report {
    fn text(&self) -> String {
        let Report { server, product, version, namespace, round_trip_ms, .. } = self;
        let mut text = output::facts(&[
            ("server", format!("{server}, {product} {version}, {round_trip_ms:.2} ms away")),
            ("namespace", namespace.clone()),
            ("workers", grouped(self.workers as u64)),
            ("tasks", format!("{} not ended, {} dead", grouped(self.tasks), grouped(self.dead))),
            ("open jobs", grouped(self.open_jobs)),
        ]);
        text.push('\n');
        if self.findings.is_empty() {
            text.push_str("\nall is well");
        }
        for Finding { severity, what, todo } in &self.findings {
            let word = if *severity == Severity::Problem { "PROBLEM" } else { "notice " };
            text.push_str(&format!("\n{word}  {what}\n         do: {todo}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_short_is_a_notice_before_it_is_a_problem() {
        let found = |used_bytes| {
            let found = memory_findings(Budget { used_bytes, max_bytes: 100 });
            found.map(|finding| finding.severity)
        };
        assert_eq!(
            [79, 80, 95].map(found),
            [None, Some(Severity::Notice), Some(Severity::Problem)]
        );
    }

    /// One worker of two slots, of which so many are wedged and so many are not.
    fn fleet(wedged: usize, well: usize) -> FleetView {
        let task = |wedged: Option<u64>| serde_json::json!({ "id": "x", "task": "render", "attempt": 1, "since": 1, "wedged": wedged });
        let running = [vec![task(Some(5)); wedged], vec![task(None); well]].concat();
        let info = serde_json::json!({
            "host": "h", "pid": 7, "version": "0", "queues": [], "tasks": [], "slots": 2, "busy": 2,
            "buffered": 0, "draining": false, "started": 0, "succeeded": 0, "failed": 0,
            "visibility_ms": 1, "running": running,
        });
        let info = serde_json::from_value(info).unwrap();
        let worker = WorkerLine { lease: "4f2a".to_owned(), expires: Timestamp(9), info };
        FleetView { now: Timestamp(9), workers: vec![worker], unreadable: 0 }
    }

    #[test]
    fn wedged_slots_are_a_notice_and_a_problem_if_no_other_is_left() {
        assert_eq!(wedged_findings(&fleet(0, 2)), []);
        let some = wedged_findings(&fleet(1, 1));
        assert_eq!((some.len(), some[0].severity), (1, Severity::Notice));
        let all = wedged_findings(&fleet(2, 0));
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
}
