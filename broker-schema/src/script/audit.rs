//! `audit`: a page of what people did.

use crate::audit::{AuditLine, AuditPage, Deed};
use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(AUDIT, "audit", " flags=no-writes", ["base"]);

/// Most lines of one page.
const MOST: u32 = 500;

pub(crate) async fn audit(
    connections: &Connections,
    keys: &Keys,
    after: Option<&str>,
    limit: u32,
) -> Result<AuditPage, BrokerError> {
    let limit = limit.clamp(1, MOST);
    let mut command = AUDIT.command(keys.prefix());
    command.arg(after.filter(|place| is_place(place)).unwrap_or("+")).arg(limit);
    let mut reply = Reply::new(AUDIT.name, connections.run(&AUDIT, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let (mut places, mut texts) = (reply.array("entries")?, reply.array("texts")?);
    let mut lines = Vec::with_capacity(places.len());
    while !places.is_empty() {
        let place = places.text("entry")?;
        let at = place.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
        let deed = Deed::decode(&texts.text("text")?);
        lines.push(AuditLine { place, at: Timestamp(at), deed });
    }
    let full = u32::try_from(lines.len()).is_ok_and(|number| number == limit);
    let next = lines.last().filter(|_| full).map(|line| line.place.clone());
    Ok(AuditPage { now, lines, next })
}

/// Anything else would be an error of Redis. It begins at the newest line.
fn is_place(text: &str) -> bool {
    let number =
        |part: &str| part.parse::<u64>().is_ok() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(ms, n)| number(ms) && number(n))
}
