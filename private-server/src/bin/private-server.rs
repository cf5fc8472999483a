//! Runs a private server for a script: prints its URL, process id and data directory, and stops it
//! when standard input ends. The argument, if there is one, is the data directory.

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use celeriac_private_server::{Options, PrivateServer};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("private-server: {error}");
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            causes.for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let server = PrivateServer::start(Options {
        data_dir: std::env::args_os().nth(1).map(Into::into),
        ..Options::default()
    })?;
    let mut output = io::stdout();
    writeln!(output, "url {}", server.url())?;
    writeln!(output, "pid {}", server.pid())?;
    writeln!(output, "dir {}", server.data_dir().display())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    server.stop()?;
    Ok(())
}
