//! `celeriac bench`: what this machine reaches, measured in one run, as a table or as JSON.
//!
//! Every measurement has a private server of its own. Rates that depend on each
//! other (the floor, one worker, two workers) are measured in turns and their medians compared, so
//! that a noisy machine is as unfair to one as to the other.

mod against;
mod delay;
mod features;
mod floor;
mod idle;
mod latency;
mod pi;
mod place;
mod queue;
mod range;
mod report;
mod urgent;
mod workers;

use crate::args::{Aof, BenchArgs};
use crate::error::CliError;
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
const MORE: [&str; 2] = ["features", "due"];
/// Tasks of the part `due` unless told otherwise.
const DUE: u64 = 1_000_000;

pub(crate) async fn run(args: BenchArgs, globals: &Globals) -> Result<(), CliError> {
    let parts = parts(&args.only)?;
    if let Some(program) = &args.against {
        if args.aof == Aof::Both {
            let advice =
                "--against measures with the append-only file or without: name one of them";
            return Err(CliError::Arguments(advice.to_owned()));
        }
        return against::run(program, &passed_on(&args), globals).await;
    }
    let tasks = args.tasks.unwrap_or(TASKS).max(1_000);
    let due = args.tasks.unwrap_or(DUE);
    let mut reports = Vec::new();
    for append_only in append_only(args.aof) {
        reports.push(
            measure(&parts, [tasks, due], append_only, !args.only.is_empty(), globals).await?,
        );
    }
    for report in &reports {
        if globals.json {
            output::json(report)?;
        } else {
            output::line(report.render())?;
        }
    }
    Ok(())
}

/// The options that another build gets, too.
fn passed_on(args: &BenchArgs) -> Vec<String> {
    let mut passed = Vec::new();
    if !args.only.is_empty() {
        passed.extend(["--only".to_owned(), args.only.join(",")]);
    }
    if let Some(tasks) = args.tasks {
        passed.extend(["--tasks".to_owned(), tasks.to_string()]);
    }
    if args.aof == Aof::On {
        passed.extend(["--aof".to_owned(), "on".to_owned()]);
    }
    passed
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

async fn measure(
    parts: &[&'static str],
    [tasks, due]: [u64; 2],
    append_only: bool,
    alone: bool,
    globals: &Globals,
) -> Result<Report, CliError> {
    let place = Place::new(globals, append_only);
    let mut report = Report::new(&place, tasks).await?;
    for part in parts {
        globals.talk(format_args!("measuring: {part}"));
        match *part {
            "enqueue" => queue::enqueue(&place, tasks, &mut report).await?,
            "drain" => queue::drain(&place, tasks, &mut report).await?,
            "end-to-end" => queue::end_to_end(&place, tasks, &mut report).await?,
            "latency" => latency::measure(&place, &mut report).await?,
            "urgent" => urgent::measure(&place, &mut report).await?,
            "delay" => delay::measure(&place, &mut report).await?,
            "features" => features::measure(&place, tasks, &mut report).await?,
            "due" => delay::at_once(&place, due, &mut report).await?,
            "range" => range::measure(&place, tasks, &mut report).await?,
            "idle" => idle::measure(&place, &mut report, globals).await?,
            _ => pi::measure(&place, alone, &mut report).await?,
        }
    }
    report.load_average = report::load_average();
    Ok(report)
}
