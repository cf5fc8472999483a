//! The next times in real zones, over the days on which their clocks change.

use super::*;

fn at(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect("a time");
    Timestamp(u64::try_from(time.as_millisecond()).expect("after 1970"))
}

/// The next times after `after`, as the clocks of the zone show them.
fn times(expression: &str, zone: &str, after: &str, number: usize) -> Vec<String> {
    let timing = Timing::cron(expression, zone).expect("an expression");
    let shown = |time: Timestamp| {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(time.0).expect("a time"));
        let time = time.expect("a time").in_tz(zone).expect("a zone");
        time.strftime("%m-%d %H:%M:%S%:z").to_string()
    };
    timing.upcoming(at(after)).take(number).map(shown).collect()
}

#[test]
fn a_time_that_does_not_exist_comes_at_the_end_of_the_gap() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026.
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
        ["03-28 02:30:00+01:00", "03-29 03:00:00+02:00", "03-30 02:30:00+02:00"]
    );
    // New York goes from 02:00 to 03:00 on 8 March 2026.
    assert_eq!(
        times("15 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2),
        ["03-08 03:00:00-04:00", "03-09 02:15:00-04:00"]
    );
    // Lord Howe goes from 02:00 to 02:30 on 4 October 2026.
    assert_eq!(
        times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ["10-04 02:30:00+11:00", "10-05 02:15:00+11:00"]
    );
    // Two times of the same gap are one moment.
    assert_eq!(
        times("10,50 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2),
        ["03-29 03:00:00+02:00", "03-30 02:10:00+02:00"]
    );
    // Midnight itself may be missing.
    assert_eq!(
        times("@daily", "Africa/Cairo", "2026-04-23T12:00:00Z", 2),
        ["04-24 01:00:00+03:00", "04-25 00:00:00+03:00"]
    );
}

#[test]
fn a_time_that_exists_twice_comes_once() {
    // Berlin goes from 03:00 back to 02:00 on 25 October 2026.
    for expression in ["30 2 * * *", "30 2,14 * * *", "0 30 2-2 * * *"] {
        assert_eq!(
            times(expression, "Europe/Berlin", "2026-10-24T13:00:00Z", 1),
            ["10-25 02:30:00+02:00"],
            "{expression}"
        );
        let rest = times(expression, "Europe/Berlin", "2026-10-25T00:30:00Z", 1);
        assert!(!rest[0].starts_with("10-25 02"), "{expression}: {rest:?}");
    }
    assert_eq!(
        times("45 1 * * *", "America/New_York", "2026-11-01T05:45:00Z", 1),
        ["11-02 01:45:00-05:00"]
    );
    // Lord Howe repeats half an hour: 01:30 to 02:00 on 5 April 2026.
    assert_eq!(
        times("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
        ["04-05 01:45:00+11:00", "04-06 01:45:00+10:30"]
    );
}

#[test]
fn what_means_the_passing_of_time_goes_on_evenly() {
    // Both hours of a night that has one twice, none of the one that is missing.
    assert_eq!(
        times("@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", 3),
        ["10-25 02:00:00+02:00", "10-25 02:00:00+01:00", "10-25 03:00:00+01:00"]
    );
    assert_eq!(
        times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", 3),
        ["03-29 01:30:00+01:00", "03-29 03:00:00+02:00", "03-29 03:30:00+02:00"]
    );
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
        let quarters = Timing::cron("*/15 * * * *", zone).expect("an expression");
        let year: Vec<Timestamp> =
            quarters.upcoming(at("2026-01-01T00:00:00Z")).take(365 * 96).collect();
        assert!(year.windows(2).all(|pair| pair[1].since(pair[0]) == 900_000), "{zone}");
    }
}

#[test]
fn every_day_of_ten_years_has_its_one_run() {
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"] {
        let timing = Timing::cron("30 2 * * *", zone).expect("an expression");
        let mut days = std::collections::BTreeSet::new();
        for time in timing.upcoming(at("2026-01-01T12:00:00Z")).take(3_653) {
            let ms = i64::try_from(time.0).expect("a time");
            let time = jiff::Timestamp::from_millisecond(ms).expect("a time");
            days.insert(time.in_tz(zone).expect("a zone").date());
        }
        let (first, last) = (days.first().expect("a day"), days.last().expect("a day"));
        let span = first.until(*last).expect("a span").get_days();
        assert_eq!((days.len(), span), (3_653, 3_652), "{zone}");
    }
}

