//! Which server holds a slot right now: the one that was named, the master that Sentinels name, or the
//! node of a cluster. What was found is not kept for ever: whoever loses a connection asks again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::address::{Address, at};
use crate::config::RedisConfig;
use crate::node::{Node, connect_once};

/// How long a Sentinel or another node may think about where a master is, before the next is asked.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// A part of the keys that is on one server as a whole; the number has a meaning only in a cluster.
pub(crate) type Slot = u16;

/// Finds the server of a slot.
pub(crate) struct Route {
    config: RedisConfig,
    address: Address,
    /// The slot of the shard: where commands without a key go.
    home: Slot,
    /// Servers that were met, by host and port.
    nodes: Mutex<BTreeMap<String, Arc<Node>>>,
    /// How often what was told did not hold: the next one is asked then.
    turn: AtomicUsize,
    /// The Sentinel or node that answered last.
    guide: Mutex<Option<(ConnectionInfo, MultiplexedConnection)>>,
    /// What servers of a cluster told, by a `MOVED` or when they were asked.
    owners: Mutex<BTreeMap<Slot, ConnectionInfo>>,
    /// All nodes that a cluster had when it was asked last.
    known: Mutex<Vec<ConnectionInfo>>,
}

impl Route {
    /// `prefix`: of the keys of the shard.
    pub(crate) fn new(address: Address, config: RedisConfig, prefix: &str) -> Self {
        let home = match address {
            Address::Cluster { .. } => slot_of_key(prefix.as_bytes()),
            _ => 0,
        };
        Self {
            config,
            address,
            home,
            turn: AtomicUsize::new(0),
            nodes: Mutex::default(),
            guide: Mutex::default(),
            owners: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        self.address.describe()
    }

    /// Whether another server may take over.
    pub(crate) fn may_move(&self) -> bool {
        !matches!(self.address, Address::Single(_))
    }

    /// The slot of the shard.
    pub(crate) fn home(&self) -> Slot {
        self.home
    }

    /// Where a command must go: to the server of its key.
    pub(crate) fn slot_of(&self, command: &Cmd) -> Slot {
        if !matches!(self.address, Address::Cluster { .. }) {
            return self.home;
        }
        let argument = |n: usize| match command.args_iter().nth(n) {
            Some(redis::Arg::Simple(bytes)) => Some(bytes),
            _ => None,
        };
        let key = match argument(0) {
            Some(b"EVALSHA") => argument(3),
            Some(b"BLPOP") => argument(1),
            _ => None,
        };
        key.map_or(self.home, slot_of_key)
    }

    /// The server that holds a slot, as far as anybody knows.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub(crate) async fn node(&self, slot: Slot) -> RedisResult<Arc<Node>> {
        let info = match &self.address {
            Address::Single(info) => info.clone(),
            Address::Sentinel { .. } => self.ask(slot).await?,
            Address::Cluster { .. } => {
                let told = lock(&self.owners).get(&slot).cloned();
                match told {
                    Some(info) => info,
                    None => self.ask(slot).await?,
                }
            }
        };
        let server = info.addr().to_string();
        if let Some(node) = lock(&self.nodes).get(&server) {
            return Ok(Arc::clone(node));
        }
        let node = Node::new(&info, &self.config)?;
        lock(&self.nodes).insert(server, Arc::clone(&node));
        Ok(node)
    }

    /// The connection to the server of a slot did not hold: ask again where it is, and somebody else:
    /// who told us may be cut off from the others.
    pub(crate) fn forget(&self, slot: Slot) {
        lock(&self.owners).remove(&slot);
        *lock(&self.guide) = None;
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Learns from an answer where a slot is. True if the command, which was not carried out, may be
    /// sent again at once.
    ///
    /// `ASK` is not followed. While a slot is carried from one node to another, its keys are on both, and
    /// a script that ran on either would not see all of them. The routing key of our scripts never
    /// exists, so the old node answers all of them with `ASK`, and the shard stands still until the slot
    /// has moved as a whole.
    pub(crate) fn learn(&self, error: &RedisError, from: &Node) -> bool {
        let Address::Cluster { seeds } = &self.address else { return false };
        if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
            return false;
        }
        let Some((address, slot)) = error.redirect_node() else { return false };
        let Some((host, port)) = address.rsplit_once(':') else { return false };
        let Ok(port) = port.parse() else { return false };
        // A node that does not know its own name means: the same host.
        let host = if host.is_empty() { host_of(&from.server) } else { host };
        lock(&self.owners).insert(slot, at(&seeds[0], host, port));
        true
    }

