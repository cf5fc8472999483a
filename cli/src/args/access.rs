//! Who may use the monitor. Secrets come from files or from the environment, never from the command
//! line, which every user of the machine can read.

use std::path::PathBuf;

use clap::Args;

/// Who may look and who may act.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Who may do what")]
pub(crate) struct AccessArgs {
    /// Who logs in with a password: lines NAME:ROLE:HASH, the role viewer or operator [env: CELERIAC_MONITOR_USERS holds the lines themselves]
    #[arg(long, value_name = "FILE", env = "CELERIAC_MONITOR_USERS_FILE")]
    pub(crate) users: Option<PathBuf>,
    /// What programs send as `Authorization: Bearer`: lines NAME:ROLE:TOKEN [env: CELERIAC_MONITOR_TOKENS holds the lines themselves]
    #[arg(long, value_name = "FILE", env = "CELERIAC_MONITOR_TOKENS_FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Signs logins, 32 characters or more: monitors with the same one share them, and they outlive a restart [env: CELERIAC_MONITOR_SESSION_KEY holds the key itself]
    #[arg(long, value_name = "FILE", env = "CELERIAC_MONITOR_SESSION_KEY_FILE")]
    pub(crate) session_key: Option<PathBuf>,
    /// A proxy whose headers are believed, or a network of them (10.0.0.0/8)
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CELERIAC_MONITOR_TRUST_PROXY",
        value_delimiter = ','
    )]
    pub(crate) trust_proxy: Vec<String>,
    /// The header in which that proxy names who has logged in, such as X-Forwarded-User
    #[arg(long, value_name = "NAME", env = "CELERIAC_MONITOR_TRUST_HEADER")]
    pub(crate) trust_header: Option<String>,
    /// What they may do: viewer or operator; `*` is everybody else [default: all may look]
    #[arg(
        long,
        value_name = "NAME=ROLE",
        env = "CELERIAC_MONITOR_TRUST_ROLE",
        value_delimiter = ','
    )]
    pub(crate) trust_role: Vec<String>,
    /// Whoever reaches the monitor may look, without a login
    #[arg(long, env = "CELERIAC_MONITOR_PUBLIC_VIEW")]
    pub(crate) public_view: bool,
    /// Do not show this: TASK:args.FIELD, TASK:result or TASK:error; `*` in TASK is any text
    #[arg(long, value_name = "RULE", env = "CELERIAC_MONITOR_REDACT", value_delimiter = ',')]
    pub(crate) redact: Vec<String>,
    /// Start nothing: read a password from standard input and print its hash
    #[arg(long)]
    pub(crate) hash_password: bool,
}
