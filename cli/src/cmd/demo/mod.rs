//! `celeriac demo`: the whole road in one command. Starts a private Redis, real workers and the
//! monitor, estimates Pi on one worker and on all of them, and compares that with plain threads
//! that know nothing of a queue.

mod measure;
mod progress;
mod report;

use std::time::Duration;

use celeriac_broker_schema::Broker;
use celeriac_private_server::Options;
use celeriac_producer::Producer;

use self::measure::{Measured, PiJob};
use self::progress::Progress;
use self::report::Report;
use crate::args::DemoArgs;
use crate::args::values::duration_text;
use crate::error::CliError;
use crate::fleet::{DRAIN_TIMEOUT, Fleet, Interrupt, Redis};
use crate::format::counted;
use crate::globals::Globals;
use crate::output;

/// Short, so that whoever kills a worker of the demo soon sees the others take over.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: DemoArgs, globals: &Globals) -> Result<(), CliError> {
    if args.samples == 0 {
        return Err(CliError::Arguments(
            "no estimate comes of 0 samples: use at least 1".to_owned(),
        ));
    }
    let mut interrupt = Interrupt::listen()?;
    let redis = tokio::select! {
        redis = redis(globals) => redis?,
        () = interrupt.wait() => return Err(CliError::Interrupted),
    };
    let mut fleet = Fleet::new(redis, globals);
    let mut result = tokio::select! {
        result = perform(&args, globals, &mut fleet) => result,
        () = interrupt.wait() => Err(CliError::Interrupted),
    };
    if args.keep && result.is_ok() {
        globals.talk("all keeps running until Ctrl-C");
        result = tokio::select! {
            error = fleet.fails() => Err(error),
            () = interrupt.wait() => Ok(()),
        };
    }
    // What went wrong first is what is told.
    result.and(fleet.stop(&mut interrupt).await)
}

/// A private server, or a fresh namespace on the one that was asked for.
async fn redis(globals: &Globals) -> Result<Redis, CliError> {
    if !globals.redis_given {
        let redis = Redis::start(Options::default(), globals.redis.namespace.clone()).await?;
        return Ok(redis);
    }
    let namespace = format!("demo-{:08x}", rand::random::<u32>()).parse()?;
    let config = globals.redis.clone().namespace(namespace);
    let broker = Broker::new(config.clone())?;
    for warning in broker.check_server().await?.warnings {
        globals.talk(format_args!("warning: {warning}"));
    }
    globals.talk(format_args!(
        "using Redis at {}, namespace {}",
        broker.server(),
        config.namespace
    ));
    Ok(Redis::Given(config))
}

async fn perform(args: &DemoArgs, globals: &Globals, fleet: &mut Fleet) -> Result<(), CliError> {
    if let Some(server) = fleet.server() {
        let (product, version, dir) =
            (server.product(), server.version(), server.data_dir().display());
        globals.talk(format_args!("started {product} {version}, private, with its data in {dir}"));
    }
    let monitor = fleet.start_monitor(args.port).await?;
    globals.talk(format_args!("the monitor is at {monitor}"));
    if !monitor.contains(&format!(":{}/", args.port)) {
        globals.talk(format_args!("(port {} is taken)", args.port));
    }
    let producer = Producer::new(Broker::new(fleet.redis())?);
    let measured = measure(args, globals, fleet, &producer).await?;
    let report = Report::new(args, &measured, &monitor);
    if globals.json { output::json(&report) } else { output::line(report.text()) }
}

/// One worker first, then all, then threads; nothing else runs meanwhile.
async fn measure(
    args: &DemoArgs,
    globals: &Globals,
    fleet: &mut Fleet,
    producer: &Producer,
) -> Result<Measured, CliError> {
    let job = PiJob { samples: args.samples, chunks: args.chunks };
    let workers = usize::from(args.workers);
    start_workers(fleet, 1).await?;
    let one_worker = {
        let progress = Progress::new(globals, "one worker", job.chunks);
        fleet.during(job.run(producer, "one worker", &progress)).await?
    };
    let all_workers = if workers == 1 {
        one_worker.clone()
    } else {
        start_workers(fleet, workers - 1).await?;
        let name = counted(workers as u64, "worker");
        let progress = Progress::new(globals, &name, job.chunks);
        fleet.during(job.run(producer, &name, &progress)).await?
    };
    globals.talk("plain threads without a queue, for comparison");
    let one_thread = fleet.during(job.on_threads(1)).await?;
    let all_threads = match workers {
        1 => one_thread,
        _ => fleet.during(job.on_threads(workers)).await?,
    };
    let measured = Measured { one_worker, all_workers, one_thread, all_threads };
    measured.check()?;
    Ok(measured)
}

async fn start_workers(fleet: &mut Fleet, number: usize) -> Result<(), CliError> {
    let visibility = duration_text(VISIBILITY_TIMEOUT);
    let drain = duration_text(DRAIN_TIMEOUT);
    let args =
        ["--concurrency", "1", "--visibility-timeout", &visibility, "--drain-timeout", &drain];
    fleet.start_workers(number, &args).await
}