    /// Asks somebody who must know where the master of a slot is.
    pub(crate) async fn ask(&self, slot: Slot) -> RedisResult<ConnectionInfo> {
        let guide = lock(&self.guide).clone();
        if let Some((info, mut connection)) = guide {
            if let Ok(found) = self.ask_guide(&info, &mut connection, slot).await {
                return Ok(found);
            }
            *lock(&self.guide) = None;
        }
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "nobody to ask"));
        for info in self.guides() {
            match self.ask_new_guide(&info, slot).await {
                Ok(found) => return Ok(found),
                // That a service is unknown says more than that a Sentinel is down.
                Err(_) if last.kind() == ErrorKind::MasterNameNotFoundBySentinel => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_new_guide(
        &self,
        info: &ConnectionInfo,
        slot: Slot,
    ) -> RedisResult<ConnectionInfo> {
        let mut connection = connect_once(info, &self.config, ASK_TIMEOUT).await?;
        let found = self.ask_guide(info, &mut connection, slot).await?;
        *lock(&self.guide) = Some((info.clone(), connection));
        Ok(found)
    }

    /// Whom to ask, in turn.
    fn guides(&self) -> Vec<ConnectionInfo> {
        let mut all = self.all_guides();
        let turn = self.turn.load(Ordering::Relaxed) % all.len().max(1);
        all.rotate_left(turn);
        all
    }

    fn all_guides(&self) -> Vec<ConnectionInfo> {
        match &self.address {
            Address::Single(info) => vec![info.clone()],
            Address::Sentinel { sentinels, .. } => sentinels.clone(),
            Address::Cluster { seeds } => {
                let mut all = seeds.clone();
                for info in lock(&self.known).iter() {
                    if !all.iter().any(|seed| seed.addr() == info.addr()) {
                        all.push(info.clone());
                    }
                }
                all
            }
        }
    }

    async fn ask_guide(
        &self,
        guide: &ConnectionInfo,
        connection: &mut MultiplexedConnection,
        slot: Slot,
    ) -> RedisResult<ConnectionInfo> {
        match &self.address {
            Address::Single(info) => Ok(info.clone()),
            Address::Sentinel { service, master, .. } => {
                let mut command = redis::cmd("SENTINEL");
                command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
                let found: Option<(String, u16)> = command.query_async(connection).await?;
                let (host, port) = found.ok_or_else(|| {
                    let what = "Sentinel knows no service of this name";
                    RedisError::from((
                        ErrorKind::MasterNameNotFoundBySentinel,
                        what,
                        service.clone(),
                    ))
                })?;
                Ok(at(master, &host, port))
            }
            Address::Cluster { .. } => {
                let slots: Value =
                    redis::cmd("CLUSTER").arg("SLOTS").query_async(connection).await?;
                let ranges = read_slots(slots, guide);
                let owner = ranges.iter().find(|range| range.holds(slot));
                let owner = owner.map(|range| range.master.clone()).ok_or_else(|| {
                    RedisError::from((
                        ErrorKind::Server(ServerErrorKind::ClusterDown),
                        "no node of the cluster has this slot",
                        slot.to_string(),
                    ))
                })?;
                *lock(&self.known) = ranges.into_iter().flat_map(|range| range.nodes).collect();
                lock(&self.owners).insert(slot, owner.clone());
                Ok(owner)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is left half done in here when somebody panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn host_of(server: &str) -> &str {
    server.rsplit_once(':').map_or(server, |(host, _)| host)
}

/// A range of slots, and who has them.
struct Range {
    first: Slot,
    last: Slot,
    master: ConnectionInfo,
    /// The master and its replicas.
    nodes: Vec<ConnectionInfo>,
}

impl Range {
    fn holds(&self, slot: Slot) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

/// Reads the answer to `CLUSTER SLOTS`; what has another form is left out. A node without a host is the
/// one that was asked.
fn read_slots(answer: Value, asked: &ConnectionInfo) -> Vec<Range> {
    let list = |value: Value| match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let own_host = host_of(&asked.addr().to_string()).to_owned();
    let node = |value: Value| {
        let mut parts = list(value).into_iter();
        let host: Option<String> = redis::from_redis_value(parts.next()?).ok()?;
        let port: u16 = redis::from_redis_value(parts.next()?).ok()?;
        let host = host.filter(|host| !host.is_empty() && host != "?");
        Some(at(asked, host.as_deref().unwrap_or(&own_host), port))
    };
    let range = |value: Value| {
        let mut parts = list(value).into_iter();
        let first = redis::from_redis_value(parts.next()?).ok()?;
        let last = redis::from_redis_value(parts.next()?).ok()?;
        let nodes: Vec<ConnectionInfo> = parts.filter_map(node).collect();
        Some(Range { first, last, master: nodes.first()?.clone(), nodes })
    };
    list(answer).into_iter().filter_map(range).collect()
}

/// The slot of a key in a cluster: of what stands in its first braces, if there is anything.
fn slot_of_key(key: &[u8]) -> Slot {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % 16_384
}

/// CRC-16/XMODEM, by which clusters place keys.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(slot_of_key(b"foo"), 12_182);
        assert_eq!(slot_of_key(b"{foo}:bar"), slot_of_key(b"foo"));
        assert_eq!(slot_of_key(b"a{foo}{bar}"), slot_of_key(b"foo"));
        // Empty braces and such without an end do not count.
        assert_ne!(slot_of_key(b"{}foo"), slot_of_key(b"foo"));
        assert_eq!(slot_of_key(b"{foo"), crc16(b"{foo") % 16_384);
    }
}
