//! `celeriac up`: Redis, workers and the monitor for development, until Ctrl-C. The data stays in
//! `./.celeriac`.

use std::path::PathBuf;

use celeriac_broker_schema::Broker;
use celeriac_private_server::Options;
use serde::Serialize;

use crate::args::UpArgs;
use crate::args::values::duration_text;
use crate::error::CliError;
use crate::fleet::{DRAIN_TIMEOUT, Fleet, Interrupt, Redis};
use crate::format::counted;
use crate::globals::Globals;
use crate::output;

/// Where the private server keeps its data.
const DATA_DIR: &str = ".celeriac";

pub(crate) async fn run(args: &UpArgs, globals: &Globals) -> Result<(), CliError> {
    let mut interrupt = Interrupt::listen()?;
    let redis = tokio::select! {
        redis = redis(globals) => redis?,
        () = interrupt.wait() => return Err(CliError::Interrupted),
    };
    let mut fleet = Fleet::new(redis, globals);
    let result = tokio::select! {
        result = start_and_watch(args, globals, &mut fleet) => result,
        // That is how it is meant to end.
        () = interrupt.wait() => Ok(()),
    };
    globals.talk("stopping");
    result.and(fleet.stop(&mut interrupt).await)
}

/// The environment is not asked: what it names may well be the server of the last `up`.
async fn redis(globals: &Globals) -> Result<Redis, CliError> {
    if globals.redis_on_command_line {
        let broker = Broker::new(globals.redis.clone())?;
        broker.check_server().await?;
        return Ok(Redis::Given(globals.redis.clone()));
    }
    let options = Options { data_dir: Some(PathBuf::from(DATA_DIR)), ..Options::default() };
    Redis::start(options, globals.redis.namespace.clone()).await
}

async fn start_and_watch(
    args: &UpArgs,
    globals: &Globals,
    fleet: &mut Fleet,
) -> Result<(), CliError> {
    let monitor = fleet.start_monitor(args.port).await?;
    let drain = duration_text(DRAIN_TIMEOUT);
    fleet.start_workers(args.workers.into(), &["--drain-timeout", &drain]).await?;
    Running::new(fleet, args.workers, monitor).tell(globals)?;
    globals.talk("all is ready, until Ctrl-C");
    Err(fleet.fails().await)
}

/// What others need to know to take part.
#[derive(Serialize)]
struct Running {
    /// The URL of the private server; that of another one is known, and may hold a password.
    redis_url: Option<String>,
    namespace: String,
    workers: u16,
    monitor: String,
}

impl Running {
    fn new(fleet: &Fleet, workers: u16, monitor: String) -> Self {
        let namespace = fleet.redis().namespace.as_str().to_owned();
        Self { redis_url: fleet.server().map(|server| server.url()), namespace, workers, monitor }
    }

    fn tell(&self, globals: &Globals) -> Result<(), CliError> {
        if globals.json {
            return output::json(self);
        }
        globals.talk(format_args!("the monitor is at {}", self.monitor));
        globals.talk(format_args!(
            "{} at work; in another terminal:",
            counted(self.workers.into(), "worker")
        ));
        if let Some(url) = &self.redis_url {
            output::line(format_args!("export CELERIAC_REDIS_URL='{url}'"))?;
        }
        match self.namespace.as_str() {
            "celeriac" => Ok(()),
            namespace => output::line(format_args!("export CELERIAC_NAMESPACE='{namespace}'")),
        }
    }
}
