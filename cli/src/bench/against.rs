//! One build against another: both measure the same parts in turns on the same machine, so that what
//! the machine does meanwhile meets both, and their medians are compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;

use crate::bench::report::median;
use crate::error::CliError;
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// How often each of the two measures.
const TURNS: usize = 3;

/// The figures of one program by their names, one of each turn.
type Figures = BTreeMap<String, Vec<f64>>;

/// What both programs told, in the names of `bench --json`.
#[derive(Debug, Serialize)]
struct Compared {
    against: String,
    turns: usize,
    figures: Vec<Figure>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Figure {
    name: String,
    /// Of the program that is compared with.
    before: f64,
    /// Of this one.
    after: f64,
    ratio: f64,
    /// How far the turns of either lie apart at most, as a share of its median: what is noise.
    spread: f64,
}

/// Measures with `program` and with this one in turns. `args` are those of `bench` for both.
pub(super) async fn run(
    program: &Path,
    args: &[String],
    globals: &Globals,
) -> Result<(), CliError> {
    let own = std::env::current_exe().map_err(CliError::System)?;
    let (mut before, mut after) = (Figures::new(), Figures::new());
    for turn in 1..=TURNS {
        globals.talk(format_args!("turn {turn} of {TURNS}"));
        measure(program, args, &mut before).await?;
        measure(&own, args, &mut after).await?;
    }
    let against = program.display().to_string();
    let compared = Compared { against, turns: TURNS, figures: compare(before, after) };
    if globals.json { output::json(&compared) } else { output::line(compared.render()) }
}

/// One run of a program; its figures are added to those of its turns before.
async fn measure(program: &Path, args: &[String], to: &mut Figures) -> Result<(), CliError> {
    let name = program.display().to_string();
    let spawn = |source| CliError::Spawn { name: name.clone(), source };
    // Each has private servers of its own.
    let output = Command::new(program)
        .args(["bench", "--json"])
        .args(args)
        .env_remove("CELERIAC_REDIS_URL")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(spawn)?;
    let log = || String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    let ended = || CliError::ChildEnded { name: name.clone(), status: output.status, log: log() };
    if !output.status.success() {
        return Err(ended());
    }
    let report = serde_json::from_slice(&output.stdout).map_err(|_| ended())?;
    collect("", &report, to);
    Ok(())
}

/// Whether a number says what was measured with, and not what was found.
fn is_given(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    matches!(name, "tasks" | "cores" | "load_average" | "samples" | "chunks" | "workers")
}

/// All numbers of a report under their paths, except those that tell where it was made.
fn collect(path: &str, value: &Value, to: &mut Figures) {
    match value {
        Value::Number(number) if !is_given(path) => {
            to.entry(path.to_owned()).or_default().extend(number.as_f64());
        }
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields
                .iter()
                .for_each(|(name, value)| collect(&format!("{path}{dot}{name}"), value, to));
        }
        // Rows of a table, by their first word if they have one.
        Value::Array(rows) => {
            for (number, row) in rows.iter().enumerate() {
                let name = row.get("feature").and_then(Value::as_str);
                let name = name.map_or_else(|| number.to_string(), str::to_owned);
                collect(&format!("{path}.{name}"), row, to);
            }
        }
        _ => {}
    }
}

/// What both have, by name.
fn compare(before: Figures, mut after: Figures) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, mut old) in before {
        let Some(mut new) = after.remove(&name) else { continue };
        let spread = spread(&mut old).max(spread(&mut new));
        let (before, after) = (median(&mut old), median(&mut new));
        // Nothing compares with nothing.
        if before == 0.0 || after == 0.0 {
            continue;
        }
        figures.push(Figure { name, before, after, ratio: after / before, spread });
    }
    figures
}

fn spread(turns: &mut [f64]) -> f64 {
    let middle = median(turns);
    let apart = turns.iter().copied().fold(f64::MIN, f64::max)
        - turns.iter().copied().fold(f64::MAX, f64::min);
    apart / middle
}

impl Compared {
    fn render(&self) -> String {
        let titles = ["before", "after", "ratio", "spread"].map(|title| (title, Align::Right));
        let mut table = Table::new([vec![("", Align::Left)], titles.to_vec()].concat());
        for Figure { name, before, after, ratio, spread } in &self.figures {
            let number = |value: &f64| format!("{value:.3}");
            let percent = format!("{:.0} %", spread * 100.0);
            table.row([name.clone(), number(before), number(after), number(ratio), percent]);
        }
        let head = format!("before: {}; medians of {} turns", self.against, self.turns);
        format!("{head}\n\n{}", table.render())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_both_are_compared_by_their_medians() {
        let (mut before, mut after) = (Figures::new(), Figures::new());
        for drain in [100.0, 90.0, 110.0] {
            let report = serde_json::json!({
                "server": "Redis", "tasks": 5, "drain_per_s": drain, "latency_ms": {"p50": 2.0},
                "features": [{"feature": "none", "redis_us_per_task": 4.0}], "only_before": 1.0,
            });
            collect("", &report, &mut before);
            let report = serde_json::json!({
                "tasks": 5, "drain_per_s": drain + 50.0, "latency_ms": {"p50": 1.0},
                "features": [{"feature": "none", "redis_us_per_task": 5.0}],
            });
            collect("", &report, &mut after);
        }

        let figures = compare(before, after);

        let figure = |name: &str, before, after, ratio, spread| Figure {
            name: name.to_owned(),
            before,
            after,
            ratio,
            spread,
        };
        let wanted = [
            figure("drain_per_s", 100.0, 150.0, 1.5, 0.2),
            figure("features.none.redis_us_per_task", 4.0, 5.0, 1.25, 0.0),
            figure("latency_ms.p50", 2.0, 1.0, 0.5, 0.0),
        ];
        assert_eq!(figures, wanted);
        let text = Compared { against: "old".to_owned(), turns: 3, figures }.render();
        assert!(text.contains("drain_per_s") && text.contains("1.500"), "{text}");
    }
}
