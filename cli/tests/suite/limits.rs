//! `celeriac limits`: set, shown, kept to, removed; and tenants that take turns.

use celeriac_testkit::eventually;
use serde_json::json;

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn limits_are_set_shown_and_removed() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(celeriac.ok("limits"), "there are no limits; set one with `celeriac limits set`");
    let set = "limits set task:mail.send --rate 100/s --burst 10 --concurrency 5";
    assert_eq!(celeriac.ok(set), "done");
    assert_eq!(celeriac.json(set), json!({ "subject": "task:mail.send", "changed": false }));
    celeriac.ok("limits set tenant:* --concurrency 20");
    celeriac.ok("limits fair default on");
    assert_eq!(
        celeriac.ok("limits"),
        "SUBJECT               RATE  BURST  AT ONCE  HELD  WAITING  NEXT\n\
         task:mail.send  100 per 1s     10        5     -        -  -\n\
         tenant:*                 -      -       20     -        -  -\n\
         \n\
         tenants take turns in: default"
    );
    let shown = celeriac.json("limits");
    let rate = json!({ "tasks": 100, "per_ms": 1000, "burst": 10 });
    assert_eq!(
        shown["limits"][0],
        json!({ "subject": "task:mail.send", "rate": rate, "concurrency": 5 })
    );
    assert_eq!(shown["fair"], json!(["default"]));
    celeriac.ok("limits remove task:mail.send");
    celeriac.ok("limits remove tenant:*");
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
