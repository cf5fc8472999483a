//! Numbers, durations and times for people. An unknown value is a dash, never a zero.

use std::time::{SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::Timestamp;

/// What stands for a value that is not known.
pub(crate) const UNKNOWN: &str = "—";

/// Between groups of digits, and between a number and its unit: narrow, and no line break.
const THIN: char = '\u{202f}';

/// `1 234 567`
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// `999`, `12.4 k`, `3.1 M`: for places with no room.
pub(crate) fn short_number(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.1}{THIN}k", n as f64 / 1e3),
        _ => format!("{:.1}{THIN}M", n as f64 / 1e6),
    }
}

/// `0.04 s`, `12 s`, `2 m 41 s`, `3 h 05 m`, `2 d 04 h`
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        _ if ms < 100 => format!("0.{:02}{THIN}s", ms / 10),
        0..10 => format!("{}.{}{THIN}s", s, ms % 1000 / 100),
        10..60 => format!("{s}{THIN}s"),
        60..3_600 => format!("{}{THIN}m {:02}{THIN}s", s / 60, s % 60),
        3_600..86_400 => format!("{}{THIN}h {:02}{THIN}m", s / 3_600, s / 60 % 60),
        _ => format!("{}{THIN}d {:02}{THIN}h", s / 86_400, s / 3_600 % 24),
    }
}

/// A duration that somebody has chosen: `1 d`, `10 m`, `90 s`, `1.5 s`
pub(crate) fn setting(ms: u64) -> String {
    let units = [(86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'm'), (1_000, 's')];
    let whole = units.into_iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| duration(ms), |(unit, name)| format!("{}{THIN}{name}", ms / unit))
}

/// Per second, with three digits: `0.04 /s`, `14.1 /s`, `412 /s`, `12.3 k/s`
pub(crate) fn rate(per_second: f64) -> String {
    let (value, unit) = match per_second {
        r if r < 1e3 => (r, ""),
        r if r < 1e6 => (r / 1e3, "k"),
        r => (r / 1e6, "M"),
    };
    let decimals = match value {
        v if v == 0.0 || v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{THIN}{unit}/s")
}

/// `12.4 MiB`
pub(crate) fn bytes(n: u64) -> String {
    let kib = n as f64 / 1024.0;
    match kib {
        _ if n < 1024 => format!("{n}{THIN}B"),
        k if k < 1024.0 => format!("{k:.0}{THIN}KiB"),
        k if k < 1024.0 * 1024.0 => format!("{:.1}{THIN}MiB", k / 1024.0),
        k => format!("{:.2}{THIN}GiB", k / 1024.0 / 1024.0),
    }
}

/// `62.4 %`, rounded down: 100 % only when all is done.
pub(crate) fn percent(done: u64, total: u64) -> String {
    let Some(mille) = (u128::from(done) * 1000).checked_div(total.into()) else {
        return UNKNOWN.to_owned();
    };
    match mille {
        1000.. => format!("100{THIN}%"),
        _ => format!("{}.{}{THIN}%", mille / 10, mille % 10),
    }
}

/// `0193a7c2…9b1a00`: enough to tell ids apart on one page.
pub(crate) fn short_id(id: &str) -> String {
    let (root, chunk) = id.split_once(':').unwrap_or((id, ""));
    let colon = if chunk.is_empty() { "" } else { ":" };
    match (root.get(..8), root.get(root.len().saturating_sub(6)..)) {
        (Some(head), Some(tail)) if root.len() > 16 => format!("{head}…{tail}{colon}{chunk}"),
        _ => id.to_owned(),
    }
}

/// A point in time for people and for machines.
pub(crate) struct Instant {
    /// `2026-11-21 11:02:14.102 UTC`
    pub(crate) text: String,
    /// `2026-11-21T11:02:14.102Z`
    pub(crate) machine: String,
    /// `11:02:14`
    pub(crate) clock: String,
}

/// UTC, because the monitor does not know the zone of its viewers.
pub(crate) fn instant(at: Timestamp) -> Instant {
    let (year, month, day) = civil(at.0 / 86_400_000);
    let ms = at.0 % 86_400_000;
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let clock = format!("{h:02}:{m:02}:{s:02}");
    let date = format!("{year:04}-{month:02}-{day:02}");
    let fraction = ms % 1_000;
    Instant {
        text: format!("{date} {clock}.{fraction:03} UTC"),
        machine: format!("{date}T{clock}.{fraction:03}Z"),
        clock,
    }
}

/// The same for the clock of this machine.
pub(crate) fn system_instant(at: SystemTime) -> Instant {
    let ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    instant(Timestamp(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// Year, month and day of a day after 1970-01-01. Counts from a first of March in a year that
/// 400 divides, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, month + 3);
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

/// `1 task`, `1 200 tasks`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 1_234_567].map(|n| plain(&number(n)));
        assert_eq!(shown, ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn short_numbers_fit_into_a_badge() {
        let shown = [999, 12_400, 3_140_000].map(|n| plain(&short_number(n)));
        assert_eq!(shown, ["999", "12.4 k", "3.1 M"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [0, 40, 100, 1_440, 12_999, 161_000, 11_100_000, 187_200_000]
            .map(|ms| plain(&duration(ms)));
        assert_eq!(
            shown,
            ["0.00 s", "0.04 s", "0.1 s", "1.4 s", "12 s", "2 m 41 s", "3 h 05 m", "2 d 04 h"]
        );
    }

    #[test]
    fn settings_are_shown_as_they_were_chosen() {
        let shown = [86_400_000, 600_000, 90_000, 1_500, 0].map(|ms| plain(&setting(ms)));
        assert_eq!(shown, ["1 d", "10 m", "90 s", "1.5 s", "0.00 s"]);
    }

    #[test]
    fn rates_have_three_digits() {
        let shown = [0.0, 0.041, 14.13, 412.4, 12_345.0, 3.4e6].map(|r| plain(&rate(r)));
        assert_eq!(shown, ["0 /s", "0.04 /s", "14.1 /s", "412 /s", "12.3 k/s", "3.40 M/s"]);
    }

    #[test]
    fn all_is_done_only_when_all_is_done() {
        assert_eq!(plain(&percent(999_999, 1_000_000)), "99.9 %");
        assert_eq!(plain(&percent(7, 7)), "100 %");
        assert_eq!(percent(0, 0), UNKNOWN);
        assert_eq!(plain(&percent(u64::MAX - 1, u64::MAX)), "99.9 %");
    }

    #[test]
    fn times_are_calendar_times() {
        let text = |ms| instant(Timestamp(ms)).text;
        assert_eq!(text(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(text(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(text(1_732_190_534_102), "2024-11-21 12:02:14.102 UTC");
        assert_eq!(text(4_107_542_399_999), "2100-02-28 23:59:59.999 UTC");
        assert_eq!(text(4_107_542_400_000), "2100-03-01 00:00:00.000 UTC");
    }

    #[test]
    fn short_ids_keep_the_chunk() {
        let id = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";
        assert_eq!(short_id(id), "0193a7c2…9b1a00");
        assert_eq!(short_id(&format!("{id}:17")), "0193a7c2…9b1a00:17");
        assert_eq!(short_id("ärger"), "ärger");
        let odd = format!("x{}", "ä".repeat(20));
        assert_eq!(short_id(&odd), odd);
    }
}
