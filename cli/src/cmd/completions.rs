//! `celeriac completions`: the script that completes this command in a shell.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::error::CliError;
use crate::output;

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "celeriac", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())
}
