//! One round: a namespace, workers, a load and faults; then everything is drained and compared.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use celeriac::{Broker, RedisConfig};
use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Proxy, TestRedis};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::faults::{self, Done, Place};
use crate::feed::{Fed, feed};
use crate::fleet::{Build, Worker};
use crate::report::Report;
use crate::verify::verify;
use crate::{Options, ledger};

/// Nothing has ended for so long: what is left is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// How long a worker may take to leave: its drain time-out, and something for a busy machine.
const LEAVES: Duration = Duration::from_secs(60);

/// A round with this seed. The Redis must run.
///
/// # Panics
/// If the laboratory itself fails.
pub async fn round(redis: &mut TestRedis, options: &Options, seed: u64) -> Report {
    let begin = Instant::now();
    let namespace = fresh_namespace();
    let directory = tempfile::tempdir().expect("a directory");
    let broker = broker_at(redis.url(), &namespace);
    let build = build(options, directory.path().into(), namespace.clone());
    let mut proxies = Vec::new();
    for _ in 0..=options.workers {
        proxies.push(Proxy::start(redis.url()).await);
    }
    let mut dice = Dice::new(seed, "workers");
    let mut workers: Vec<Worker> =
        (0..options.workers).map(|at| Worker::start(&build, &proxies, at, &mut dice)).collect();
    set_limits(&broker).await;

    let until = begin + options.duration;
    let done = Mutex::new(Done::default());
    let place = Place { broker: &broker, proxies: &proxies, until, done: &done };
    let [of_workers, of_redis] = faults::shares(options.mix).map(|share| share * options.faults);
    let producers = broker_at(&proxies[options.workers].url(), &namespace);
    let (mut load, mut chance) = (Dice::new(seed, "load"), Dice::new(seed, "redis"));
    let (fed, (), ()) = tokio::join!(
        feed(producers, options.tasks, until, &mut load),
        faults::worker_lane(&place, options.mix, of_workers, &mut workers, &build, &mut dice),
        faults::redis_lane(&place, options.mix, of_redis, redis, &mut chance),
    );

    let mut done = done.into_inner().expect("nobody panics with it");
    done.wrong.extend(settle(&broker, workers).await);
    let contents = broker.contents(usize::MAX).await.expect("Redis is there");
    let book = ledger::read(directory.path()).expect("the ledger can be read");
    let verdict = verify(&contents, &fed.acked, &book, &done, options.mix.keeps_leases());
    broker.erase().await.expect("Redis is there");
    let mut report = report_of(&fed, done);
    report.chunks = verdict.chunks;
    report.outcomes = verdict.outcomes;
    report.executions = verdict.executions;
    report.executed_again = verdict.again;
    (report.worker_first_ms, report.worker_last_ms) = verdict.recoveries_ms.into_iter().unzip();
    report.violations =
        verdict.violations.into_iter().map(|what| format!("seed {seed}: {what}")).collect();
    report.seconds = begin.elapsed().as_secs();
    report
}

fn broker_at(url: &str, namespace: &str) -> Broker {
    let namespace = namespace.parse().expect("a namespace");
    Broker::new(RedisConfig::new(url).namespace(namespace)).expect("a URL")
}

fn build(options: &Options, ledger: PathBuf, namespace: String) -> Build {
    // Leases that outlive all faults, or end within the shortest time that there is.
    let visibility =
        if options.mix.keeps_leases() { Duration::from_secs(60) } else { options.visibility };
    Build {
        programs: options.programs.clone(),
        concurrency: options.slots,
        visibility,
        ledger,
        namespace,
    }
}

/// Three at once of what is limited.
async fn set_limits(broker: &Broker) {
    use celeriac::{Limit, Requester, Subject};
    let subject = Subject::task(&"chaos.limited".parse().expect("a name"));
    let limit = Limit::new(None, Some(3)).expect("a limit");
    broker.limit(&subject, Some(&limit), &Requester::default()).await.expect("it is set");
}

/// Waits until everything has ended and the workers have left. Returns what is wrong.
async fn settle(broker: &Broker, workers: Vec<Worker>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(stuck) = drained(broker, workers.len()).await {
        wrong.push(stuck);
    }
    wrong.extend(workers.iter().filter_map(Worker::unexpected_end));
    workers.iter().for_each(|worker| worker.process.terminate());
    for worker in &workers {
        let begin = Instant::now();
        while worker.process.exited().is_none() && begin.elapsed() < LEAVES {
            sleep(Duration::from_millis(20)).await;
        }
        match worker.process.exited() {
            Some(status) if status.success() => {}
            other => wrong.push(format!(
                "worker {} did not leave in good order: {other:?}",
                worker.process.id()
            )),
        }
    }
    match broker.snapshot(0, 0).await {
        Ok(snapshot) if snapshot.leases == 0 => {}
        other => wrong.push(format!("leases are left, or Redis is away: {other:?}")),
    }
    wrong
}

/// Waits until nothing is left to do. Otherwise tells what is stuck.
async fn drained(broker: &Broker, workers: usize) -> Option<String> {
    let (mut since, mut last) = (Instant::now(), None);
    loop {
        let state = broker.snapshot(100, 100).await;
        if let Ok(snapshot) = &state {
            let left = snapshot.tasks + snapshot.open_jobs + snapshot.orphans + snapshot.delayed;
            if left == 0 && snapshot.leases <= workers as u64 {
                return None;
            }
            let now = (snapshot.stats.clone(), snapshot.tasks, snapshot.leases);
            if last.as_ref() != Some(&now) {
                (since, last) = (Instant::now(), Some(now));
            }
        }
        if since.elapsed() > STUCK {
            return Some(format!("stuck: {state:?}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn report_of(fed: &Fed, done: Done) -> Report {
    let mut report = Report {
        rounds: 1,
        duplicates: fed.duplicates,
        refused: fed.refused,
        unknown: fed.unknown,
        faults: done.faults,
        redis_restart_ms: done.restarts_ms,
        ..Report::default()
    };
    for acked in &fed.acked {
        *report.acknowledged.entry(acked.kind.to_owned()).or_default() += 1;
    }
    report
}
