//! tally: what is told adds up, exactly once in each level, and within bounds.

use celeriac_broker_schema::figures::{Counts, Event, Figures};
use celeriac_broker_schema::history::{By, HistoryQuery, OTHER, Step};
use celeriac_broker_schema::script::{Tallied, Tally};
use celeriac_broker_schema::{History, RecentTask, State, Timestamp};

use crate::support::*;

on_both_servers![
    what_is_told_adds_up,
    the_namespace_is_counted_whoever_did_it,
    what_was_before_the_first_telling_is_not_counted,
    minutes_that_are_over_are_rolled_up_once,
    a_minute_has_no_more_than_so_many_fields,
    whoever_tells_late_is_noted,
    recent_tasks_are_capped,
    names_that_were_not_heard_of_for_long_are_forgotten,
    everything_expires_or_is_bounded,
];

/// So many succeeded that waited and ran so long, in ms.
pub(crate) fn succeeded(n: u64, wait_ms: u64, run_ms: u64) -> Figures {
    let mut figures = Figures::default();
    figures.counts.add(Event::Succeeded, n);
    for _ in 0..n {
        figures.wait.add_us(wait_ms * 1000);
        figures.run.add_us(run_ms * 1000);
    }
    figures
}

pub(crate) async fn tell(world: &World, pairs: &[(&str, &str, Figures)]) -> Tallied {
    let own = |(queue, task, figures): &(&str, &str, Figures)| {
        ((*queue).to_owned(), (*task).to_owned(), figures.clone())
    };
    let tally = Tally { over_ms: 1000, pairs: pairs.iter().map(own).collect(), recent: Vec::new() };
    world.broker.tally(&tally).await.expect("an answer")
}

pub(crate) async fn history(world: &World, query: &HistoryQuery) -> History {
    let before = world.state().await;
    let history = world.broker.history(query).await.expect("an answer");
    assert_changes!(world, before, {});
    history
}

/// The sum of all points of a series.
pub(crate) fn sum(history: &History, name: Option<&str>) -> Figures {
    let mut sum = Figures::default();
    for series in history.series.iter().filter(|series| series.name.as_deref() == name) {
        series.points.iter().for_each(|point| sum.merge(&point.figures));
    }
    sum
}

pub(crate) fn hour() -> HistoryQuery {
    HistoryQuery::back(HOUR_MS)
}

fn counts(pairs: &[(Event, u64)]) -> Counts {
    let mut counts = Counts::default();
    pairs.iter().for_each(|(event, n)| counts.add(*event, *n));
    counts
}

