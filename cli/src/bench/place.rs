//! Where it is measured: a private server of its own for every measurement, or the one that was
//! asked for on the command line, with a fresh namespace that is erased afterwards.
//!
//! The environment is not asked: what it names may well be a server in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::{Broker, RedisConfig};
use celeriac_private_server::{Options, PrivateServer};
use tokio::task::spawn_blocking;

use crate::error::CliError;
use crate::globals::Globals;

/// Where to find servers to measure on.
pub(super) struct Place {
    /// The server that was asked for, if one was.
    given: Option<RedisConfig>,
    append_only: bool,
    left: Left,
}

/// Namespaces on the given server whose measurements are over, and whose keys are still there.
type Left = Arc<Mutex<Vec<Broker>>>;

/// A namespace that nobody has used: on a server of its own, so that no measurement suffers from
/// what others left behind; or on the server that was asked for.
pub(super) struct Spot {
    broker: Broker,
    /// Kept for its lifetime only; it stops when it is dropped.
    server: Option<PrivateServer>,
    left: Left,
}

impl std::ops::Deref for Spot {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

/// Also if the measurement was interrupted.
impl Drop for Spot {
    fn drop(&mut self) {
        if self.server.is_none() {
            locked(&self.left).push(self.broker.clone());
        }
    }
}

impl Place {
    pub(super) fn new(globals: &Globals, append_only: bool) -> Self {
        let given = globals.redis_on_command_line;
        let given = given.then(|| globals.redis.clone());
        Self { given, append_only, left: Left::default() }
    }

    /// Whether writes go to an append-only file, as far as known.
    pub(super) fn append_only(&self) -> Option<bool> {
        self.given.is_none().then_some(self.append_only)
    }

    pub(super) async fn fresh(&self) -> Result<Spot, CliError> {
        // One at a time is there, or the last would be measured among the keys of all others.
        self.clean().await?;
        let (server, config) = match &self.given {
            Some(config) => (None, config.clone()),
            None => {
                // The longest call is told, too.
                let told = ("latency-tracking-info-percentiles".to_owned(), "50 99 100".to_owned());
                let append_only = self.append_only;
                let options = Options { append_only, extra: vec![told], ..Options::default() };
                let started = spawn_blocking(|| PrivateServer::start(options)).await;
                let server = started.map_err(|error| CliError::Bug(error.to_string()))??;
                let config = RedisConfig::new(server.url());
                (Some(server), config)
            }
        };
        let namespace = format!("bench-{}", celeriac_broker_schema::ClientId::new()).parse()?;
        let broker = Broker::new(config.namespace(namespace))?;
        Ok(Spot { broker, server, left: Arc::clone(&self.left) })
    }

    /// Removes what finished measurements left on the given server.
    pub(super) async fn clean(&self) -> Result<(), CliError> {
        while let Some(broker) = self.next_left() {
            // What was under way when a measurement was interrupted may arrive late.
            while broker.erase().await? > 0 {}
            // Not before: this, too, may be interrupted.
            let is_other = |other: &Broker| other.keys().prefix() != broker.keys().prefix();
            locked(&self.left).retain(is_other);
        }
        Ok(())
    }

    fn next_left(&self) -> Option<Broker> {
        locked(&self.left).last().cloned()
    }
}

fn locked(left: &Left) -> MutexGuard<'_, Vec<Broker>> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Milliseconds of the longest call of a script so far, if the server keeps it: a private one does.
pub(super) async fn longest_script_ms(broker: &Broker) -> Result<Option<f64>, CliError> {
    let info = broker.info("latencystats").await?;
    let found = info.lines().find(|line| line.starts_with("latency_percentiles_usec_evalsha:"));
    let longest = found.and_then(|line| line.trim_end().split([',', ':']).next_back());
    let micros = longest.and_then(|text| text.strip_prefix("p100=")?.parse::<f64>().ok());
    Ok(micros.map(|micros| micros / 1e3))
}

/// Bytes that the server has allocated for data, connections and itself.
pub(super) async fn used_memory(broker: &Broker) -> Result<f64, CliError> {
    info_number(broker, "memory", "used_memory").await
}
