//! `celeriac schedule`: made, shown, changed, run and removed; the next times of an expression.

use celeriac_testkit::eventually;
use serde_json::{Value, json};

use crate::common::{Celeriac, SOON, bare, run};

#[tokio::test]
async fn a_schedule_is_made_shown_changed_and_removed() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(
        celeriac.ok("schedule list"),
        "there is no schedule; make one with `celeriac schedule add`"
    );
    let made = celeriac.json("schedule add hourly echo --cron @hourly --arg n=7 --queue slow");
    assert!(made["due"].as_u64().unwrap() % 3_600_000 == 0, "{made}");

    let shown = celeriac.json("schedule show hourly");
    assert_eq!((&shown["state"], &shown["cron"]), (&json!("active"), &json!("@hourly")));
    assert_eq!((&shown["task"], &shown["queue"]), (&json!("echo"), &json!("slow")));
    assert_eq!((&shown["due"], &shown["revision"]), (&made["due"], &json!(1)));

    celeriac.ok("schedule edit hourly --zone Europe/Berlin --priority 9 --missed 5");
    let edited = celeriac.json("schedule show hourly");
    assert_eq!(
        edited["record"],
        json!({
            "v": 1, "task": "echo", "args": { "n": 7 }, "queue": "slow", "priority": 9,
        })
    );
    assert_eq!((&edited["zone"], &edited["revision"]), (&json!("Europe/Berlin"), &json!(2)));
    assert_eq!(edited["missed_runs"], json!({ "all": { "most": 5 } }));

    let next = celeriac.json("schedule next hourly -n 2");
    let hour = |of: usize| next[of]["at"].as_u64().unwrap() / 3_600_000;
    assert_eq!((next[0]["at"].clone(), hour(1)), (edited["due"].clone(), hour(0) + 1));
    let skipped = celeriac.json("schedule skip hourly");
    assert_eq!(skipped["due"], next[1]["at"]);
    let paused = celeriac.ok("schedule pause hourly --by ada --why holidays");
    assert_eq!(paused, "hourly is paused");
    let text = celeriac.ok("schedule show hourly");
    assert!(text.contains("by ada: holidays"), "{text}");
    assert!(celeriac.json("schedule resume hourly")["due"].is_u64());
    let listed = celeriac.json("schedule list");
    assert_eq!(listed["schedules"][0]["name"], "hourly");
    assert_eq!(celeriac.ok("schedule remove hourly"), "hourly is removed");
    assert_eq!(celeriac.run("schedule show hourly").code, Some(5));
}

