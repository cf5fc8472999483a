//! How to reach Redis, and what kind of server was found there.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::durable::Durable;
use crate::error::BrokerError;
use crate::name::Namespace;
use crate::tls::TlsFiles;

/// Where Redis is and how long to wait for it.
#[derive(Clone)]
pub struct RedisConfig {
    url: String,
    /// The files for connections under TLS.
    pub tls: TlsFiles,
    /// What must have what is enqueued by way of this before that is acknowledged; None: the master.
    pub durable: Option<Durable>,
    /// The namespace of all keys. Two namespaces on one server do not see each other.
    pub namespace: Namespace,
    /// How long a connection may take to come up. 2 s: longer than any healthy network needs.
    pub connect_timeout: Duration,
    /// How long one call may take. 5 s: a call takes about a millisecond, so a server that needs
    /// longer is as good as away, while a short stall (a save, a failover) is waited out.
    pub response_timeout: Duration,
}

impl RedisConfig {
    /// A configuration from a URL:
    ///
    /// - `redis://[user:password@]host:port/[db]`: one server;
    /// - `redis+unix:///path/to/socket`: the same, on this machine;
    /// - `redis+sentinel://[user:password@]host:port,host:port/service[/db]`: the master of a service, as
    ///   one of these Sentinels tells it. `?sentinel_user=…&sentinel_password=…` is for the Sentinels;
    /// - `redis+cluster://[user:password@]host:port,host:port`: a cluster, of which some nodes are named.
    ///
    /// With `rediss` in the place of `redis` the same under TLS.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: TlsFiles::default(),
            durable: None,
            namespace: Namespace::default(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
        }
    }

    /// The same with another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The same with files for TLS. The URL must begin with `rediss`.
    #[must_use]
    pub fn tls(mut self, tls: TlsFiles) -> Self {
        self.tls = tls;
        self
    }

    /// The same, for enqueueing that is acknowledged only when more than the memory of the master has it.
    /// If that takes longer than a producer's patience, the error says that the task may exist; to repeat
    /// it is safe, in the way in which it always is.
    #[must_use]
    pub fn durable(mut self, durable: Durable) -> Self {
        self.durable = Some(durable);
        self
    }

    /// The URL as it was given, with its password: to hand on to another process, not to print.
    pub fn url_with_secret(&self) -> &str {
        &self.url
    }

    /// The URL without its password, for messages and pages.
    pub fn redacted_url(&self) -> String {
        redact(&self.url)
    }

    /// What the URL says, with all that holds for every connection.
    pub(crate) fn address(&self) -> Result<Address, BrokerError> {
        let address = Address::parse(&self.url).map_err(|reason| self.invalid(reason))?;
        // A half-open socket is noticed within about 20 s even when nothing is under way.
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(3));
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(Duration::from_secs(10));
        let with_tls = self.tls.reader().map_err(|reason| self.invalid(reason))?;
        let address = address.map(|info| with_tls(info.set_tcp_settings(tcp.clone())));
        address.map_err(|reason| self.invalid(reason))
    }

    /// Says that the URL cannot be used.
    pub(crate) fn invalid(&self, reason: String) -> BrokerError {
        BrokerError::Url { url: self.redacted_url(), reason }
    }
}

/// The default is what `redis-server` listens on: `redis://127.0.0.1:6379/`.
impl Default for RedisConfig {
    fn default() -> Self {
        Self::new("redis://127.0.0.1:6379/")
    }
}

/// Without the password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &self.redacted_url())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A URL in which `user:password@` and `?pass=` are replaced by stars. Also one that cannot be read: a
/// password may stand where none is expected.
fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |scheme| scheme + 3));
    let (user, place) = match rest.rfind('@') {
        // Which of both has the password, or a part of it, cannot be said.
        Some(at) if rest[..at].contains('?') => return format!("{scheme}***"),
        Some(at) => ("***", &rest[at..]),
        None => ("", rest),
    };
    match place.split_once('?') {
        Some((place, _)) => format!("{scheme}{user}{place}?***"),
        None => format!("{scheme}{user}{place}"),
    }
}

/// What kind of server was found, and what about it endangers the guarantees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// `Redis` or `Valkey`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Settings that can lose tasks, each with what to do about it.
    pub warnings: Vec<String>,
}

