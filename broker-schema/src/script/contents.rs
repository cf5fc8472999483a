//! `contents`: the keys of the shard with what they hold, page by page.

use crate::check::{Held, MAX_TEXT, Stored};
use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(CONTENTS, "contents", " flags=no-writes", ["base"]);

/// Keys of the server that are looked at in one call, and elements of each that are told: about a
/// millisecond at the most.
const PAGE: u32 = 100;
const INLINE: u32 = 20;
/// A bitmap of a million chunks.
const MAX_BITMAP: u32 = 128 << 10;

/// A page of keys.
pub(crate) struct ContentsPage {
    /// Where the next page begins; 0 after the last one.
    pub(crate) next: u64,
    pub(crate) now: Timestamp,
    /// Name, what it holds, and its size.
    pub(crate) keys: Vec<(String, Stored, u64)>,
}

/// One page. Of a key that is larger than what it is told to hold, `elements` has the rest.
pub(crate) async fn contents(
    connections: &Connections,
    keys: &Keys,
    cursor: u64,
) -> Result<ContentsPage, BrokerError> {
    let mut command = CONTENTS.command(keys.prefix());
    command.arg(cursor).arg(PAGE).arg(INLINE).arg(MAX_TEXT).arg(MAX_BITMAP);
    let mut reply = Reply::new(CONTENTS.name, connections.run(&CONTENTS, &command).await?)?;
    let (next, now) = (reply.parsed("cursor")?, Timestamp(reply.number("time")?));
    let mut found = reply.array("keys")?;
    let mut keys = Vec::with_capacity(found.len());
    while !found.is_empty() {
        let mut entry = found.array("key")?;
        let (name, kind) = (entry.text("name")?, entry.text("type")?);
        let expires = entry.number("expiry")? == 1;
        let size = entry.number("size")?;
        let held = read(&kind, size, entry.array("elements")?)?;
        keys.push((name, Stored { expires, held }, size));
    }
    Ok(ContentsPage { next, now, keys })
}

/// Elements as they are told, put together as the type demands.
pub(super) fn read(kind: &str, size: u64, mut elements: Reply) -> Result<Held, BrokerError> {
    Ok(match kind {
        "string" if elements.is_empty() => Held::Text(Vec::new()),
        "string" => Held::Text(elements.bytes("text")?),
        "list" => Held::List(elements.texts("element")?),
        "set" => Held::Set(elements.texts("member")?.into_iter().collect()),
        "hash" => Held::Hash(elements.pairs("field")?.into_iter().collect()),
        "zset" => {
            let score = |text: String| text.parse().unwrap_or(f64::NAN);
            let pairs = elements.pairs("member")?;
            Held::Sorted(pairs.into_iter().map(|(name, text)| (name, score(text))).collect())
        }
        _ => Held::Stream(size),
    })
}
