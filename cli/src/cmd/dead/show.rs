//! All that is known of one dead letter.

use celeriac_broker_schema::{DeadLetter, TaskId, Timestamp};
use serde_json::value::RawValue;

use super::list::kind;
use crate::cmd::status::attempt_text;
use crate::error::CliError;
use crate::format::time_and_distance;
use crate::globals::Globals;
use crate::output;

pub(super) async fn run(id: &str, globals: &Globals) -> Result<(), CliError> {
    let id: TaskId = id.parse()?;
    let broker = globals.connect().await?;
    let now = broker.dead(None, 1).await?.now;
    let letter = broker.dead_letter(id).await?.ok_or(CliError::NotDead(id))?;
    if globals.json { output::json(&letter) } else { output::line(text(&letter, now)) }
}

fn text(letter: &DeadLetter, now: Timestamp) -> String {
    let mut pairs = vec![
        ("task", letter.id.to_string()),
        ("died", time_and_distance(letter.at, now)),
        ("name", letter.task.clone()),
        ("queue", format!("{}, priority {}", letter.queue, letter.priority)),
    ];
    pairs.extend(letter.args.as_deref().map(|args| ("arguments", RawValue::get(args).to_owned())));
    pairs.push(("error", letter.error.message.clone()));
    pairs.push(("kind", kind(letter.error.kind)));
    pairs.push(("fingerprint", letter.error.fingerprint.clone()));
    if letter.task == "?" {
        pairs.push(("stored", letter.stored.clone()));
    }
    let mut text = output::facts(&pairs);
    for attempt in &letter.attempts {
        text.push_str(&format!("\n{}", attempt_text(attempt, now)));
    }
    if let Some(trace) = &letter.error.trace {
        text.push_str(&format!("\ntrace\n{trace}"));
    }
    text
}