async fn what_is_told_adds_up(world: World) {
    tell(&world, &[("mail", "send", succeeded(2, 10, 100)), ("mail", "read", succeeded(1, 0, 5))])
        .await;
    tell(&world, &[("mail", "send", succeeded(3, 20, 100)), ("other", "send", succeeded(4, 1, 1))])
        .await;

    let by_queue = history(&world, &hour().by(By::Queue)).await;
    let by_task = history(&world, &hour().by(By::Task)).await;
    let only = HistoryQuery { queue: Some("mail".to_owned()), ..hour().by(By::Task) };
    let of_mail = history(&world, &only).await;

    let of = |all: &[Figures]| {
        let mut sum = Figures::default();
        all.iter().for_each(|figures| sum.merge(figures));
        sum
    };
    let sent = of(&[succeeded(2, 10, 100), succeeded(3, 20, 100)]);
    assert_eq!(sum(&by_queue, Some("mail")), of(&[sent.clone(), succeeded(1, 0, 5)]));
    assert_eq!(sum(&by_queue, Some("other")), succeeded(4, 1, 1));
    assert_eq!(sum(&by_task, Some("send")), of(&[sent.clone(), succeeded(4, 1, 1)]));
    assert_eq!(sum(&of_mail, Some("send")), sent);
    let names = |history: &History| {
        history.series.iter().map(|series| series.name.clone()).collect::<Vec<_>>()
    };
    let owned =
        |names: &[&str]| names.iter().map(|name| Some((*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(names(&by_queue), owned(&["mail", "other"]), "the busiest one comes first");
    assert_eq!(names(&of_mail), owned(&["send", "read"]));
}

async fn the_namespace_is_counted_whoever_did_it(world: World) {
    tell(&world, &[]).await;
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    world.complete("w1", &[done("a"), failed("b")]).await;
    world.broker.cancel(&[id("c")], &ada()).await.expect("an answer");
    world.complete("w1", &[done("c")]).await;
    // Of all that it tells only what it has counted itself.
    let told = tell(&world, &[("default", "t", succeeded(1, 1, 1))]).await;
    tell(&world, &[]).await;

    let all = sum(&history(&world, &hour()).await, None);

    assert_eq!(told.leases, 1);
    let expected = [(Event::Enqueued, 3), (Event::Succeeded, 2), (Event::Failed, 1)];
    assert_eq!(all.counts, counts(&expected));
    assert_eq!(all.run, succeeded(1, 1, 1).run);
}

async fn what_was_before_the_first_telling_is_not_counted(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    let mut enqueued = Figures::default();
    enqueued.counts.add(Event::Enqueued, 2);
    tell(&world, &[("default", "t", enqueued.clone())]).await;

    let history = history(&world, &hour()).await;

    // What the first one tells is new, as far as it knows.
    assert_eq!(sum(&history, None).counts, enqueued.counts);
    let known: Vec<bool> = history.series[0].points.iter().map(|point| point.known).collect();
    let since = history.since.expect("it was told");
    assert_eq!(
        known.iter().filter(|known| **known).count() as u64,
        history.now.since(since) / 60_000 + 1
    );
    assert!(known.is_sorted(), "first unknown, then known");
}

async fn minutes_that_are_over_are_rolled_up_once(world: World) {
    tell(&world, &[("q", "t", succeeded(5, 1, 10))]).await;
    world.let_figures_age(120_000).await;
    // The first one rolls it up.
    for _ in 0..3 {
        tell(&world, &[("q", "t", succeeded(1, 1, 10))]).await;
    }

    for step in [Step::Minute, Step::TenMinutes, Step::Hour] {
        let query = HistoryQuery { step, ..hour().by(By::Queue) };
        let found = history(&world, &query).await;
        assert_eq!(sum(&found, Some("q")), succeeded(8, 1, 10), "{step:?}");
        let busy = found.series[0].points.iter().filter(|point| !point.figures.is_empty());
        assert!(busy.count() <= if step == Step::Minute { 3 } else { 2 });
    }
    let all = world.broker.figures_in_all().await.expect("an answer");
    assert_eq!(all.pairs, [("q".to_owned(), "t".to_owned(), succeeded(8, 1, 10))]);

    // The oldest minutes leave; what was made of them stays.
    for (full, _) in world.dump().await {
        if full.contains(":figures:minute:") {
            let _: i64 = world.redis(redis::cmd("DEL").arg(full)).await;
        }
    }
    let hours = HistoryQuery { step: Step::Hour, ..hour().by(By::Queue) };
    assert_eq!(sum(&history(&world, &hours).await, Some("q")), succeeded(5, 1, 10));
    let all = world.broker.figures_in_all().await.expect("an answer");
    assert_eq!(all.pairs[0].2, succeeded(5, 1, 10));
}

async fn a_minute_has_no_more_than_so_many_fields(world: World) {
    let names: Vec<(String, String)> =
        (0..300).map(|n| (format!("q{n}"), format!("t{}", n % 40))).collect();
    for part in names.chunks(100) {
        let pairs: Vec<_> =
            part.iter().map(|(q, t)| (q.as_str(), t.as_str(), succeeded(1, 1, 1))).collect();
        tell(&world, &pairs).await;
    }

    let by_queue = history(&world, &hour().by(By::Queue)).await;
    let by_task = history(&world, &hour().by(By::Task)).await;

    let names: Vec<_> = by_queue.series.iter().map(|series| series.name.as_deref()).collect();
    // The test may run in two minutes.
    assert!(names.contains(&Some(OTHER)) && names.len() <= 201, "{} names", names.len());
    for history in [&by_queue, &by_task] {
        let all: u64 = history
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|point| point.figures.counts.of(Event::Succeeded))
            .sum();
        assert_eq!(all, 300);
    }
}

async fn whoever_tells_late_is_noted(world: World) {
    tell(&world, &[]).await;
    let late = |over_ms| Tally { over_ms, ..Tally::default() };
    for over_ms in [40_000, 90_000, 20_000] {
        world.broker.tally(&late(over_ms)).await.expect("an answer");
    }

    let history = history(&world, &hour()).await;

    let most = history.series[0].points.iter().map(|point| point.late_ms).max();
    assert_eq!(most, Some(90_000));
    // Before that everything was told in time.
    assert_eq!(history.series[0].points[0].late_ms, 0);
}

fn recent(n: u64) -> RecentTask {
    RecentTask {
        id: id(&format!("t{n}")),
        state: State::Succeeded,
        task: "t".to_owned(),
        queue: "default".to_owned(),
        worker: "w".to_owned(),
        attempt: 1,
        started: Timestamp(n),
        ended: Timestamp(n + 1),
        wait_ms: None,
        run_us: 1_000,
        others: 0,
    }
}

async fn recent_tasks_are_capped(world: World) {
    for bite in 0..12 {
        let recent = (0..500).map(|n| recent(bite * 500 + n)).collect();
        world.broker.tally(&Tally { recent, ..Tally::default() }).await.expect("an answer");
    }

    let kept: u64 = world.redis(redis::cmd("XLEN").arg(world.key("recent:succeeded"))).await;
    assert!((5_000..5_200).contains(&kept), "{kept}");
}

async fn everything_expires_or_is_bounded(world: World) {
    tell(&world, &[("q", "t", succeeded(1, 1, 1))]).await;
    world.let_figures_age(60_000).await;
    tell(&world, &[("q", "t", succeeded(1, 1, 1))]).await;

    for (full, dumped) in world.dump().await {
        let name = full.strip_prefix(&world.key("")).expect("of this shard");
        let expires = dumped["expires"] == true;
        let stays = ["figures", "figures:total", "figures:names"].contains(&name);
        assert_eq!(expires, !stays, "{name}");
    }
}

async fn names_that_were_not_heard_of_for_long_are_forgotten(world: World) {
    tell(&world, &[("q", "old", succeeded(1, 1, 1)), ("q", "new", succeeded(1, 1, 1))]).await;
    world.let_figures_age(60_000).await;
    tell(&world, &[]).await;
    let long_ago = world.now().await.0 - 31 * 24 * HOUR_MS;
    let mut old = redis::cmd("ZADD");
    old.arg(world.key("figures:names")).arg(long_ago).arg("q old");
    let _: i64 = world.redis(&old).await;

    world.let_figures_age(60_000).await;
    tell(&world, &[("q", "new", succeeded(1, 1, 1))]).await;

    let all = world.broker.figures_in_all().await.expect("an answer");
    let names: Vec<&str> = all.pairs.iter().map(|(_, task, _)| task.as_str()).collect();
    assert_eq!((names, &all.pairs[0].2), (vec!["new"], &succeeded(2, 1, 1)));
}
