//! The directory of one server: its data, log and configuration, and the lock that keeps a second
//! server away from them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::StartError;
use crate::scratch::ScratchDir;

/// How much of the log an error carries: the last lines that fit into this many bytes.
const LOG_TAIL: u64 = 2_000;

/// A data directory under lock.
///
/// The lock belongs to the open file, which the server inherits: it holds until both this value
/// and the server are gone, so a server that is still writing keeps the next one out even when
/// its owner was killed.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
    scratch: Option<ScratchDir>,
}

impl DataDir {
    /// Takes the directory, created if it is missing; `None` makes a temporary one.
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self, StartError> {
        match chosen {
            Some(path) => Self::take(path),
            None => {
                let base = std::env::temp_dir();
                let scratch = ScratchDir::create_in(&base)
                    .map_err(|source| StartError::DataDir { path: base, source })?;
                let mut taken = Self::take(scratch.path())?;
                taken.scratch = Some(scratch);
                Ok(taken)
            }
        }
    }

    fn take(path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::DataDir { path: path.to_owned(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let mut lock =
            private_file().read(true).open(path.join("celeriac.lock")).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(in_use(path, &mut lock)),
            Err(errno) => return Err(failed(errno.into())),
        }
        Ok(Self { path, lock, scratch: None })
    }

    /// The absolute path, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory goes when this value goes.
    pub(crate) fn is_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    /// A handle of the locked file, for the server to inherit.
    pub(crate) fn share_lock(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// Notes who uses the directory, for the error message of whoever comes next.
    pub(crate) fn note_server(&self, pid: u32) -> io::Result<()> {
        let mut lock = &self.lock;
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        writeln!(lock, "{pid}")
    }

    /// Writes the server's configuration, readable for this user only: it may hold a password.
    pub(crate) fn write_config(&self, content: &str) -> io::Result<PathBuf> {
        let path = self.path.join("server.conf");
        let mut file = private_file().truncate(true).open(&path)?;
        file.write_all(content.as_bytes())?;
        Ok(path)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// The log, open for appending, and its length so far.
    pub(crate) fn open_log(&self) -> io::Result<(File, u64)> {
        let file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(self.log_path())?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    /// The end of what the log has beyond `start`. Empty if it cannot be read: this is only ever
    /// wanted to explain another failure.
    pub(crate) fn log_since(&self, start: u64) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.log_path())?;
            let tail = file.metadata()?.len().saturating_sub(LOG_TAIL);
            file.seek(SeekFrom::Start(start.max(tail)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn in_use(path: PathBuf, lock: &mut File) -> StartError {
    let mut pid = String::new();
    let holder = match lock.read_to_string(&mut pid) {
        Ok(_) => pid.trim().parse().ok(),
        Err(_) => None,
    };
    StartError::DataDirInUse { path, holder }
}
