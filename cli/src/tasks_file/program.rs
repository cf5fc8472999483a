//! Where a program is, by the rules of `execvp`: found once, when the worker starts, so that a
//! missing one is noticed then and not by the first task.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// A name with a slash is a path, seen from `dir`; others are looked up in `places`, as in `PATH`.
pub(super) fn find(name: &str, dir: &Path, places: Option<&OsStr>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(dir.join(name)).filter(|path| may_run(path));
    }
    let places = std::env::split_paths(places?);
    places.map(|place| dir.join(place).join(name)).find(|path| may_run(path))
}

fn may_run(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
