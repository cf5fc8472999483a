//! `elements`: what one large key holds, page by page.

use crate::check::{Held, MAX_TEXT};
use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::{contents::read, script};

script!(ELEMENTS, "elements", " flags=no-writes", ["base"]);

/// Elements in one call: well below a millisecond.
const PAGE: u32 = 500;

/// Adds a page to what is known of the key. Returns where the next page begins; 0 after the last one.
pub(crate) async fn elements(
    connections: &Connections,
    keys: &Keys,
    name: &str,
    cursor: u64,
    known: &mut Held,
) -> Result<u64, BrokerError> {
    let mut command = ELEMENTS.command(keys.prefix());
    command.arg(name).arg(cursor).arg(PAGE).arg(MAX_TEXT);
    let mut reply = Reply::new(ELEMENTS.name, connections.run(&ELEMENTS, &command).await?)?;
    let next = reply.parsed("cursor")?;
    let more = read(known.kind(), 0, reply.array("elements")?)?;
    match (known, more) {
        (Held::List(all), Held::List(more)) => all.extend(more),
        (Held::Set(all), Held::Set(more)) => all.extend(more),
        (Held::Hash(all), Held::Hash(more)) => all.extend(more),
        (Held::Sorted(all), Held::Sorted(more)) => all.extend(more),
        _ => {}
    }
    Ok(next)
}
