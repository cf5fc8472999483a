//! `celeriac limits`: set, shown, kept to, removed; and tenants that take turns.

use celeriac_testkit::eventually;
use serde_json::json;

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn limits_are_set_shown_and_removed() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(celeriac.ok("limits"), "there are no limits; set one with `celeriac limits set`");
    let set = "limits set task:mail.send --rate 100/s --burst 10 --concurrency 5";
    let said = "limit of task:mail.send: 100 per 1s, 10 at once after a pause; 5 held at most";
    assert_eq!(celeriac.ok(set), format!("{said}; there was none before"));
    assert_eq!(celeriac.ok(set), format!("{said}, as it was before"));
    let rate = json!({ "tasks": 100, "per_ms": 1000, "burst": 10 });
    let limit = json!({ "rate": rate, "concurrency": 5 });
    let again = json!({
        "subject": "task:mail.send", "changed": false, "before": limit, "now": limit, "by": "eve",
    });
    assert_eq!(celeriac.json(&format!("{set} --by eve")), again);
    celeriac.ok("limits set tenant:* --concurrency 10");
    assert_eq!(
        celeriac.ok("limits set tenant:* --concurrency 20 --by ada --why launch"),
        "limit of tenant:*: 20 held at most; before: 10 held at most"
    );
    let fair = "limits fair default on --by ada";
    assert_eq!(celeriac.ok(fair), "the tenants of queue default take turns");
    assert_eq!(celeriac.ok(fair), "the tenants of queue default take turns, as it was before");
    let text = celeriac.ok("limits");
    let (table, notes) = text.split_once("\n\n").unwrap();
    assert_eq!(
        table,
        "SUBJECT               RATE  BURST  AT ONCE  HELD  WAITING  NEXT\n\
         task:mail.send  100 per 1s     10        5     -        -  -\n\
         tenant:*                 -      -       20     -        -  -"
    );
    let notes: Vec<&str> = notes.split("\n\n").collect();
    assert!(notes[0].starts_with("task:mail.send is limited by "), "{text}");
    assert!(notes[1].starts_with("tenant:* is limited by ada since 2"), "{text}");
    assert!(notes[1].ends_with(" ago): launch"), "{text}");
    assert!(notes[2].starts_with("tenants take turns in queue default by ada since 2"), "{text}");
    let shown = celeriac.json("limits");
    let first = &shown["limits"][0];
    assert_eq!((&first["subject"], &first["rate"]), (&json!("task:mail.send"), &rate));
    let second = &shown["limits"][1]["set"];
    assert_eq!((&second["by"], &second["why"]), (&json!("ada"), &json!("launch")));
    let fair = &shown["fair"][0];
    assert_eq!((&fair["queue"], &fair["set"]["by"]), (&json!("default"), &json!("ada")));
    assert_eq!(
        celeriac.ok("limits remove task:mail.send"),
        "limit of task:mail.send: removed; before: 100 per 1s, 10 at once after a pause; 5 held at most"
    );
    let ran = celeriac.run("limits remove task:mail.send");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""));
    assert!(ran.stderr.contains("there is no limit on task:mail.send"), "{ran:?}");
    let removed = celeriac.json("limits remove tenant:*");
    assert_eq!((&removed["before"]["concurrency"], &removed["now"]), (&json!(20), &json!(null)));
    celeriac.ok("limits fair default off");
    assert_eq!(celeriac.json("limits")["limits"], json!([]));
    assert_eq!(celeriac.json("limits")["fair"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_asked() {
    let celeriac = Celeriac::at("redis://127.0.0.1:1/");
    for (args, part) in [
        ("limits set mail --rate 1/s", "subject of a limit"),
        ("limits set task:mail", "give a rate"),
        ("limits set task:mail --burst 5", "--burst needs --rate"),
        ("limits set task:mail --rate 0/s", "rate of 0"),
        ("limits set task:mail --rate fast", "is no rate"),
        ("limits set task:a{b} --rate 1/s", "task name"),
        ("limits remove task:mail --rate 1/s", "belong to `limits set`"),
        ("limits fair default", "on` or"),
        ("limits --rate 1/s", "belong to `limits set`"),
        ("limits set", "SUBJECT"),
        ("limits --why x", "belong to what is set"),
    ] {
        let ran = celeriac.run(args);
        assert!(ran.stderr.contains(part) && ran.code != Some(0), "{args}: {ran:?}");
    }
}

#[tokio::test]
async fn a_worker_keeps_to_a_limit_and_the_wait_is_shown() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok("limits set tenant:acme --rate 1/1h --burst 2");
    celeriac.ok("limits set task:echo --concurrency 1");
    for n in 0..4 {
        celeriac.ok(&format!("enqueue echo --arg n={n} --tenant acme"));
    }
    celeriac.ok("enqueue echo --tenant other --cost 2");
    let _worker = celeriac.worker("--concurrency 2").await;
    let acme = eventually(SOON, async || {
        let shown = celeriac.json("limits");
        let busy = shown["busy"].as_array().unwrap();
        let acme = busy.iter().find(|one| one["subject"] == "tenant:acme").cloned();
        let left = celeriac.json("queues")["tasks"].clone();
        match acme {
            Some(acme) if left == 2 && acme["waiting"] == 2 => Ok(acme),
            _ => Err(format!("{shown}, {left} tasks are left")),
        }
    })
    .await;
    assert_eq!(acme["held"], json!(0));
    assert!(acme["next"].is_u64() || acme["next"].is_string(), "{acme}");
    assert_eq!(celeriac.json("queues")["queues"][0]["ready"], json!(2));
}
