//! The wrapper of `remember.lua`.

use redis::Cmd;

use super::{Script, script};
use crate::id::ClientId;
use crate::keys::Keys;

script!(REMEMBER, "remember", " flags=allow-oom", ["base", "batch"]);

/// The script, and the command that calls it.
pub(crate) fn remember(keys: &Keys, producer: &ClientId) -> (&'static Script, Cmd) {
    let mut command = REMEMBER.command(keys.prefix());
    command.arg(producer.as_str());
    (&REMEMBER, command)
}