#[test]
fn calendars_have_their_ways() {
    let utc = |expression: &str, after: &str| times(expression, "UTC", after, 1).remove(0);
    assert_eq!(utc("0 0 29 2 *", "2026-01-01T00:00:00Z"), "02-29 00:00:00+00:00");
    let leap = Timing::cron("0 0 29 2 *", "UTC").expect("an expression");
    assert_eq!(leap.next(at("2026-01-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next(at("2096-03-01T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")));
    assert_eq!(utc("0 12 L * *", "2026-02-01T00:00:00Z"), "02-28 12:00:00+00:00");
    assert_eq!(utc("0 9 * * MON-FRI", "2026-11-20T10:00:00Z"), "11-23 09:00:00+00:00");
    // Either the 13th or a Friday, as cron has always had it.
    assert_eq!(utc("0 0 13 * 5", "2026-11-14T00:00:00Z"), "11-20 00:00:00+00:00");
    assert_eq!(utc("*/20 * * * * *", "2026-11-14T00:00:05.5Z"), "11-14 00:00:20+00:00");
    assert_eq!(utc("@weekly", "2026-11-20T00:00:00Z"), "11-22 00:00:00+00:00");
    assert_eq!(utc("@yearly", "2026-11-20T00:00:00Z"), "01-01 00:00:00+00:00");
    // Exactly at a time, the one after it is the next; a moment before it, it is itself.
    assert_eq!(utc("0 9 * * *", "2026-11-20T09:00:00Z"), "11-21 09:00:00+00:00");
    assert_eq!(utc("0 9 * * *", "2026-11-20T08:59:59.999Z"), "11-20 09:00:00+00:00");
}

#[test]
fn intervals_are_aligned_to_their_start() {
    let timing = Timing::every(15_000, Timestamp(4_000)).expect("an interval");
    let next = |after: u64| timing.next(Timestamp(after)).expect("a time").0;
    assert_eq!(
        [next(0), next(4_000), next(18_999), next(19_000)],
        [19_000, 19_000, 19_000, 34_000]
    );
    assert!(Timing::every(999, Timestamp(0)).is_err());
    assert_eq!(Timing::every(u64::MAX, Timestamp(9)).expect("one").next(Timestamp(9)), None);
}

#[test]
fn an_error_points_to_the_field() {
    for (expression, part) in [
        ("61 * * * *", r#"the minute of a cron expression "61""#),
        ("* 24 * * *", r#"the hour of a cron expression "24""#),
        ("* * 0 * *", r#"the day of month of a cron expression "0""#),
        ("* * * 13 *", r#"the month of a cron expression "13""#),
        ("* * * * 8", r#"the day of week of a cron expression "8""#),
        ("99 * * * * *", r#"the second of a cron expression "99""#),
        ("*/0 * * * *", "the minute"),
        ("a * * * *", "the minute"),
        ("5-1 * * * *", "the minute"),
        ("* * * *", "it has 4 fields"),
        ("0 0 1 1 * * 2030", "it has 7 fields"),
        ("", "it has 0 fields"),
        ("@reboot", "use one of @yearly"),
        ("0 0 30 2 *", "there is no such day"),
    ] {
        let error = Timing::cron(expression, "UTC").expect_err(expression).to_string();
        assert!(error.contains(part), "{expression}: {error}");
    }
    let error = Timing::cron("* * * * *", "Berlin").expect_err("no zone").to_string();
    assert!(error.contains(r#"time zone "Berlin""#), "{error}");
}
