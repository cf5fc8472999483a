//! What a URL says about where Redis is: one server, a service that Sentinels know, or a cluster.
//!
//! The client library reads URLs of one server. Ours hold several hosts, so each is turned into one of
//! those first: user, password and options are then read by the one parser.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// Where Redis is.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// One server.
    Single(ConnectionInfo),
    /// The master of a service, which one of the Sentinels tells.
    Sentinel {
        service: String,
        /// How to reach each Sentinel.
        sentinels: Vec<ConnectionInfo>,
        /// How to reach the master, once its host and port are known.
        master: ConnectionInfo,
    },
    /// The nodes of a cluster, each of which knows the others.
    Cluster {
        /// The nodes that are asked first.
        seeds: Vec<ConnectionInfo>,
    },
}

/// The port of Sentinels, unless it is named.
const SENTINEL_PORT: u16 = 26_379;
/// The port of servers, unless it is named.
const REDIS_PORT: u16 = 6_379;

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it. The text has nothing of the URL that may be secret.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let parts = Parts::of(url);
        let (tls, kind) = match parts.scheme {
            "redis+sentinel" | "valkey+sentinel" => (false, Kind::Sentinel),
            "rediss+sentinel" | "valkeys+sentinel" => (true, Kind::Sentinel),
            "redis+cluster" | "valkey+cluster" => (false, Kind::Cluster),
            "rediss+cluster" | "valkeys+cluster" => (true, Kind::Cluster),
            _ => return single(url).map(Self::Single),
        };
        match kind {
            Kind::Sentinel => parts.sentinel(tls),
            Kind::Cluster => parts.cluster(tls),
        }
    }

    /// For messages: where we were told to look. Without user and password.
    pub(crate) fn describe(&self) -> String {
        let list = |infos: &[ConnectionInfo]| {
            infos.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(",")
        };
        match self {
            Self::Single(info) => info.addr().to_string(),
            Self::Sentinel { service, sentinels, .. } => {
                format!("{service} (by Sentinel at {})", list(sentinels))
            }
            Self::Cluster { seeds } => format!("{} (cluster)", list(seeds)),
        }
    }

    /// The same with something done to every way to a server.
    pub(crate) fn map<E>(
        self,
        mut change: impl FnMut(ConnectionInfo) -> Result<ConnectionInfo, E>,
    ) -> Result<Self, E> {
        Ok(match self {
            Self::Single(info) => Self::Single(change(info)?),
            Self::Sentinel { service, sentinels, master } => Self::Sentinel {
                service,
                sentinels: sentinels.into_iter().map(&mut change).collect::<Result<_, _>>()?,
                master: change(master)?,
            },
            Self::Cluster { seeds } => {
                Self::Cluster { seeds: seeds.into_iter().map(change).collect::<Result<_, _>>()? }
            }
        })
    }
}

/// A way to another host that is otherwise the same.
pub(crate) fn at(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
    let addr = match info.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(addr)
}

enum Kind {
    Sentinel,
    Cluster,
}

