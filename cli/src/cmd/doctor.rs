//! `celeriac doctor`: looks for trouble and says what to do about it. It only looks.

mod deep;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::health::{self, Finding, Memory, Severity};
use celeriac_broker_schema::{Broker, Timestamp};
use serde::Serialize;

use crate::error::CliError;
use crate::fleet_view::FleetView;
use crate::format::grouped;
use crate::globals::Globals;
use crate::output;

/// Most queues and jobs that are looked at.
const MOST: u32 = 1_000;

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
    let memory = Memory::of_info(&broker.info("memory").await?);
    let workers = fleet.by_lease();
    let mut findings = health::server_findings(&server, round_trip, snapshot.now, local);
    findings.extend(health::memory_finding(memory));
    findings.extend(health::findings(&snapshot, &workers, fleet.unreadable));
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
