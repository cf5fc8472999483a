//! What the owner of a private server may choose. Everything else is fixed in `config`.

use std::path::PathBuf;

/// How a private server is started. The default suits a test or a demo: a fresh directory that is
/// removed afterwards, every write in the append-only file, a Unix socket, no password.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server keeps its data, log, configuration and lock; created if it is missing.
    /// `None`: a fresh temporary directory, removed when the server is dropped.
    pub data_dir: Option<PathBuf>,
    /// Whether writes go to the append-only file (synced once a second), so that they survive the
    /// death of the server. Default: true.
    pub append_only: bool,
    /// Where clients connect. Default: a Unix socket.
    pub listen: Listen,
    /// The password that clients must give. It is kept out of the process list.
    pub password: Option<String>,
    /// Run as a cluster of one node that owns all slots: scripts are then held to the rules of
    /// Redis Cluster. A cluster needs TCP, so this implies [`Listen::FreePort`]. Starting takes
    /// about two seconds, the time that a node waits before it accepts writes.
    pub cluster_mode: bool,
    /// What the process is. Default: a server of its own.
    pub role: Role,
    /// More lines of configuration, name and value as they would stand in `redis.conf`, after our
    /// own lines, so that they win: `("appendfsync", "always")`.
    pub extra: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_dir: None,
            append_only: true,
            listen: Listen::UnixSocket,
            password: None,
            cluster_mode: false,
            role: Role::Server,
            extra: Vec::new(),
        }
    }
}

/// What a process is among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server: alone, or, as [`Options::extra`] may say, the replica of another.
    Server,
    /// A node of a cluster, which its owner must put together: it has no slots and knows no others.
    /// It needs TCP, so this implies [`Listen::FreePort`].
    ClusterNode,
    /// A Sentinel; what it watches is said in [`Options::extra`], as `("sentinel", "monitor …")`. This
    /// implies [`Listen::FreePort`]. What it learns in its life it forgets at a restart.
    Sentinel,
}

/// Where a private server listens. Never anywhere that another machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A socket in a directory that only this user can enter; a free port where such a socket
    /// cannot be made.
    UnixSocket,
    /// A free TCP port of 127.0.0.1. Every local user can connect, unless there is a password.
    FreePort,
}
