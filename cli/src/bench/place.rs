//! Where it is measured: a private server of its own for every measurement, or the one that was
//! asked for, with a fresh namespace.

use celeriac_broker_schema::{Broker, RedisConfig};
use celeriac_private_server::{Options, PrivateServer};

use crate::error::CliError;
use crate::globals::Globals;

/// Where to find servers to measure on.
pub(super) struct Place {
    /// The server that was asked for, if one was.
    given: Option<String>,
    append_only: bool,
}

/// A namespace that nobody has used: on a server of its own, so that no measurement suffers from
/// what others left behind; or on the server that was asked for.
pub(super) struct Spot {
    broker: Broker,
    /// Kept for its lifetime only; it stops when it is dropped.
    _server: Option<PrivateServer>,
}

impl std::ops::Deref for Spot {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Place {
    pub(super) fn new(globals: &Globals, append_only: bool) -> Self {
        let given = globals.redis_given.then(|| globals.redis.url_with_secret().to_owned());
        Self { given, append_only }
    }

    /// Whether writes go to an append-only file, as far as known.
    pub(super) fn append_only(&self) -> Option<bool> {
        self.given.is_none().then_some(self.append_only)
    }

    pub(super) fn fresh(&self) -> Result<Spot, CliError> {
        let server = match self.given {
            Some(_) => None,
            None => {
                let options = Options { append_only: self.append_only, ..Options::default() };
                Some(PrivateServer::start(options)?)
            }
        };
        let url = server
            .as_ref()
            .map(PrivateServer::url)
            .or_else(|| self.given.clone())
            .unwrap_or_default();
        let namespace = format!("bench-{}", celeriac_broker_schema::ClientId::new()).parse()?;
        let broker = Broker::new(RedisConfig::new(url).namespace(namespace))?;
        Ok(Spot { broker, _server: server })
    }
}

/// A number in the answer to `INFO <section>`.
pub(super) async fn info_number(
    broker: &Broker,
    section: &str,
    field: &str,
) -> Result<f64, CliError> {
    let info = broker.info(section).await?;
    let value =
        info.lines().find_map(|line| line.trim_end().strip_prefix(field)?.strip_prefix(':'));
    Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0.0))
}

/// Microseconds that the server has spent in our scripts so far.
pub(super) async fn script_micros(broker: &Broker) -> Result<f64, CliError> {
    let info = broker.info("commandstats").await?;
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
    let usec = line.and_then(|line| line.split(',').find_map(|field| field.strip_prefix("usec=")));
    Ok(usec.and_then(|usec| usec.parse().ok()).unwrap_or(0.0))
}

/// Bytes that the server has allocated for data, connections and itself.
pub(super) async fn used_memory(broker: &Broker) -> Result<f64, CliError> {
    info_number(broker, "memory", "used_memory").await
}
