//! Directories that exist as long as their owner: made fresh, only for this user, removed at the
//! end.

use std::fs::DirBuilder;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A fresh directory, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Makes a directory of mode 700 with a short random name in `base`.
    pub(crate) fn create_in(base: &Path) -> io::Result<Self> {
        loop {
            let path = base.join(format!("celeriac-{:08x}", random() as u32));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the base directory: a drop has nobody
        // to report to.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A random number, good enough to stay out of the way of others; not a secret.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
