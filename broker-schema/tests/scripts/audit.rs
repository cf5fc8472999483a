//! audit: pages of what people did, the newest first.

use celeriac_broker_schema::Deed;

use crate::support::*;

on_both_servers![pages_go_on_where_the_last_one_ended, what_cannot_be_read_is_told_so];

fn deed(action: &str) -> Deed {
    Deed { action: action.to_owned(), ..Deed::default() }
}

async fn pages_go_on_where_the_last_one_ended(world: World) {
    for action in ["a", "b", "c"] {
        world.broker.note_audit(&deed(action)).await.expect("noted");
    }
    let before = world.state().await;
    let page = async |after: Option<&str>, limit| {
        let page = world.broker.audit(after, limit).await.expect("a page");
        let deeds: Vec<Deed> = page.lines.iter().map(|line| line.deed.clone()).collect();
        assert!(page.lines.iter().all(|line| line.at <= page.now && line.at.0 > 0));
        (deeds, page.next)
    };
    assert_eq!(page(None, 10).await, (vec![deed("c"), deed("b"), deed("a")], None));
    let (first, next) = page(None, 2).await;
    assert_eq!(first, [deed("c"), deed("b")]);
    assert_eq!(page(next.as_deref(), 2).await, (vec![deed("a")], None));
    for odd in ["", "x", "1", "-", "1-1; x", "+1-1", "99999999999999999999-0"] {
        assert_eq!(page(Some(odd), 1).await.0, [deed("c")], "{odd}");
    }
    assert_changes!(world, before, {});
}

async fn what_cannot_be_read_is_told_so(world: World) {
    let mut add = redis::cmd("XADD");
    let add = add.arg(world.key("audit")).arg("*").arg("entry").arg("no JSON");
    let _: String = world.redis(add).await;
    let page = world.broker.audit(None, 10).await.expect("a page");
    assert_eq!(page.lines[0].deed.action, "?");
}
