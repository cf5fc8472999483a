//! What holds for every command: which Redis, which namespace, how much to tell. Made once from
//! the command line and the environment.

use std::io::IsTerminal;
use std::path::PathBuf;

use celeriac_broker_schema::{Broker, Durable, RedisConfig, TlsFiles};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::GlobalArgs;
use crate::error::CliError;
use crate::output;

/// The environment variable that overrides how much is logged, as `tracing` filters are written.
const LOG: &str = "CELERIAC_LOG";

/// What holds for every command.
#[derive(Debug)]
pub(crate) struct Globals {
    /// The server that was asked for, or the one at the usual address.
    pub(crate) redis: RedisConfig,
    /// Whether a server was asked for, by `--redis` or by the environment.
    pub(crate) redis_given: bool,
    /// Whether it was asked for by `--redis`.
    pub(crate) redis_on_command_line: bool,
    /// Whether data is printed as JSON.
    pub(crate) json: bool,
    /// Whether nothing but errors is told.
    pub(crate) quiet: bool,
    /// How often `--verbose` was given.
    pub(crate) verbose: u8,
}

impl Globals {
    pub(crate) fn new(args: GlobalArgs) -> Result<Self, CliError> {
        let namespace = args.namespace.parse()?;
        // An empty variable in a compose file means: not set.
        let url = args.redis.filter(|url| !url.is_empty());
        let redis_given = url.is_some();
        let redis = url.map_or_else(RedisConfig::default, RedisConfig::new);
        // As above, an empty variable means: not set.
        let file = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let tls = TlsFiles {
            ca: file(args.redis_ca),
            cert: file(args.redis_cert),
            key: file(args.redis_key),
        };
        Ok(Self {
            redis: redis.namespace(namespace).tls(tls),
            redis_given,
            redis_on_command_line: args.redis_on_command_line,
            json: args.json,
            quiet: args.quiet,
            verbose: args.verbose,
        })
    }

    /// The same, for enqueues that are to be as safe as this.
    pub(crate) fn durable(&self, durable: Option<Durable>) -> Self {
        let mut redis = self.redis.clone();
        redis.durable = durable;
        Self { redis, ..*self }
    }

    /// A broker that has seen its server: it is there, lets us in, and can hold a queue.
    pub(crate) async fn connect(&self) -> Result<Broker, CliError> {
        let broker = Broker::new(self.redis.clone())?;
        let report = broker.check_server().await?;
        // What it may lose is told by those who run the queue (worker, monitor, doctor).
        tracing::debug!(?report, "connected");
        Ok(broker)
    }

    /// Tells something, unless nothing is to be told.
    pub(crate) fn talk(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            output::talk(text);
        }
    }

    /// Prints a line of JSON, if that is wanted, of a command that runs on: it does not end when its
    /// reader does.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.json
            && let Err(error) = output::json(event)
        {
            tracing::warn!(%error, "nobody reads what is printed");
        }
    }

    /// Starts logging to standard error: from `usual` on, unless the user wants more or less.
    pub(crate) fn start_logging(&self, usual: LevelFilter) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, 0) => usual,
            (_, 1) if usual < LevelFilter::INFO => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var(LOG);
        let stderr = std::io::stderr;
        tracing_subscriber::fmt()
            .with_env_filter(filter.from_env_lossy())
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .with_target(false)
            .init();
    }
}
