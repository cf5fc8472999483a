//! `celeriac settings`: what holds for the whole namespace, and is kept in Redis.
//!
//! Times are durations for people, and milliseconds in Redis and for programs: `dead_age=7d` is
//! `dead_age_ms=604800000`.

use std::time::Duration;

use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{InvalidInput, Setting};
use serde_json::{Map, Value};

use crate::args::values::{duration, duration_text};
use crate::args::{SettingsAction, SettingsArgs};
use crate::error::CliError;
use crate::format::grouped;
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
        table.row([name(setting).to_owned(), text(setting, value(setting)), meaning]);
    }
    output::line(table.render())
}

/// As people call it.
fn name(setting: Setting) -> &'static str {
    setting.duration_name().unwrap_or(setting.as_str())
}

/// As people write its value.
fn text(setting: Setting, value: u64) -> String {
    match setting.duration_name() {
        Some(_) => duration_text(Duration::from_millis(value)),
        None => grouped(value),
    }
}

fn change(text: &str) -> Result<(Setting, Option<u64>), InvalidInput> {
    let wrong = |reason: String| InvalidInput::Setting { name: text.to_owned(), reason };
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("write NAME=VALUE".to_owned()))?;
    let (setting, is_duration) = named(name)?;
    if value.is_empty() {
        return Ok((setting, None));
    }
    let value = match is_duration {
        true => millis(duration(value).map_err(wrong)?),
        false => {
            let digits = value.replace('_', "");
            digits.parse().map_err(|_| wrong("the value is a whole number".to_owned()))?
        }
    };
    check(setting, is_duration, value)?;
    Ok((setting, Some(value)))
}

/// A setting by either name, and whether that is the one of a duration.
fn named(name: &str) -> Result<(Setting, bool), InvalidInput> {
    let by_duration = |setting: &Setting| setting.duration_name() == Some(name);
    if let Some(setting) = Setting::ALL.into_iter().find(by_duration) {
        return Ok((setting, true));
    }
    name.parse().map(|setting| (setting, false)).map_err(|_| InvalidInput::Setting {
        name: name.to_owned(),
        reason: format!(
            "there is no such setting: there are {}",
            Setting::ALL.map(self::name).join(", ")
        ),
    })
}

/// Tells of bounds in the words in which the value was given.
fn check(setting: Setting, is_duration: bool, value: u64) -> Result<(), InvalidInput> {
    if !is_duration {
        return setting.check(value);
    }
    setting.check(value).map_err(|_| {
        let bounds = setting.bounds();
        InvalidInput::Setting {
            name: name(setting).to_owned(),
            reason: format!(
                "{} is out of bounds: {} to {}",
                text(setting, value),
                text(setting, *bounds.start()),
                text(setting, *bounds.end())
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_duration_or_milliseconds() {
        for (text, expected) in [
            ("dead_age=7d", (Setting::DeadAgeMs, Some(604_800_000))),
            ("dead_age=1h30m", (Setting::DeadAgeMs, Some(5_400_000))),
            ("dead_age_ms=604_800_000", (Setting::DeadAgeMs, Some(604_800_000))),
            ("dead_age=", (Setting::DeadAgeMs, None)),
            ("dead_age_ms=", (Setting::DeadAgeMs, None)),
            ("dead_max=100", (Setting::DeadMax, Some(100))),
        ] {
            assert_eq!(change(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_told_in_the_words_of_who_asked() {
        for (text, part) in [
            ("dead_age", "NAME=VALUE"),
            ("dead_age=604800000", "is no duration"),
            ("dead_age_ms=7d", "whole number"),
            ("dead_max=7d", "whole number"),
            ("dead_age=10s", "10s is out of bounds: 1m to 3650d"),
            ("dead_age_ms=10", "10 is out of bounds: 60000 to 315360000000"),
            ("colour=1", "there are dead_max, dead_age"),
        ] {
            let error = change(text).expect_err("it is refused").to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
