//! Who types: kept with what is done to tasks and workers.

use celeriac_broker_schema::Requester;

use crate::fleet_view::this_host;

/// The user of this process on this machine, and why.
pub(crate) fn requester(why: Option<&String>) -> Requester {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    Requester { by: Some(format!("{user}@{}", this_host())), why: why.cloned() }
}
