//! Why a private server did not start.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::find::FindError;

/// Why [`PrivateServer::start`](crate::PrivateServer::start) or
/// [`restart`](crate::PrivateServer::restart) gave no server. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no server program.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The data directory cannot be made or written.
    #[error("the data directory {} cannot be used", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Another server works in this data directory.
    #[error(
        "the data directory {} is in use by another server{}",
        path.display(), holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    DataDirInUse {
        /// The directory.
        path: PathBuf,
        /// The server in there, if it is known.
        holder: Option<u32>,
    },
    /// No TCP port of 127.0.0.1 is free.
    #[error("no free port on 127.0.0.1")]
    NoFreePort(#[source] io::Error),
    /// A line of [`Options::extra`](crate::Options::extra) is no line of configuration.
    #[error("the configuration directive {name:?} has a line break in its name or value")]
    BadDirective {
        /// The name of the directive.
        name: String,
    },
    /// The program could not be executed, or its process not be watched.
    #[error("{} could not be started", binary.display())]
    Spawn {
        /// The server program.
        binary: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The server ended by itself before it was ready.
    #[error("{} ended before it was ready ({status}); its log:\n{log}", binary.display())]
    Exited {
        /// The server program.
        binary: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The server runs, but did not get ready in time. It has been stopped.
    #[error(
        "{} was not ready after {waited:?}, its last answer was {answer:?}; its log:\n{log}",
        binary.display()
    )]
    NotReady {
        /// The server program.
        binary: PathBuf,
        /// How long it was given.
        waited: Duration,
        /// What it said when asked last.
        answer: String,
        /// The end of its log.
        log: String,
    },
}
