//! schedules: who is there, in the order of their names, page by page; nothing changes.

use celeriac_broker_schema::script::{Fired, ScheduleChange, Schedules};

use crate::support::*;

on_both_servers![none_is_there, one_is_told_of, pages];

async fn schedules(world: &World, name: Option<&str>, offset: u64, limit: u32) -> Schedules {
    let before = world.state().await;
    let name = name.map(|name| name.parse().expect("a name"));
    let found = world.broker.schedules(name.as_ref(), offset, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    found
}

async fn none_is_there(world: World) {
    assert_eq!(schedules(&world, None, 0, 10).await.page, []);
    assert_eq!(schedules(&world, Some("s"), 0, 10).await.page, []);
}

async fn one_is_told_of(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;

    let found = schedules(&world, Some("s"), 0, 0).await;

    let schedule = &found.page[0];
    assert_eq!((found.total, schedule.name.as_str(), &*schedule.spec), (1, "s", "spec"));
    assert_eq!((schedule.revision, schedule.due), (1, Some(at(7))));
    assert_eq!((&schedule.last, &schedule.paused, schedule.runs), (&None, &None, 0));

    assert_eq!(world.fire("s", Some(7), 1, &["a"]).await, Fired::Enqueued(1));
    let pause = ScheduleChange::Pause { by: "ada".to_owned(), why: String::new() };
    world.schedule("s", pause).await;
    let schedule = schedules(&world, Some("s"), 0, 0).await.page.remove(0);
    let last = schedule.last.expect("it ran");
    assert_eq!((last.task, last.due, last.running), (id("a"), Some(at(7)), true));
    assert_eq!((schedule.due, schedule.runs, schedule.missed), (None, 1, 0));
    assert_eq!(schedule.paused.expect("it is paused").by, "ada");

    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;
    let schedule = schedules(&world, Some("s"), 0, 0).await.page.remove(0);
    assert!(!schedule.last.expect("it ran").running);
}

async fn pages(world: World) {
    for name in ["e", "d", "c", "b", "a"] {
        world.schedule(name, put_schedule("spec", Some(7))).await;
    }

    for (offset, limit, expected) in
        [(0, 2, &["a", "b"][..]), (2, 2, &["c", "d"]), (4, 2, &["e"]), (5, 2, &[]), (0, 0, &[])]
    {
        let found = schedules(&world, None, offset, limit).await;
        let names: Vec<&str> = found.page.iter().map(|found| found.name.as_str()).collect();
        assert_eq!((found.total, names), (5, expected.to_vec()), "{offset} {limit}");
    }
}