/// What is not named stays, of whatever kind it is.
#[tokio::test]
async fn an_edit_changes_what_it_names_and_nothing_else() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok(
        "schedule add s report --cron @daily --zone Europe/Berlin --arg n=18446744073709551615 \
         --queue slow --needs gpu --retries 7 --backoff 1s,1m --timeout 30s --soft-timeout 25s \
         --keep-failed 2h --tenant acme --cost 3 --label Report --tag b --tag a --header Trace=x \
         --expires 1h --missed skip --overlap skip",
    );
    let put = celeriac.json("schedule show s");
    let mut record = json!({
        "v": 1, "task": "report", "tenant": "acme", "args": { "n": 18_446_744_073_709_551_615_u64 },
        "queue": "slow@gpu", "retries": 7, "backoff": { "base_ms": 1_000, "cap_ms": 60_000, "delays_ms": [1_000, 60_000], "exact": true },
        "timeout_ms": 30_000, "soft_timeout_ms": 25_000, "keep_ms": 0, "keep_failed_ms": 7_200_000,
        "label": "Report", "tags": ["a", "b"], "headers": { "trace": "x" }, "cost": 3,
    });
    assert_eq!(put["record"], record);
    assert_eq!(put["expires_after_ms"], 3_600_000);

    celeriac.ok("schedule add often noop --every 1h");
    let zone = celeriac.run("schedule edit often --zone Europe/Berlin");
    assert!(zone.code == Some(7) && zone.stderr.contains("no time zone"), "{zone:?}");
    let local = celeriac.ok("schedule next often -n 1 --zone Asia/Tokyo");
    assert!(local.contains("+09:00"), "{local}");
    celeriac.ok("schedule remove often");

    let mut edit = |options: &str, change: &dyn Fn(&mut Value)| {
        celeriac.ok(&format!("schedule edit s {options}"));
        change(&mut record);
        let mut shown = celeriac.json("schedule show s");
        assert_eq!(shown["record"], record, "{options}");
        for same in ["revision", "record", "changed", "queue"] {
            shown[same] = put[same].clone();
        }
        assert_eq!(shown, put, "{options}");
    };
    edit("--priority 9", &|record| record["priority"] = json!(9));
    edit("--args [1]", &|record| record["args"] = json!([1]));
    // The queue is another one, and what the task needs is the same.
    edit("--queue fast", &|record| record["queue"] = json!("fast@gpu"));
    edit("--needs cpu", &|record| record["queue"] = json!("fast@cpu"));
    edit("--queue mail@arm", &|record| record["queue"] = json!("mail@arm"));
    // These take the place of all that were there.
    edit("--tag c", &|record| record["tags"] = json!(["c"]));
    edit("--header tenant=acme", &|record| record["headers"] = json!({ "tenant": "acme" }));
    edit("--keep 1h", &|record| {
        record["keep_ms"] = json!(3_600_000);
        record.as_object_mut().unwrap().remove("keep_failed_ms");
    });
}

#[tokio::test]
async fn a_worker_runs_what_is_scheduled() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--concurrency 1").await;
    celeriac.ok("schedule add often noop --every 1s --overlap skip");
    let id = celeriac.ok("schedule run often");
    celeriac.ok(&format!("result {id} --wait"));

    let shown = eventually(SOON, async || match celeriac.json("schedule show often") {
        shown if shown["runs"].as_u64() >= Some(3) => Ok(shown),
        shown => Err(shown.to_string()),
    })
    .await;

    assert_eq!(shown["missed"], 0);
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok("schedule add s echo --every 1h");
    for (args, code, part) in [
        ("schedule add s echo --every 1h", 7, "there is a schedule s already"),
        ("schedule add t echo", 7, "--cron EXPRESSION or --every TIME"),
        ("schedule add t echo --every 10ms", 7, "use at least 1 s"),
        ("schedule add t echo --every 1h --zone UTC", 2, "--zone"),
        ("schedule add t echo --cron @noon", 7, "use one of @yearly"),
        ("schedule edit s --missed never", 2, "write skip, once, or a number"),
        ("schedule pause t", 5, "there is no schedule t"),
        ("schedule show a:b", 7, "schedule name"),
        ("schedule edit s --needs a@b", 7, "label"),
        ("schedule edit s --header a:b=c", 7, "header name"),
    ] {
        let ran = celeriac.run(args);
        assert_eq!(ran.code, Some(code), "{args}: {ran:?}");
        assert!(ran.stderr.contains(part), "{args}: {ran:?}");
    }
    celeriac.ok("schedule add s echo --every 2h --replace");
}

#[test]
fn the_next_times_of_an_expression_need_no_redis() {
    let ask = |what: &str, zone: &str| {
        let args = ["schedule", "next", what, "--zone", zone, "-n", "3"];
        run(bare().args(args).env("CELERIAC_REDIS_URL", "redis://127.0.0.1:1/"))
    };
    let ran = ask("0 9 * * MON", "Europe/Berlin");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert!(line.starts_with("Mon ") && line.contains(" 09:00:00 +0"), "{line}");
    }
    let ran = ask("0 25 * * MON", "UTC");
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains(r#"the hour of a cron expression "25" is not valid"#), "{ran:?}");
}
