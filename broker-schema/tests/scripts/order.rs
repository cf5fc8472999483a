//! order: what is wanted of a worker is kept for it as long as its lease, and for nobody else.

use celeriac_broker_schema::script::{Order, OrderSeen, Orders, Renewed, Wanted};
use celeriac_broker_schema::{Requester, Timestamp};

use crate::support::*;

on_both_servers![
    orders_are_kept_and_numbered,
    the_last_word_of_each_kind_is_told,
    nobody_orders_a_lost_lease,
    orders_go_with_their_lease,
];

fn ada() -> Requester {
    Requester::new("ada").because("a test")
}

async fn order(world: &World, name: &str, order: &Order) -> OrderSeen {
    world.broker.order(&lease(name), order, &ada()).await.expect("an answer")
}

async fn orders(world: &World, name: &str) -> Orders {
    let hour = std::time::Duration::from_millis(HOUR_MS);
    match world.broker.renew(&lease(name), hour, &[]).await {
        Ok(Renewed::Until { orders, .. }) => *orders,
        other => panic!("not renewed: {other:?}"),
    }
}

async fn orders_are_kept_and_numbered(world: World) {
    world.open("w1").await;
    let before = world.state().await;

    assert_eq!(order(&world, "w1", &Order::Pause).await, OrderSeen::Kept(1));
    let queues = Order::Queues(vec![queue("a"), queue("b")]);
    assert_eq!(order(&world, "w1", &queues).await, OrderSeen::Kept(2));

    let rest = r#""at":now,"by":"ada","why":"a test"}"#;
    assert_changes!(world, before, { "orders:w1": {
        "number": "2",
        "pause": format!(r#"{{"value":true,{rest}"#),
        "queues": format!(r#"{{"value":["a","b"],{rest}"#),
    }});
}

async fn the_last_word_of_each_kind_is_told(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    assert_eq!(orders(&world, "w1").await, Orders::default());
    for one in [Order::Pause, Order::Concurrency(7), Order::Resume, Order::Drain] {
        order(&world, "w1", &one).await;
    }

    let told = orders(&world, "w1").await;

    assert_eq!((told.number, told.queues), (4, None));
    let value = |wanted: Option<Wanted<bool>>| wanted.map(|wanted| (wanted.value, wanted.who));
    assert_eq!(value(told.pause), Some((false, ada())));
    assert_eq!(value(told.drain), Some((true, ada())));
    let slots = told.concurrency.expect("it was told");
    assert_eq!(slots.value, 7);
    assert!(slots.at > Timestamp(0) && slots.at <= world.now().await);
    assert_eq!(orders(&world, "w2").await, Orders::default());
}

async fn nobody_orders_a_lost_lease(world: World) {
    world.enqueue(&["a"]).await;
    world.lose_worker("w1", 1).await;
    let before = world.state().await;

    for name in ["w1", "nobody"] {
        assert_eq!(order(&world, name, &Order::Drain).await, OrderSeen::Lost);
    }

    assert_changes!(world, before, {});
}

async fn orders_go_with_their_lease(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    order(&world, "w1", &Order::Pause).await;
    world.broker.close(&lease("w1")).await.expect("an answer");
    assert!(!world.state().await.contains_key("orders:w1"));

    world.open_doomed("w2").await;
    world.claim("w2", 1).await;
    order(&world, "w2", &Order::Pause).await;
    world.reclaim_lost(3).await;
    assert!(!world.state().await.contains_key("orders:w2"));
}