/// `scheme://user@hosts/path?query`, in pieces.
struct Parts<'a> {
    scheme: &'a str,
    /// `user:password@`, or nothing.
    user: &'a str,
    hosts: &'a str,
    path: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may have slashes where somebody forgot to encode them; a host has no `@`.
        let (user, rest) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self {
            scheme,
            user,
            hosts,
            path: path.split('/').filter(|part| !part.is_empty()).collect(),
            query: pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect(),
        }
    }

    fn sentinel(mut self, tls: bool) -> Result<Address, String> {
        let (service, database) = match self.path[..] {
            [service] => (service.to_owned(), ""),
            [service, database] => (service.to_owned(), database),
            _ => return Err("the name of the service is missing: …/SERVICE".to_owned()),
        };
        let database = self.take("db").unwrap_or(database);
        let own_user = self.take("sentinel_user").unwrap_or_default();
        let own_password = self.take("sentinel_password");
        let own = match own_password {
            Some(password) => format!("{own_user}:{password}@"),
            None if own_user.is_empty() => String::new(),
            None => return Err("sentinel_user needs sentinel_password".to_owned()),
        };
        // The host is replaced by the one that the Sentinels tell.
        let master = single(&self.url(tls, self.user, ("127.0.0.1", 1), database))?;
        let hosts = self.hosts(SENTINEL_PORT)?;
        let sentinels = hosts.iter().map(|host| single(&self.url(tls, &own, *host, "")));
        let sentinels = sentinels.collect::<Result<_, _>>()?;
        Ok(Address::Sentinel { service, sentinels, master })
    }

    fn cluster(mut self, tls: bool) -> Result<Address, String> {
        let database = self.take("db").or(self.path.first().copied()).unwrap_or("0");
        if database != "0" {
            return Err("a cluster has the database 0 only".to_owned());
        }
        let seeds = self.hosts(REDIS_PORT)?;
        let seeds = seeds.iter().map(|host| single(&self.url(tls, self.user, *host, "")));
        Ok(Address::Cluster { seeds: seeds.collect::<Result<_, _>>()? })
    }

    /// Takes an option out of the query.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.query.iter().position(|(key, _)| *key == name)?;
        Some(self.query.remove(at).1)
    }

    fn hosts(&self, usual: u16) -> Result<Vec<(&'a str, u16)>, String> {
        let hosts = self.hosts.split(',').map(|host| host_and_port(host, usual));
        hosts.collect()
    }

    /// The URL of one server as the client library reads it.
    fn url(&self, tls: bool, user: &str, (host, port): (&str, u16), database: &str) -> String {
        let scheme = if tls { "rediss" } else { "redis" };
        let query: Vec<String> =
            self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{user}{host}:{port}/{database}{mark}{}", query.join("&"))
    }
}

fn single(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| error.to_string())
}

/// The parts of `host`, `host:port` or `[address]:port`. The brackets stay: URLs have them.
fn host_and_port(text: &str, usual: u16) -> Result<(&str, u16), String> {
    let colon = text.rfind(':').filter(|colon| text.rfind(']').is_none_or(|end| end < *colon));
    let (host, port) = match colon {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    if host.is_empty() {
        return Err("a host is missing: write HOST:PORT,HOST:PORT".to_owned());
    }
    let port = port.map_or(Ok(usual), str::parse);
    Ok((host, port.map_err(|_| format!("the port of {host} is no number from 0 to 65535"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        match Address::parse(url) {
            Err(reason) => format!("error: {reason}"),
            Ok(address) => {
                let settings = |info: &ConnectionInfo| {
                    let own = info.redis_settings();
                    let user = own.username().unwrap_or("-");
                    format!("{user}/{}/{}", own.password().unwrap_or("-"), own.db())
                };
                let how = match &address {
                    Address::Single(info) => settings(info),
                    Address::Sentinel { sentinels, master, .. } => {
                        format!("{} asked as {}", settings(master), settings(&sentinels[0]))
                    }
                    Address::Cluster { seeds } => settings(&seeds[0]),
                };
                format!("{} {how}", address.describe())
            }
        }
    }

    #[test]
    fn urls_of_all_kinds_are_read() {
        for (url, expected) in [
            ("redis://me:pw@h:1/2", "h:1 me/pw/2"),
            (
                "redis+sentinel://a,b:2/main",
                "main (by Sentinel at a:26379,b:2) -/-/0 asked as -/-/0",
            ),
            (
                "redis+sentinel://me:p%40w@a:1,[::1]:2/main/3?sentinel_user=s&sentinel_password=x",
                "main (by Sentinel at a:1,::1:2) me/p@w/3 asked as s/x/0",
            ),
            (
                "redis+sentinel://:pw@a/main?db=4&sentinel_password=x",
                "main (by Sentinel at a:26379) -/pw/4 asked as -/x/0",
            ),
            ("redis+cluster://me:pw@a:1,b", "a:1,b:6379 (cluster) me/pw/0"),
            ("valkey+cluster://a/0", "a:6379 (cluster) -/-/0"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/s/2/3",
            "redis+sentinel://a:x/s",
            "redis+sentinel://a:1,/s",
            "redis+sentinel://a/s?sentinel_user=only",
            "redis+cluster://a/1",
            "redis+cluster://a?db=1",
            "redis+cluster://",
            "http://a/",
            "nonsense",
        ] {
            assert!(shown(url).starts_with("error: "), "{url}: {}", shown(url));
        }
    }
}
