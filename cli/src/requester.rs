//! Who types: kept with what is done to tasks, queues, limits and workers.

use celeriac_broker_schema::Requester;

use crate::args::WhoArgs;
use crate::fleet_view::this_host;

/// Who does it, and why: the user of this process on this machine, unless it is said.
pub(crate) fn requester(args: &WhoArgs) -> Requester {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Requester { by: said(&args.by).or_else(|| Some(this_user())), why: said(&args.why) }
}

/// `ada@lynx`
pub(crate) fn this_user() -> String {
    let names = ["USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let user = names.into_iter().find(|user| !user.is_empty());
    format!("{}@{}", user.unwrap_or_else(|| "somebody".to_owned()), this_host())
}
