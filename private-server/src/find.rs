//! Finds a server program that is new enough, or says how to get one. Starts nothing but
//! `--version`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the server to use, instead of one on `PATH`.
const OVERRIDE: &str = "CELERIAC_REDIS_SERVER";

/// In order of preference.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

/// Package managers and the command that installs a server with each.
const INSTALL: [(&str, &str); 5] = [
    ("apt-get", "apt-get install redis-server"),
    ("dnf", "dnf install valkey"),
    ("apk", "apk add valkey"),
    ("brew", "brew install valkey"),
    ("pacman", "pacman -S valkey"),
];

/// A server program on this machine, known to be new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBinary {
    path: PathBuf,
    product: Product,
    version: Version,
}

impl ServerBinary {
    /// The absolute path of the program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Redis or Valkey.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The version in the product's own counting.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }
}

/// The two servers that Celeriac runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Redis, from 7.0.
    Redis,
    /// Valkey, from 7.2, its first version.
    Valkey,
}

impl Product {
    fn oldest(self) -> Version {
        let minor = match self {
            Self::Redis => 0,
            Self::Valkey => 2,
        };
        Version { major: 7, minor, patch: 0 }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        })
    }
}

/// A version of a server, such as 7.0.15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The 7 in 7.0.15.
    pub major: u32,
    /// The 0 in 7.0.15.
    pub minor: u32,
    /// The 15 in 7.0.15.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why there is no server to start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nothing on `PATH`.
    #[error("neither valkey-server nor redis-server is on PATH; {hint}")]
    NotFound {
        /// How to install one here.
        hint: String,
    },
    /// There is one, but too old.
    #[error(
        "{} is {product} {version}, but Celeriac needs Redis 7.0 or Valkey 7.2; \
         install a newer one, or name it in {OVERRIDE}", path.display()
    )]
    TooOld {
        /// Where it was found.
        path: PathBuf,
        /// What it is.
        product: Product,
        /// Which version it is.
        version: Version,
    },
    /// There is one, but it cannot be executed.
    #[error("{} cannot be run; name a Redis or Valkey server in {OVERRIDE}", path.display())]
    NotRunnable {
        /// Where it was found.
        path: PathBuf,
        /// Why it cannot be run.
        source: io::Error,
    },
    /// There is one, but it does not say which version it is.
    #[error("{} does not look like Redis or Valkey, its --version prints {output:?}", path.display())]
    UnknownVersion {
        /// Where it was found.
        path: PathBuf,
        /// What it printed instead of a version.
        output: String,
    },
}

/// Finds a Redis (7.0 or newer) or Valkey (7.2 or newer) server program: the one that the
/// environment variable `CELERIAC_REDIS_SERVER` names, or else the first good one on `PATH`,
/// `valkey-server` before `redis-server`.
///
/// # Errors
/// [`FindError`] says what was found instead, and what to do.
pub fn find() -> Result<ServerBinary, FindError> {
    let chosen = std::env::var_os(OVERRIDE).filter(|path| !path.is_empty());
    let search = std::env::var_os("PATH").unwrap_or_default();
    find_in(chosen, &search)
}

fn find_in(chosen: Option<OsString>, search: &OsStr) -> Result<ServerBinary, FindError> {
    if let Some(path) = chosen {
        return examine(Path::new(&path));
    }
    let mut first_refusal = None;
    for path in PROGRAMS.iter().flat_map(|name| programs(search, name)) {
        match examine(&path) {
            Ok(binary) => return Ok(binary),
            Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
        }
    }
    Err(first_refusal.unwrap_or_else(|| FindError::NotFound { hint: install_hint(search) }))
}

fn examine(path: &Path) -> Result<ServerBinary, FindError> {
    let not_runnable = |source| FindError::NotRunnable { path: path.to_owned(), source };
    let path = std::path::absolute(path).map_err(not_runnable)?;
    let output = Command::new(&path).arg("--version").output().map_err(not_runnable)?;
    let output = String::from_utf8_lossy(&output.stdout);
    let Some((product, version)) = parse_version(&output) else {
        let output = output.trim().to_owned();
        return Err(FindError::UnknownVersion { path, output });
    };
    if version < product.oldest() {
        return Err(FindError::TooOld { path, product, version });
    }
    Ok(ServerBinary { path, product, version })
}

/// Reads `Redis server v=7.0.15 sha=…`. The name of the program proves nothing: some
/// distributions install Valkey as `redis-server`.
fn parse_version(output: &str) -> Option<(Product, Version)> {
    let number = output.split_whitespace().find_map(|w| w.strip_prefix("v="))?;
    let mut parts = number.splitn(3, '.').map(leading_number);
    let version = Version {
        major: parts.next()??,
        minor: parts.next()??,
        patch: parts.next().flatten().unwrap_or(0),
    };
    let product = if output.to_ascii_lowercase().contains("valkey") {
        Product::Valkey
    } else {
        Product::Redis
    };
    Some((product, version))
}

/// The 0 in `0-rc1`.
fn leading_number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

fn install_hint(search: &OsStr) -> String {
    let known = INSTALL.iter().find(|(manager, _)| programs(search, manager).next().is_some());
    match known {
        Some((_, command)) => format!("install one with `{command}`"),
        None => "install Redis 7.0 or Valkey 7.2, or a newer version".to_owned(),
    }
}

/// Every executable file of this name in the directories of `search`.
fn programs(search: &OsStr, name: &str) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(search).map(move |dir| dir.join(name)).filter(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
