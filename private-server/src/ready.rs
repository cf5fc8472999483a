//! When a started server counts as ready: it answers `PING`, and in cluster mode it owns all slots
//! and takes writes.

use std::io;

use crate::address::Address;
use crate::resp::{Connection, Reply};

/// How far a server has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// It reads its data and will be ready after that, however long that takes.
    Loading,
    /// Nobody answers, or not as a ready server does. What was said or went wrong, for the report.
    NotYet(String),
}

/// Asks once. In cluster mode, this also gives the node its slots.
pub(crate) fn probe(address: &Address, password: Option<&str>, cluster_mode: bool) -> Readiness {
    try_probe(address, password, cluster_mode)
        .unwrap_or_else(|error| Readiness::NotYet(error.to_string()))
}

fn try_probe(
    address: &Address,
    password: Option<&str>,
    cluster_mode: bool,
) -> io::Result<Readiness> {
    let mut connection = Connection::open(address)?;
    if let Some(password) = password {
        connection.call(&["AUTH", password])?;
    }
    match connection.call(&["PING"])? {
        Reply::Value(pong) if pong == "PONG" => {}
        Reply::Error(error) if error.starts_with("LOADING") => return Ok(Readiness::Loading),
        // It wants a user whom we do not know, and is there.
        Reply::Error(error) if error.starts_with("NOAUTH") => return Ok(Readiness::Ready),
        other => return Ok(Readiness::NotYet(other.into_text())),
    }
    if cluster_mode {
        return probe_cluster(&mut connection);
    }
    Ok(Readiness::Ready)
}

fn probe_cluster(connection: &mut Connection) -> io::Result<Readiness> {
    let info = connection.call(&["CLUSTER", "INFO"])?.into_text();
    let says = |fact: &str| info.lines().any(|line| line == fact);
    if says("cluster_state:ok") {
        return Ok(Readiness::Ready);
    }
    // A restarted node knows its slots from the file in its data directory.
    if says("cluster_slots_assigned:0") {
        let all = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
        return Ok(Readiness::NotYet(connection.call(&all)?.into_text()));
    }
    Ok(Readiness::NotYet(info))
}
