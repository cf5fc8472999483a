//! A cluster of real nodes: three masters that share the slots, a replica for each, and what operators
//! do to them: slots are moved, and nodes die.

use std::time::Duration;

use celeriac_private_server::{Options, Role};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};

use crate::eventually;
use crate::redis::TestRedis;

/// Masters of a cluster.
const MASTERS: usize = 3;
/// The slots of any cluster.
const SLOTS: usize = 16_384;
/// How long nodes may take to agree on a busy machine.
const AGREE: Duration = Duration::from_secs(60);

/// A cluster, stopped when it is dropped.
#[derive(Debug)]
pub struct TestCluster {
    nodes: Vec<Option<TestRedis>>,
}

/// A slot that is on its way from one node to another.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Which slot.
    pub slot: u16,
    /// The port of the node that has it.
    pub from: u16,
    /// The port of the node that gets it.
    pub to: u16,
}

impl TestCluster {
    /// Starts three masters with a replica each, and waits until they agree.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..2 * MASTERS {
            // A second without a sign of life is the end of a node.
            let extra = [("cluster-node-timeout", "1000"), ("repl-diskless-sync-delay", "0")];
            let extra = extra.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            let options = Options { role: Role::ClusterNode, extra, ..Options::default() };
            nodes.push(Some(TestRedis::start_with(options).await));
        }
        let cluster = Self { nodes };
        cluster.meet().await;
        cluster.give_slots().await;
        cluster.give_replicas().await;
        cluster.until_whole().await;
        cluster
    }

    /// Where to connect: the names of the first two nodes are enough.
    #[must_use]
    pub fn url(&self) -> String {
        let ports = self.living().take(2).map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", ports.collect::<Vec<_>>().join(","))
    }

    /// All nodes that run.
    pub fn living(&self) -> impl Iterator<Item = &TestRedis> {
        self.nodes.iter().flatten()
    }

    /// The slot of a key.
    pub async fn slot_of(&self, key: &str) -> u16 {
        let mut command = redis::cmd("CLUSTER");
        command.arg("KEYSLOT").arg(key);
        self.ask_any(&command).await
    }

    /// The port of the master of a slot, as a node sees it that lives.
    pub async fn owner(&self, slot: u16) -> u16 {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let ranges: Vec<Vec<Value>> = self.ask_any(&command).await;
        for range in ranges {
            let mut parts = range.into_iter();
            let mut bound =
                || u16::from_redis_value(parts.next().expect("a slot")).expect("a slot");
            if !(bound()..=bound()).contains(&slot) {
                continue;
            }
            let node =
                Vec::<Value>::from_redis_value(parts.next().expect("a master")).expect("a node");
            return u16::from_redis_value(node[1].clone()).expect("a port");
        }
        panic!("nobody has slot {slot}");
    }

    /// A connection to the node at this port.
    pub async fn connection(&self, port: u16) -> MultiplexedConnection {
        self.node(port).connection().await
    }

    /// Kills a node (`SIGKILL`) for good.
    pub fn kill(&mut self, port: u16) {
        let victim = self
            .nodes
            .iter_mut()
            .find(|node| node.as_ref().is_some_and(|node| node.port() == port));
        victim.expect("it is one of ours").take().expect("it runs").kill();
    }

    /// Waits until another node than this is the master of a slot.
    pub async fn until_failed_over(&self, slot: u16, from: u16) -> u16 {
        eventually(AGREE, async || match self.owner(slot).await {
            port if port != from => Ok(port),
            _ => Err(format!("{from} still has slot {slot}")),
        })
        .await
    }

    /// Begins to carry a slot to another master: from now on both have a part of it. No key has gone yet.
    pub async fn begin_migration(&self, slot: u16) -> Migration {
        let from = self.owner(slot).await;
        let to = self.owner((slot + SLOTS as u16 / 2) % SLOTS as u16).await;
        assert_ne!(from, to, "half the slots away is another master");
        let (from_id, to_id) = (self.id(from).await, self.id(to).await);
        self.set_slot(to, slot, "IMPORTING", &from_id).await;
        self.set_slot(from, slot, "MIGRATING", &to_id).await;
        Migration { slot, from, to }
    }

    /// Carries so many keys of the slot, and returns how many went.
    pub async fn carry(&self, migration: Migration, most: usize) -> usize {
        let mut connection = self.connection(migration.from).await;
        let mut command = redis::cmd("CLUSTER");
        command.arg("GETKEYSINSLOT").arg(migration.slot).arg(most);
        let keys: Vec<String> = command.query_async(&mut connection).await.expect("keys");
        for key in &keys {
            let mut command = redis::cmd("MIGRATE");
            command.arg("127.0.0.1").arg(migration.to).arg(key).arg(0).arg(10_000);
            let done: Result<String, _> = command.query_async(&mut connection).await;
            done.unwrap_or_else(|error| panic!("{key} does not go: {error}"));
        }
        keys.len()
    }

    /// Ends a migration: the other master has the slot.
    pub async fn end_migration(&self, migration: Migration) {
        while self.carry(migration, 100).await > 0 {}
        let id = self.id(migration.to).await;
        self.set_slot(migration.to, migration.slot, "NODE", &id).await;
        self.set_slot(migration.from, migration.slot, "NODE", &id).await;
    }

    async fn set_slot(&self, at: u16, slot: u16, what: &str, id: &str) {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(what).arg(id);
        let done: Result<(), _> = command.query_async(&mut self.connection(at).await).await;
        done.unwrap_or_else(|error| panic!("slot {slot} at {at} {what}: {error}"));
    }

    async fn id(&self, port: u16) -> String {
        ask(self.node(port), redis::cmd("CLUSTER").arg("MYID")).await
    }

    fn node(&self, port: u16) -> &TestRedis {
        self.living().find(|node| node.port() == port).expect("it is one of ours, and lives")
    }

    async fn ask_any<T: FromRedisValue>(&self, command: &redis::Cmd) -> T {
        ask(self.living().next().expect("a node lives"), command).await
    }

    async fn meet(&self) {
        let mut nodes = self.living();
        let first = nodes.next().expect("a node");
        for node in nodes {
            let mut command = redis::cmd("CLUSTER");
            command.arg("MEET").arg("127.0.0.1").arg(node.port()).arg(node.bus_port());
            ask::<()>(first, &command).await;
        }
        for node in self.living() {
            eventually(AGREE, async || {
                let info: String = ask(node, redis::cmd("CLUSTER").arg("INFO")).await;
                let known = format!("cluster_known_nodes:{}\r", 2 * MASTERS);
                if info.contains(&known) { Ok(()) } else { Err(info) }
            })
            .await;
        }
    }

    async fn give_slots(&self) {
        for (number, node) in self.living().take(MASTERS).enumerate() {
            let (first, next) = (SLOTS * number / MASTERS, SLOTS * (number + 1) / MASTERS);
            let mut command = redis::cmd("CLUSTER");
            command.arg("ADDSLOTSRANGE").arg(first).arg(next - 1);
            ask::<()>(node, &command).await;
        }
    }

    async fn give_replicas(&self) {
        let nodes: Vec<&TestRedis> = self.living().collect();
        for (master, replica) in nodes.iter().zip(&nodes[MASTERS..]) {
            let id: String = ask(master, redis::cmd("CLUSTER").arg("MYID")).await;
            // A node can follow only one that it knows already.
            eventually(AGREE, async || {
                let mut command = redis::cmd("CLUSTER");
                command.arg("REPLICATE").arg(&id);
                let mut connection = replica.connection().await;
                let done: Result<(), _> = command.query_async(&mut connection).await;
                done.map_err(|error| error.to_string())
            })
            .await;
        }
    }

    /// Waits until all nodes see all slots served, and each master has its replica in step.
    async fn until_whole(&self) {
        for node in self.living() {
            eventually(AGREE, async || {
                let info: String = ask(node, redis::cmd("CLUSTER").arg("INFO")).await;
                if info.contains("cluster_state:ok") { Ok(()) } else { Err(info) }
            })
            .await;
        }
        for node in self.living().take(MASTERS) {
            eventually(AGREE, async || {
                let info: String = ask(node, redis::cmd("INFO").arg("replication")).await;
                if info.contains("state=online") { Ok(()) } else { Err(info) }
            })
            .await;
        }
    }
}

async fn ask<T: FromRedisValue>(node: &TestRedis, command: &redis::Cmd) -> T {
    let answer: Result<T, _> = command.query_async(&mut node.connection().await).await;
    answer.unwrap_or_else(|error| panic!("node {}: {error}", node.port()))
}
