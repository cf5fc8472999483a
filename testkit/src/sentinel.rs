//! A service with Sentinels: a primary, its replicas, and three Sentinels that make one of those the
//! primary when it dies. All of them are real processes.

use std::time::Duration;

use celeriac_private_server::{Listen, Options, Role};

use crate::eventually;
use crate::redis::{TestRedis, connect};

/// The name of the service.
pub const SERVICE: &str = "celeriac";

/// How long a failover may take on a busy machine.
pub const FAILOVER: Duration = Duration::from_secs(60);

/// A primary, replicas and Sentinels, stopped when they are dropped.
#[derive(Debug)]
pub struct TestSentinels {
    /// The servers; which of them is the primary changes.
    servers: Vec<Option<TestRedis>>,
    sentinels: Vec<TestRedis>,
}

impl TestSentinels {
    /// Starts a primary with so many replicas, and three Sentinels. Returns when the replicas have all
    /// data and the Sentinels know of each other.
    pub async fn start(replicas: usize) -> Self {
        Self::start_with(replicas, &[]).await
    }

    /// The same with more lines of configuration for each server.
    pub async fn start_with(replicas: usize, extra: &[(&str, &str)]) -> Self {
        let own = |more: Option<(String, String)>| Options {
            listen: Listen::FreePort,
            extra: owned(extra).into_iter().chain(more).collect(),
            ..Options::default()
        };
        let primary = TestRedis::start_with(own(None)).await;
        let of_primary = format!("127.0.0.1 {}", primary.port());
        let mut servers = vec![Some(primary)];
        for _ in 0..replicas {
            let line = ("replicaof".to_owned(), of_primary.clone());
            servers.push(Some(TestRedis::start_with(own(Some(line))).await));
        }
        let mut all = Self { servers, sentinels: Vec::new() };
        all.until_in_step(replicas).await;
        for _ in 0..3 {
            all.sentinels.push(sentinel(&of_primary).await);
        }
        all.until_acquainted(replicas).await;
        all
    }

    /// Where to connect: the Sentinels, and the name of the service.
    #[must_use]
    pub fn url(&self) -> String {
        let ports = self.sentinels.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        format!("redis+sentinel://{}/{SERVICE}", ports.collect::<Vec<_>>().join(","))
    }

    /// The primary, as the Sentinels see it.
    pub async fn primary(&self) -> &TestRedis {
        let port = self.primary_port().await;
        self.living().find(|server| server.port() == port).expect("the primary is one of ours")
    }

    /// All servers that run.
    pub fn living(&self) -> impl Iterator<Item = &TestRedis> {
        self.servers.iter().flatten()
    }

    /// The port of the primary, as the first Sentinel sees it.
    pub async fn primary_port(&self) -> u16 {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(SERVICE);
        let mut connection = self.sentinels[0].connection().await;
        let (_, port): (String, u16) =
            command.query_async(&mut connection).await.expect("the service is known");
        port
    }

    /// Kills the primary (`SIGKILL`) for good. Returns its port.
    pub async fn kill_primary(&mut self) -> u16 {
        let port = self.primary_port().await;
        let victim = self
            .servers
            .iter_mut()
            .find(|server| server.as_ref().is_some_and(|server| server.port() == port));
        victim.expect("the primary is one of ours").take().expect("it runs").kill();
        port
    }

    /// Freezes the primary: connections stay open, nothing is answered. Returns its port.
    pub async fn freeze_primary(&mut self) -> u16 {
        let port = self.primary_port().await;
        self.server(port).freeze();
        port
    }

    /// Freezes the server at this port.
    pub fn freeze(&mut self, port: u16) {
        self.server(port).freeze();
    }

    /// The port of a server that is not the primary.
    ///
    /// # Panics
    /// If there is none.
    pub async fn replica_port(&self) -> u16 {
        let primary = self.primary_port().await;
        let mut ports = self.living().map(TestRedis::port);
        ports.find(|port| *port != primary).expect("there is a replica")
    }

    /// Lets a frozen server run on.
    pub fn thaw(&mut self, port: u16) {
        self.server(port).thaw();
    }

    fn server(&mut self, port: u16) -> &mut TestRedis {
        let mut running = self.servers.iter_mut().flatten();
        running.find(|server| server.port() == port).expect("it runs")
    }

    /// Waits until the Sentinels name another primary than this one, and it is one.
    pub async fn until_failed_over(&self, from: u16) -> u16 {
        eventually(FAILOVER, async || {
            let port = self.primary_port().await;
            if port == from {
                return Err(format!("{from} still is the primary"));
            }
            let role = role(&format!("redis://127.0.0.1:{port}/")).await;
            if role == "master" { Ok(port) } else { Err(format!("{port} is a {role}")) }
        })
        .await
    }

    /// Waits until so many replicas of the first server have all that it has.
    async fn until_in_step(&self, replicas: usize) {
        let primary = self.servers[0].as_ref().expect("it was started");
        eventually(FAILOVER, async || {
            let mut connection = primary.connection().await;
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query_async(&mut connection)
                .await
                .expect("it answers");
            match info.matches("state=online").count() {
                online if online == replicas => Ok(()),
                _ => Err(info),
            }
        })
        .await;
    }

    /// Waits until each Sentinel knows the replicas and the others: before, none would act.
    async fn until_acquainted(&self, replicas: usize) {
        for sentinel in &self.sentinels {
            eventually(FAILOVER, async || {
                let mut connection = sentinel.connection().await;
                let mut command = redis::cmd("SENTINEL");
                command.arg("MASTER").arg(SERVICE);
                let told: std::collections::BTreeMap<String, String> =
                    command.query_async(&mut connection).await.expect("it answers");
                let number = |name: &str| told.get(name).and_then(|text| text.parse().ok());
                match (number("num-other-sentinels"), number("num-slaves")) {
                    (Some(2usize), Some(found)) if found == replicas => Ok(()),
                    _ => Err(format!("{told:?}")),
                }
            })
            .await;
        }
    }
}

async fn role(url: &str) -> String {
    let role: redis::Value =
        redis::cmd("ROLE").query_async(&mut connect(url).await).await.expect("it answers");
    match role {
        redis::Value::Array(parts) => {
            let first = parts.into_iter().next().expect("a role");
            redis::from_redis_value(first).expect("a word")
        }
        other => panic!("{other:?}"),
    }
}

async fn sentinel(of: &str) -> TestRedis {
    let lines = [
        format!("monitor {SERVICE} {of} 2"),
        // Short, so that tests are: a second without a sign of life is the end.
        format!("down-after-milliseconds {SERVICE} 1000"),
        format!("failover-timeout {SERVICE} 5000"),
        format!("parallel-syncs {SERVICE} 1"),
    ];
    let extra = lines.map(|line| ("sentinel".to_owned(), line)).to_vec();
    let options = Options { role: Role::Sentinel, append_only: false, extra, ..Options::default() };
    TestRedis::start_with(options).await
}

fn owned(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
