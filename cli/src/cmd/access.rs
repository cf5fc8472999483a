//! Who may use the monitor: reads what the command line and the environment say, secrets from files.

use std::env;
use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use celeriac_monitor::{Access, AccessOptions, Redaction, Rule, hash_password};
use serde::Serialize;

use crate::args::AccessArgs;
use crate::error::CliError;
use crate::globals::Globals;
use crate::output;

/// What was said. All that is wrong is told at once.
pub(super) fn access(args: &AccessArgs) -> Result<(Access, Redaction), CliError> {
    let options = AccessOptions {
        users: secret(&args.users, "CELERIAC_MONITOR_USERS")?.unwrap_or_default(),
        tokens: secret(&args.tokens, "CELERIAC_MONITOR_TOKENS")?.unwrap_or_default(),
        session_key: secret(&args.session_key, "CELERIAC_MONITOR_SESSION_KEY")?,
        proxies: said(&args.trust_proxy),
        header: args.trust_header.clone().filter(|name| !name.is_empty()),
        header_roles: said(&args.trust_role),
        public_view: args.public_view,
    };
    let rules: Vec<Result<Rule, _>> = said(&args.redact).iter().map(|rule| rule.parse()).collect();
    let mut wrong: Vec<String> =
        rules.iter().filter_map(|rule| rule.as_ref().err()).map(ToString::to_string).collect();
    match Access::new(&options) {
        Ok(access) if wrong.is_empty() => {
            Ok((access, Redaction(rules.into_iter().flatten().collect())))
        }
        refused => {
            wrong.extend(refused.err().map(|error| error.to_string()));
            Err(CliError::Arguments(wrong.join("; ")))
        }
    }
}

/// An empty variable in a compose file means: not set.
fn said(texts: &[String]) -> Vec<String> {
    texts.iter().filter(|text| !text.is_empty()).cloned().collect()
}

/// The content of the file, or of the variable.
fn secret(file: &Option<impl AsRef<Path>>, variable: &str) -> Result<Option<String>, CliError> {
    let file = file.as_ref().map(AsRef::as_ref).filter(|path| !path.as_os_str().is_empty());
    match file {
        Some(path) => match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(source) => Err(CliError::File { path: path.to_owned(), source }),
        },
        None => Ok(env::var(variable).ok().filter(|text| !text.is_empty())),
    }
}

#[derive(Serialize)]
struct Hashed {
    hash: String,
}

/// `--hash-password`
pub(super) fn print_hash(globals: &Globals) -> Result<(), CliError> {
    if io::stdin().is_terminal() {
        globals.talk("the password, which is shown as you type it:");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(CliError::System)?;
    let hash = hash_password(line.trim_end_matches(['\r', '\n'])).ok_or_else(|| {
        CliError::Arguments("a password has 1 to 1,024 bytes, in one line".to_owned())
    })?;
    if globals.json { output::json(&Hashed { hash }) } else { output::line(hash) }
}
