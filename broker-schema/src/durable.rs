//! How safe an enqueue must be before it is acknowledged.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidInput;

/// What must have what was enqueued before that counts as done. Without this, it is the memory of the
/// master, and its append-only file as often as that is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// One replica if there is one when we connect, otherwise the disk.
    Auto,
    /// The memory of so many replicas, from 1.
    Replicas(u32),
    /// The disk of the master. Redis 7.2 or Valkey can tell, or any server with `appendfsync always`.
    Disk,
}

impl fmt::Display for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Replicas(n) => n.fmt(f),
            Self::Disk => f.write_str("disk"),
        }
    }
}

/// `auto`, `disk`, or a number of replicas.
impl FromStr for Durable {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let replicas = || text.parse().ok().filter(|n| (1..=1_000).contains(n)).map(Self::Replicas);
        let read = match text {
            "auto" => Some(Self::Auto),
            "disk" => Some(Self::Disk),
            _ => replicas(),
        };
        read.ok_or_else(|| InvalidInput::OutOfBounds {
            what: "a durability",
            value: text.chars().take(40).collect(),
            expected: "expected auto, disk, or a number of replicas from 1",
        })
    }
}

/// How it is found out, on the server at hand.
#[cfg(feature = "client")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// `WAIT` for so many replicas.
    Replicas(u32),
    /// `WAITAOF` for the disk.
    Disk,
    /// The answer itself: the server syncs before it answers.
    Answer,
}

#[cfg(feature = "client")]
impl Proof {
    /// What a server can give, by its `INFO` and by `appendfsync` if it tells that.
    ///
    /// # Errors
    /// Why it cannot give that, and what to do.
    pub(crate) fn find(durable: Durable, info: &str, sync: Option<&str>) -> Result<Self, String> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
        };
        let replicas: u32 = field("connected_slaves").and_then(|n| n.parse().ok()).unwrap_or(0);
        match durable {
            Durable::Replicas(n) => return Ok(Self::Replicas(n)),
            Durable::Auto if replicas > 0 => return Ok(Self::Replicas(1)),
            Durable::Auto | Durable::Disk => {}
        }
        if field("aof_enabled") != Some("1") {
            return Err("it has no append-only file, so nothing of it is on disk for sure: run `CONFIG SET appendonly yes`, or give it a replica".to_owned());
        }
        // Valkey began at a version that can.
        let version = field("redis_version").unwrap_or("0");
        let can_tell =
            field("valkey_version").is_some() || crate::config::number_of(version) >= (7, 2);
        match sync {
            Some("always") => Ok(Self::Answer),
            _ if can_tell => Ok(Self::Disk),
            _ => Err(format!(
                "Redis {version} cannot tell when something is on disk: it takes Redis 7.2 or Valkey, `appendfsync always`, or a replica"
            )),
        }
    }

    /// The command that waits at most so many milliseconds, if there is anything to wait for.
    pub(crate) fn command(self, ms: u64) -> Option<redis::Cmd> {
        let mut command = match self {
            Self::Answer => return None,
            Self::Replicas(n) => {
                let mut command = redis::cmd("WAIT");
                command.arg(n);
                command
            }
            Self::Disk => {
                let mut command = redis::cmd("WAITAOF");
                command.arg(1).arg(0);
                command
            }
        };
        command.arg(ms);
        Some(command)
    }

    /// Whether the answer to that says that it is done. If not: how far it is.
    pub(crate) fn reached(self, answer: &redis::Value) -> Result<(), String> {
        let number = |value: &redis::Value| match value {
            redis::Value::Int(n) => u32::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        match (self, answer) {
            (Self::Answer, _) => Ok(()),
            (Self::Replicas(wanted), answer) => match number(answer) {
                found if found >= wanted => Ok(()),
                found => Err(format!("{found} of {wanted} replicas have it")),
            },
            (Self::Disk, redis::Value::Array(parts)) if parts.first().map(number) == Some(1) => {
                Ok(())
            }
            (Self::Disk, _) => Err("it is not on disk".to_owned()),
        }
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for durable in [Durable::Auto, Durable::Disk, Durable::Replicas(1), Durable::Replicas(12)] {
            assert_eq!(durable.to_string().parse(), Ok(durable));
        }
        for wrong in ["", "0", "-1", "1001", "Disk", "replicas"] {
            assert!(wrong.parse::<Durable>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_proof_is_what_the_server_can_give() {
        let info = |version: &str, replicas: u8, aof: u8| {
            format!(
                "redis_version:{version}\r\nconnected_slaves:{replicas}\r\naof_enabled:{aof}\r\n"
            )
        };
        let find = |durable, info: &str, sync| Proof::find(durable, info, sync).ok();
        let old = info("7.0.15", 0, 1);
        assert_eq!(find(Durable::Replicas(2), &old, None), Some(Proof::Replicas(2)));
        assert_eq!(find(Durable::Auto, &info("7.0.15", 2, 1), None), Some(Proof::Replicas(1)));
        assert_eq!(find(Durable::Disk, &info("7.0.15", 2, 1), Some("always")), Some(Proof::Answer));
        assert_eq!(find(Durable::Auto, &old, Some("always")), Some(Proof::Answer));
        assert_eq!(find(Durable::Auto, &old, Some("everysec")), None);
        assert_eq!(find(Durable::Disk, &old, None), None);
        assert_eq!(find(Durable::Disk, &info("7.4.0", 0, 1), Some("everysec")), Some(Proof::Disk));
        assert_eq!(find(Durable::Auto, &info("7.4.0", 0, 0), None), None);
        let valkey = format!("{}valkey_version:8.0.1\r\n", info("7.2.4", 0, 1));
        assert_eq!(find(Durable::Auto, &valkey, None), Some(Proof::Disk));
    }

    #[test]
    fn answers_are_understood() {
        let int = redis::Value::Int;
        assert_eq!(Proof::Replicas(1).reached(&int(1)), Ok(()));
        assert_eq!(Proof::Replicas(2).reached(&int(1)), Err("1 of 2 replicas have it".to_owned()));
        let told = |local| redis::Value::Array(vec![int(local), int(0)]);
        assert_eq!(Proof::Disk.reached(&told(1)), Ok(()));
        assert!(Proof::Disk.reached(&told(0)).is_err());
        assert!(Proof::Disk.reached(&int(1)).is_err());
    }
}
