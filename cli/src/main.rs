//! The `celeriac` command: reads its arguments, runs one command of `cmd`, and ends with an exit
//! code of `exit`.

mod args;
mod bench;
mod cmd;
mod deed;
mod error;
mod exit;
mod fleet;
mod fleet_view;
mod format;
mod globals;
mod output;
mod requester;
mod tasks_file;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::Cli;
use crate::error::CliError;

/// How long work on blocking threads may go on after the command has ended: a name that is being
/// looked up, a server that is being started. What is left then ends with the process.
const BLOCKING_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::read();
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(cmd::run(cli));
            runtime.shutdown_timeout(BLOCKING_GRACE);
            result
        }
        Err(error) => Err(CliError::System(error)),
    };
    exit::report(result)
}
