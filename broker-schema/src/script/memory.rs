//! `memory`: the keys of the shard and the memory that they take, page by page.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(MEMORY, "memory", " flags=no-writes", ["base"]);

/// Keys that are looked at in one call: measuring one takes some microseconds.
const PAGE: u32 = 100;
/// Elements of a key that are measured.
const SAMPLES: u32 = 32;

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPage {
    /// Where the next page begins; none after the last one.
    pub next: Option<u64>,
    /// The keys. One that is changed meanwhile may come twice or not at all.
    pub keys: Vec<KeyMemory>,
}

/// The memory of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMemory {
    /// Its name without the prefix.
    pub name: String,
    /// Bytes of the name, the value and what the server needs for them.
    pub bytes: u64,
    /// Whether only some of its elements were measured.
    pub estimated: bool,
}

pub(crate) async fn memory(
    connections: &Connections,
    keys: &Keys,
    cursor: u64,
) -> Result<MemoryPage, BrokerError> {
    let mut command = MEMORY.command(keys.prefix());
    command.arg(cursor).arg(PAGE).arg(SAMPLES);
    let mut reply = Reply::new(MEMORY.name, connections.run(&MEMORY, &command).await?)?;
    let next = Some(reply.parsed("cursor")?).filter(|cursor| *cursor > 0);
    let (mut names, mut bytes) = (reply.array("names")?, reply.array("bytes")?);
    let mut estimated = reply.array("estimated")?;
    let mut keys = Vec::with_capacity(names.len());
    while !names.is_empty() {
        keys.push(KeyMemory {
            name: names.text("name")?,
            bytes: bytes.number("bytes")?,
            estimated: estimated.number("estimated")? == 1,
        });
    }
    Ok(MemoryPage { next, keys })
}
