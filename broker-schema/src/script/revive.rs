//! `revive`: dead tasks run again.

use crate::connection::Connections;
use crate::dead::DeadLetter;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::dead::dead_letters;
use crate::script::script;

script!(REVIVE, "revive", "", ["base", "ready", "locks"]);

/// So many are read and revived in one call each: their records may be large.
const BITE: usize = 20;

/// What became of a dead task that was to be revived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revived {
    /// It is ready, and runs as if it had not failed before.
    Revived,
    /// It is not among the dead letters.
    Unknown,
    /// It is a chunk or the reducer of a job, and the job has ended.
    JobOver,
    /// Another task has its key by now, and would run beside it.
    Locked,
    /// Its record cannot be read.
    Unreadable,
}

impl Revived {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Revived::Revived => "revived",
            Revived::Unknown => "unknown",
            Revived::JobOver => "job_over",
            Revived::Locked => "locked",
            Revived::Unreadable => "unreadable",
        }
    }
}

pub(crate) async fn revive(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
    who: &Requester,
) -> Result<Vec<(TaskId, Revived)>, BrokerError> {
    let mut revived = Vec::with_capacity(ids.len());
    for mut bite in ids.chunks(BITE) {
        while !bite.is_empty() {
            let letters = dead_letters(connections, keys, bite).await?;
            // Large letters may not all fit into one reply; those are asked for again.
            let told = letters.last().and_then(|last| bite.iter().rposition(|id| *id == last.id));
            let (now, later) = bite.split_at(told.map_or(bite.len(), |last| last + 1));
            revived.extend(revive_letters(connections, keys, now, &letters, who).await?);
            bite = later;
        }
    }
    Ok(revived)
}

async fn revive_letters(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
    letters: &[DeadLetter],
    who: &Requester,
) -> Result<Vec<(TaskId, Revived)>, BrokerError> {
    let mut command = REVIVE.command(keys.prefix());
    command.arg(who.as_rest());
    let mut words = Vec::with_capacity(ids.len());
    for id in ids {
        let letter = letters.iter().find(|letter| letter.id == *id);
        let word = match letter {
            None => Some(Revived::Unknown),
            Some(letter) if letter.of_job => Some(Revived::JobOver),
            Some(letter) => match &letter.record {
                Some(record) if letter.task != "?" => {
                    command.arg(id.to_string()).arg(letter.queue.as_str());
                    command.arg(letter.priority.get()).arg(record.get());
                    let last = letter.attempts.last().map_or(0, |attempt| attempt.attempt);
                    command.arg(last).arg(history_of(letter));
                    command.arg(letter.lock.as_deref().unwrap_or_default());
                    None
                }
                _ => Some(Revived::Unreadable),
            },
        };
        words.push((*id, word));
    }
    let mut reply = match words.iter().any(|(_, word)| word.is_none()) {
        true => Some(Reply::new(REVIVE.name, connections.run(&REVIVE, &command).await?)?),
        false => None,
    };
    let told = |reply: &mut Option<Reply>| match reply {
        Some(reply) => read(reply),
        None => Ok(Revived::Unknown),
    };
    words
        .into_iter()
        .map(|(id, word)| Ok((id, word.map_or_else(|| told(&mut reply), Ok)?)))
        .collect()
}

fn history_of(letter: &DeadLetter) -> String {
    let lines = letter.attempts.iter().filter_map(|attempt| serde_json::to_string(attempt).ok());
    lines.collect::<Vec<_>>().join("\n")
}

fn read(reply: &mut Reply) -> Result<Revived, BrokerError> {
    match reply.text("word")?.as_str() {
        "revived" => Ok(Revived::Revived),
        "unknown" => Ok(Revived::Unknown),
        "job_over" => Ok(Revived::JobOver),
        "locked" => Ok(Revived::Locked),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
