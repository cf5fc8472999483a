//! Where a private server listens: a Unix socket in a directory of its own, or a port of
//! 127.0.0.1.

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::error::StartError;
use crate::options::{Listen, Options, Role};
use crate::scratch::{ScratchDir, random};

/// The kernel's limit is 108 bytes on Linux and 104 on macOS, the final NUL included.
const LONGEST_SOCKET_PATH: usize = 100;

/// Ports to try, below those that systems hand out for outgoing connections (from 32768 on Linux,
/// from 49152 on macOS). From above, a client that reconnects while the server is down could be
/// given the server's own port, connect to itself and keep the server from coming back.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The address of one server; it stays the same when the server restarts.
#[derive(Debug)]
pub(crate) enum Address {
    Unix {
        socket: PathBuf,
        /// Holds the socket and goes with it.
        dir: ScratchDir,
    },
    Tcp {
        port: u16,
        /// For the cluster bus, in cluster mode.
        bus_port: Option<u16>,
    },
}

impl Address {
    pub(crate) fn choose(options: &Options) -> Result<Self, StartError> {
        let in_cluster = options.cluster_mode || options.role == Role::ClusterNode;
        if options.listen == Listen::UnixSocket
            && !in_cluster
            && options.role == Role::Server
            && let Some((socket, dir)) = unix_socket()
        {
            return Ok(Self::Unix { socket, dir });
        }
        free_ports(in_cluster).map_err(StartError::NoFreePort)
    }

    /// The URL in the form that Redis clients for Rust parse.
    pub(crate) fn url(&self, password: Option<&str>) -> String {
        let password = password.map(|password| percent_encoded(password.as_bytes(), b""));
        match self {
            Self::Unix { socket, .. } => {
                let path = percent_encoded(socket.as_os_str().as_bytes(), b"/");
                let query = password.map(|p| format!("?pass={p}")).unwrap_or_default();
                format!("redis+unix://{path}{query}")
            }
            Self::Tcp { port, .. } => {
                let user = password.map(|p| format!(":{p}@")).unwrap_or_default();
                format!("redis://{user}127.0.0.1:{port}/")
            }
        }
    }

    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Unix { .. } => None,
            Self::Tcp { port, .. } => Some(*port),
        }
    }

    pub(crate) fn bus_port(&self) -> Option<u16> {
        match self {
            Self::Unix { .. } => None,
            Self::Tcp { bus_port, .. } => *bus_port,
        }
    }

    /// The directory that exists only for this address.
    pub(crate) fn scratch(&self) -> Option<&Path> {
        match self {
            Self::Unix { dir, .. } => Some(dir.path()),
            Self::Tcp { .. } => None,
        }
    }
}

/// A path that a socket can be bound to, in a fresh directory. `None` where there is no such place.
fn unix_socket() -> Option<(PathBuf, ScratchDir)> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = runtime_dir.into_iter().chain([PathBuf::from("/tmp")]);
    bases.filter(|base| base.is_absolute()).find_map(|base| {
        let dir = ScratchDir::create_in(&base).ok()?;
        let socket = dir.path().join("redis.sock");
        if socket.as_os_str().len() >= LONGEST_SOCKET_PATH {
            return None;
        }
        // Not every file system has sockets: try before the server does. It replaces the file.
        UnixListener::bind(&socket).ok()?;
        Some((socket, dir))
    })
}

fn free_ports(with_bus: bool) -> io::Result<Address> {
    // Both are held until both are known, so that they differ.
    let main = free_port()?;
    let bus = with_bus.then(free_port).transpose()?;
    Ok(Address::Tcp {
        port: main.local_addr()?.port(),
        bus_port: bus.map(|bus| bus.local_addr()).transpose()?.map(|a| a.port()),
    })
}

fn free_port() -> io::Result<TcpListener> {
    let span = u64::from(PORTS.end - PORTS.start);
    for _ in 0..100 {
        let port = PORTS.start + (random() % span) as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn percent_encoded(bytes: &[u8], safe: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || safe.contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    text
}
