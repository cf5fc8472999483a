//! `release_again`: members of a workflow that is retried are ready again.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ChunkIndex, JobId};
use crate::keys::Keys;
use crate::record::Record;
use crate::reply::Reply;
use crate::script::script;
use crate::script::unsettled::Unsettled;

script!(
    RELEASE_AGAIN,
    "release_again",
    "",
    ["base", "ready", "gate", "locks", "settle", "workflow"]
);

/// What became of a bite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// They are ready.
    Done,
    /// Somebody else does the same, and is there.
    Expected(ChunkIndex),
    /// The job has ended, or all of it was released before.
    Over,
}

pub(crate) async fn release_again(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    (from, next): (ChunkIndex, Option<ChunkIndex>),
    members: &[Unsettled],
) -> Result<Released, BrokerError> {
    let mut command = RELEASE_AGAIN.command(keys.prefix());
    command.arg(job.to_string()).arg(from);
    command.arg(next.map_or_else(String::new, |next| next.to_string()));
    for release in releases(members) {
        command.arg(release);
    }
    let value = connections.run(&RELEASE_AGAIN, &command).await?;
    let mut reply = Reply::new(RELEASE_AGAIN.name, value)?;
    match reply.text("state")?.as_str() {
        "released" => Ok(Released::Done),
        "expected" => Ok(Released::Expected(reply.parsed("index")?)),
        "over" => Ok(Released::Over),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}

/// Neighbours that have all in common that ranges and limits go by are released together.
fn releases(members: &[Unsettled]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut drawn: Option<(ChunkIndex, ChunkIndex, [String; 2])> = None;
    let range =
        |(lo, hi, [place, _]): (ChunkIndex, ChunkIndex, [String; 2])| format!("{lo}-{hi}:{place}");
    for Unsettled { index, alone, record } in members {
        // What cannot be read fails when a worker takes it, wherever that is.
        let record = Record::decode(record).ok();
        let options = record.as_ref().map(Record::options).unwrap_or_default();
        let place = format!("{}:{}", options.priority.get(), options.queue);
        if *alone {
            texts.push(format!("{index}:{place}"));
            continue;
        }
        let tenant = options.tenant.as_ref().map_or("", |tenant| tenant.as_str());
        let kind = format!("{} {tenant}", record.as_ref().map_or("", |record| &record.task));
        match &mut drawn {
            Some((_, hi, of)) if *hi == *index && of[0] == place && of[1] == kind => *hi += 1,
            _ => texts.extend(drawn.replace((*index, index + 1, [place, kind])).map(range)),
        }
    }
    texts.extend(drawn.map(range));
    texts
}
