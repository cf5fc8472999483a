//! history: what is not known is told, and a call is bounded.

use celeriac_broker_schema::figures::Event;
use celeriac_broker_schema::history::{By, HistoryQuery, Step};

use crate::support::*;
use crate::tally::{history, hour, succeeded, sum, tell};

on_both_servers![
    of_an_empty_namespace_nothing_is_known,
    empty_minutes_are_zeros,
    what_is_ready_is_told,
    long_histories_come_in_pages,
];

async fn of_an_empty_namespace_nothing_is_known(world: World) {
    for step in [Step::Minute, Step::TenMinutes, Step::Hour] {
        let query = HistoryQuery { step, ..HistoryQuery::back(u64::MAX) };
        let found = history(&world, &query).await;

        assert_eq!(found.since, None);
        assert_eq!(found.series.len(), 1);
        let points = &found.series[0].points;
        assert_eq!(points.len() as u64 - 1, step.kept_ms() / step.ms());
        assert!(points.iter().all(|point| !point.known && point.figures.is_empty()));
        assert_eq!(history(&world, &query.by(By::Queue)).await.series, []);
    }
    assert_eq!(world.broker.figures_in_all().await.expect("an answer").pairs, []);
}

async fn empty_minutes_are_zeros(world: World) {
    tell(&world, &[("q", "t", succeeded(1, 1, 1))]).await;
    world.let_figures_age(10 * 60_000).await;
    tell(&world, &[("q", "t", succeeded(2, 1, 1))]).await;

    let found = history(&world, &hour().by(By::Queue)).await;

    let known: Vec<u64> = (found.series[0].points.iter().filter(|point| point.known))
        .map(|point| point.figures.counts.of(Event::Succeeded))
        .collect();
    // From the first telling on; a new minute may have begun meanwhile.
    assert!([11, 12].contains(&known.len()), "{known:?}");
    assert_eq!((known[0], known[1..10].iter().sum::<u64>()), (1, 0));
    assert_eq!(known.iter().sum::<u64>(), 3);
    let steps: Vec<u64> =
        found.series[0].points.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    assert!(steps.iter().all(|step| *step == 60_000), "{steps:?}");
}

async fn what_is_ready_is_told(world: World) {
    world
        .enqueue_all(&[entry_in("a", "mail", 1), entry_in("b", "mail", 9), delayed("c", HOUR_MS)])
        .await;
    world.enqueue_job(&job("J", 40)).await;
    tell(&world, &[]).await;

    let newest = |found: celeriac_broker_schema::History, name: Option<&str>| {
        let series = found.series.into_iter().find(|series| series.name.as_deref() == name);
        // A new minute may have begun.
        series.expect("it is told").points.into_iter().rev().find_map(|point| point.ready)
    };
    assert_eq!(newest(history(&world, &hour()).await, None), Some(42));
    let by_queue = history(&world, &hour().by(By::Queue)).await;
    assert_eq!(newest(by_queue.clone(), Some("mail")), Some(2));
    assert_eq!(newest(by_queue, Some("default")), Some(40));
}

async fn long_histories_come_in_pages(world: World) {
    for _ in 0..200 {
        tell(&world, &[("q", "t", succeeded(1, 1, 1))]).await;
        world.let_figures_age(60_000).await;
    }
    tell(&world, &[("q", "t", succeeded(1, 1, 1))]).await;

    let query = HistoryQuery::back(6 * HOUR_MS).by(By::Queue);
    let found = history(&world, &query).await;

    assert_eq!(sum(&found, Some("q")), succeeded(201, 1, 1));
    let hours = HistoryQuery { step: Step::Hour, ..query };
    assert_eq!(sum(&history(&world, &hours).await, Some("q")), succeeded(201, 1, 1));
}
