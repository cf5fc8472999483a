//! `celeriac settings`: what holds for the whole namespace, and is kept in Redis.

use celeriac_broker_schema::{InvalidInput, Setting};
use serde_json::{Map, Value};

use crate::args::{SettingsAction, SettingsArgs};
use crate::error::CliError;
use crate::globals::Globals;
use crate::output::{self, Align, Table};

pub(crate) async fn run(args: &SettingsArgs, globals: &Globals) -> Result<(), CliError> {
    let changes = match &args.action {
        None => Vec::new(),
        Some(SettingsAction::Set { changes }) => {
            changes.iter().map(|text| change(text)).collect::<Result<_, _>>()?
        }
    };
    let set = globals.connect().await?.settings(&changes).await?;
    let value = |setting: Setting| set.get(&setting).copied().unwrap_or(setting.default_value());
    if globals.json {
        let all: Map<String, Value> = Setting::ALL
            .map(|setting| (setting.to_string(), value(setting).into()))
            .into_iter()
            .collect();
        return output::json(&all);
    }
    let mut table =
        Table::new([("SETTING", Align::Left), ("VALUE", Align::Right), ("MEANING", Align::Left)]);
    for setting in Setting::ALL {
        let default = if set.contains_key(&setting) { "" } else { " (default)" };
        let meaning = format!("{}{default}", setting.meaning());
        table.row([setting.to_string(), value(setting).to_string(), meaning]);
    }
    output::line(table.render())
}

fn change(text: &str) -> Result<(Setting, Option<u64>), InvalidInput> {
    let wrong =
        |reason: &str| InvalidInput::Setting { name: text.to_owned(), reason: reason.to_owned() };
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("write NAME=VALUE"))?;
    let setting: Setting = name.parse()?;
    if value.is_empty() {
        return Ok((setting, None));
    }
    let value = value.replace('_', "").parse().map_err(|_| wrong("the value is a whole number"))?;
    setting.check(value)?;
    Ok((setting, Some(value)))
}
