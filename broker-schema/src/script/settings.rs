//! `settings`: what operators set for a whole shard.

use std::collections::BTreeMap;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::settings::Setting;

// A full server may be one that keeps too many dead letters.
script!(SETTINGS, "settings", " flags=allow-oom", ["base"]);

/// What is set; what is not there has its default. Settings of newer versions are left out.
pub(crate) async fn settings(
    connections: &Connections,
    keys: &Keys,
    changes: &[(Setting, Option<u64>)],
) -> Result<BTreeMap<Setting, u64>, BrokerError> {
    let mut command = SETTINGS.command(keys.prefix());
    for (setting, value) in changes {
        command.arg(setting.as_str());
        command.arg(value.map(|value| value.to_string()).unwrap_or_default());
    }
    let mut reply = Reply::new(SETTINGS.name, connections.run(&SETTINGS, &command).await?)?;
    let pairs = reply.array("settings")?.pairs("settings")?;
    Ok(pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
        .collect())
}
