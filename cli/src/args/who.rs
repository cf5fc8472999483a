//! Who does something, and why: the same options wherever people do something to tasks, queues, limits
//! and workers.

use clap::Args;

/// Who does it, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct WhoArgs {
    /// Why, for those who will ask
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Who does it [default: this user on this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

impl WhoArgs {
    /// Whether any of it was given.
    pub(crate) fn given(&self) -> bool {
        self.why.is_some() || self.by.is_some()
    }
}
