//! `celeriac bench`: what this machine reaches, measured in one run, as a table or as JSON.
//!
//! Every measurement has a private server of its own, or a namespace of its own on the server of
//! `--redis`, and leaves nothing there, however it ends. Rates that depend on each other (the floor,
//! one worker, two workers) are measured in turns and their medians compared, so that a noisy machine
//! is as unfair to one as to the other.

mod against;
mod attempts;
mod delay;
mod features;
mod floor;
mod idle;
mod latency;
mod marking;
mod pi;
mod place;
mod queue;
mod range;
mod reads;
mod report;
mod urgent;
mod workers;
mod workflows;

use crate::args::{Aof, BenchArgs};
use crate::error::CliError;
use crate::fleet::Interrupt;
use crate::globals::Globals;
use crate::output;
use place::Place;
use report::Report;

/// Tasks in a measurement unless told otherwise: some seconds of work.
const TASKS: u64 = 200_000;
/// How often what is compared is measured.
const ROUNDS: usize = 5;

/// The parts of a run.
const PARTS: [&str; 9] =
    ["enqueue", "drain", "end-to-end", "latency", "urgent", "delay", "range", "idle", "pi"];
/// Those that are measured only if they are named: they take minutes.
const MORE: [&str; 4] = ["features", "due", "reads", "workflows"];
/// Tasks of the parts `due` and `reads` unless told otherwise.
const DUE: u64 = 1_000_000;

pub(crate) async fn run(args: BenchArgs, globals: &Globals) -> Result<(), CliError> {
    let plan = Plan::new(&args)?;
    if args.against.is_some() && globals.redis_on_command_line {
        return Err(CliError::Arguments(
            "--against compares on private servers: leave --redis out".to_owned(),
        ));
    }
    if args.aof.is_some() && globals.redis_on_command_line {
        return Err(CliError::Arguments(
            "--aof is about the private server, and with --redis there is none: leave one of them out"
                .to_owned(),
        ));
    }
    let mut interrupt = Interrupt::listen()?;
    if let Some(program) = &args.against {
        let passed = passed_on(&args)?;
        return tokio::select! {
            compared = against::run(program, &passed, globals) => compared,
            () = interrupt.wait() => Err(CliError::Interrupted),
        };
    }
    let mut reports = Vec::new();
    for append_only in append_only(args.aof.unwrap_or(Aof::Off)) {
        let place = Place::new(globals, append_only);
        let measured = tokio::select! {
            measured = measure(&plan, &place, globals) => measured,
            () = interrupt.wait() => Err(CliError::Interrupted),
        };
        // However it ended; what went wrong first is what is told.
        let cleaned = place.clean().await;
        reports.push(measured?);
        cleaned?;
    }
    if globals.json {
        return match &reports[..] {
            [report] => output::json(report),
            both => output::json(&both),
        };
    }
    let texts: Vec<String> = reports.iter().map(Report::render).collect();
    output::line(texts.join("\n\n"))
}

/// What is measured, and with how much.
struct Plan {
    parts: Vec<&'static str>,
    tasks: u64,
    /// Tasks of the parts `due` and `reads`.
    due: u64,
    /// Whether parts were named: then each tells all it can.
    named: bool,
}

impl Plan {
    fn new(args: &BenchArgs) -> Result<Self, CliError> {
        Ok(Self {
            parts: parts(&args.only)?,
            tasks: args.tasks.unwrap_or(TASKS).max(1_000),
            due: args.tasks.unwrap_or(DUE),
            named: !args.only.is_empty(),
        })
    }
}

/// The options that another build gets, too.
fn passed_on(args: &BenchArgs) -> Result<Vec<String>, CliError> {
    let mut passed = Vec::new();
    if !args.only.is_empty() {
        passed.extend(["--only".to_owned(), args.only.join(",")]);
    }
    if let Some(tasks) = args.tasks {
        passed.extend(["--tasks".to_owned(), tasks.to_string()]);
    }
    match args.aof {
        None | Some(Aof::Off) => {}
        Some(Aof::On) => passed.extend(["--aof".to_owned(), "on".to_owned()]),
        Some(Aof::Both) => {
            return Err(CliError::Arguments(
                "--against measures with the append-only file or without: name one of them"
                    .to_owned(),
            ));
        }
    }
    Ok(passed)
}

fn append_only(aof: Aof) -> Vec<bool> {
    match aof {
        Aof::On => vec![true],
        Aof::Off => vec![false],
        Aof::Both => vec![false, true],
    }
}

fn parts(only: &[String]) -> Result<Vec<&'static str>, CliError> {
    if only.is_empty() {
        return Ok(PARTS.to_vec());
    }
    let known = |name: &String| {
        PARTS.into_iter().chain(MORE).find(|part| part == name).ok_or_else(|| {
            CliError::Arguments(format!(
                "there is no part {name:?} to measure; there are {}",
                [&PARTS[..], &MORE].concat().join(", ")
            ))
        })
    };
    only.iter().map(known).collect()
}

async fn measure(plan: &Plan, place: &Place, globals: &Globals) -> Result<Report, CliError> {
    let tasks = plan.tasks;
    let mut report = Report::new(place, tasks).await?;
    for part in &plan.parts {
        globals.talk(format_args!("measuring: {part}"));
        match *part {
            "enqueue" => queue::enqueue(place, tasks, &mut report).await?,
            "drain" => queue::drain(place, tasks, &mut report).await?,
            "end-to-end" => queue::end_to_end(place, tasks, &mut report).await?,
            "latency" => latency::measure(place, &mut report).await?,
            "urgent" => urgent::measure(place, &mut report).await?,
            "delay" => delay::measure(place, &mut report).await?,
            "features" => features::measure(place, tasks, &mut report).await?,
            "due" => delay::at_once(place, plan.due, &mut report).await?,
            "workflows" => workflows::measure(place, tasks, &mut report).await?,
            "reads" => reads::measure(place, plan.due, &mut report, globals).await?,
            "range" => range::measure(place, tasks, &mut report).await?,
            "idle" => idle::measure(place, &mut report, globals).await?,
            _ => pi::measure(place, plan.named, &mut report).await?,
        }
    }
    report.load_average = report::load_average();
    Ok(report)
}