impl ServerReport {
    /// Reads the answer to `INFO`.
    ///
    /// # Errors
    /// [`BrokerError::Unsuitable`] for a server that cannot hold a queue: too old, or a replica.
    pub(crate) fn from_info(info: &str, server: &str) -> Result<Self, BrokerError> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
        };
        let unsuitable =
            |reason: String| BrokerError::Unsuitable { server: server.to_owned(), reason };
        let (product, version, least) = match field("valkey_version") {
            Some(version) => ("Valkey", version, (7, 2)),
            None => ("Redis", field("redis_version").unwrap_or("0"), (7, 0)),
        };
        if number_of(version) < least {
            return Err(unsuitable(format!(
                "{product} {version} is too old: Redis 7.0 or Valkey 7.2 at least is needed"
            )));
        }
        if field("role") == Some("slave") {
            return Err(unsuitable("it is a replica: connect to its master".to_owned()));
        }
        let mut warnings = Vec::new();
        if let Some(policy) = field("maxmemory_policy").filter(|policy| *policy != "noeviction") {
            warnings.push(format!(
                "maxmemory-policy is {policy}: Redis may throw tasks away when memory is short; run `CONFIG SET maxmemory-policy noeviction`"
            ));
        }
        if field("aof_enabled") == Some("0") {
            warnings.push(format!(
                "{FILE_IS_OFF}: a crash of Redis loses what came after its last save; run `CONFIG SET appendonly yes`"
            ));
        }
        Ok(Self { product: product.to_owned(), version: version.to_owned(), warnings })
    }

    /// Reads the answer to `CONFIG GET appendfsync`, which `INFO` does not tell. The policy counts only
    /// where there is a file.
    pub(crate) fn note_sync(&mut self, policy: Option<&str>) {
        let file_is_off = self.warnings.iter().any(|warning| warning.starts_with(FILE_IS_OFF));
        if policy == Some("no") && !file_is_off {
            self.warnings.push(
                "appendfsync is no: a machine that loses power loses what its system had not written by itself, half a minute or more; run `CONFIG SET appendfsync everysec`".to_owned(),
            );
        }
    }
}

const FILE_IS_OFF: &str = "the append-only file is off";

pub(crate) fn number_of(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for url in [
            "redis://:s3cret@h:1/",
            "redis://me:s3cret@h/2",
            "redis+unix:///s?pass=s3cret",
            "rediss://a:s3@cret@h",
            "redis://a:s3?cret@h",
            "redis+sentinel://a:s3@h,h/s?sentinel_password=s3",
            "redis+sentinel://h,h/s?sentinel_password=s3@s3",
            "a:s3@h",
        ] {
            let shown =
                format!("{:?} {}", RedisConfig::new(url), RedisConfig::new(url).redacted_url());
            assert!(!shown.contains("s3"), "{shown}");
        }
        assert_eq!(redact("redis://h:1/2"), "redis://h:1/2");
        assert_eq!(redact("redis://a:b@h:1/2?pass=c"), "redis://***@h:1/2?***");
    }

    #[test]
    fn unsuitable_servers_are_refused_and_dangerous_settings_named() {
        let report = |info: &str| ServerReport::from_info(info, "here");
        assert!(report("redis_version:6.2.14\r\n").is_err());
        assert!(report("redis_version:7.2.4\r\nvalkey_version:7.1.0\r\n").is_err());
        assert!(report("redis_version:7.0.0\r\nrole:slave\r\n").is_err());
        let good = report(
            "redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nrole:master\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n",
        );
        assert_eq!(good.expect("suitable").warnings, Vec::<String>::new());
        let bad =
            report("redis_version:7.0.0\r\naof_enabled:0\r\nmaxmemory_policy:allkeys-lru\r\n");
        assert_eq!(bad.expect("suitable").warnings.len(), 2);
    }

    #[test]
    fn a_file_that_is_never_synced_is_named() {
        let warnings = |file: u8, policy| {
            let info = format!("redis_version:7.0.0\r\naof_enabled:{file}\r\n");
            let mut report = ServerReport::from_info(&info, "here").expect("suitable");
            report.note_sync(policy);
            report.warnings
        };
        let [warning] = &warnings(1, Some("no"))[..] else { panic!("one warning") };
        assert!(warning.starts_with("appendfsync is no: "), "{warning}");
        for fine in [Some("everysec"), Some("always"), None] {
            assert_eq!(warnings(1, fine), Vec::<String>::new());
        }
        // Without a file there is nothing to sync.
        assert_eq!(warnings(0, Some("no")).len(), 1);
    }
}
