//! `celeriac dead` and `settings`: what failed for good is found, grouped, shown, revived, deleted.

use serde_json::{Value, json};

use crate::common::{Celeriac, SOON};

const NEVER_ENQUEUED: &str = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

/// Runs tasks that fail, with these messages, to their end; returns their ids.
async fn given_dead(celeriac: &Celeriac, messages: &[&str]) -> Vec<String> {
    let worker = celeriac.worker("").await;
    let mut ids = Vec::new();
    for message in messages {
        let enqueue =
            format!("enqueue fail --retries 1 --backoff 0s --arg message={message} --wait");
        let ran = celeriac.run(&format!("{enqueue} --json"));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
        ids.push(outcome["id"].as_str().unwrap().to_owned());
    }
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
    ids
}

fn ids(found: &Value) -> Vec<&str> {
    found["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_dead_are_listed_grouped_and_shown() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(celeriac.ok("dead"), "nothing is dead");
    let dead = given_dead(&celeriac, &["row-17", "row-4711", "other"]).await;

    let all = celeriac.json("dead");
    assert_eq!(ids(&all), [&*dead[2], &*dead[1], &*dead[0]], "the newest first");
    assert_eq!((&all["total"], &all["more"]), (&json!(3), &json!(false)));
    let filtered = |options: &str| celeriac.json(&format!("dead {options}"));
    assert_eq!(ids(&filtered("--error ROW --limit 1")), [&*dead[1]]);
    assert_eq!(filtered("--error ROW --limit 1")["more"], json!(true));
    assert_eq!(ids(&filtered("--task fail --queue default --since 1h")).len(), 3);
    assert_eq!(ids(&filtered("--until 2100-01-01T00:00:00Z")).len(), 3);
    let never = ["--until 1h", "--older-than 1h", "--since 2100-01-01T00:00:00Z"];
    for none in ["--task echo", "--queue q", "--fingerprint 0"].into_iter().chain(never) {
        assert_eq!(ids(&filtered(none)).len(), 0, "{none}");
    }
    let text = celeriac.ok("dead --task echo");
    assert_eq!(text, "none of the dead letters (3 in all) is meant");

    let groups = celeriac.json("dead --group");
    let counts: Vec<u64> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [2, 1]);
    let print = groups["groups"][0]["fingerprint"].as_str().unwrap();
    assert_eq!(ids(&filtered(&format!("--fingerprint {print}"))), [&*dead[1], &*dead[0]]);

    let shown = celeriac.ok(&format!("dead show {}", dead[0]));
    for part in
        ["name         fail", "{\"message\":\"row-17\"}", "attempt 1 failed", "attempt 2 failed"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = celeriac.json(&format!("dead show {}", dead[0]));
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(celeriac.run(&format!("dead show {NEVER_ENQUEUED}")).code, Some(5));
}

#[tokio::test]
async fn the_dead_are_revived_and_deleted() {
    let celeriac = Celeriac::shared().await;
    let dead = given_dead(&celeriac, &["a", "b", "c"]).await;

    let meant = celeriac.ok("dead revive --all --error b --dry-run");
    assert_eq!(meant, format!("{} meant", dead[1]));
    assert_eq!(celeriac.json("dead")["total"], json!(3));
    let revive = "dead revive --all --error b --by ada --why paper";
    assert_eq!(celeriac.ok(revive), format!("{} revived", dead[1]));
    let status = celeriac.json(&format!("status {}", dead[1]));
    assert_eq!((&status["state"], &status["failures"]), (&json!("ready"), &json!(0)));
    let outcomes: Vec<&str> = status["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["failed", "failed", "revived"]);
    let revived = &status["attempts"][2];
    assert_eq!((&revived["by"], &revived["why"]), (&json!("ada"), &json!("paper")));
    let text = celeriac.ok(&format!("status {}", dead[1]));
    let line = text.lines().last().unwrap();
    assert!(line.starts_with("  revived by ada 2") && line.ends_with(" ago): paper"), "{text}");

    let ran = celeriac.run(&format!("dead revive {} {}", dead[1], dead[0]));
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(ran.stdout, format!("{} unknown\n{} revived\n", dead[1], dead[0]));

    assert_eq!(
        celeriac.json("dead delete --all --dry-run"),
        json!([{ "id": dead[2], "result": "meant" }])
    );
    let ran = celeriac.run("dead delete --all --error c --json");
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let refused: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(refused["error"], json!("not_confirmed"));
    assert_eq!(refused["would"], json!({ "dead_letters": 1 }));
    assert!(refused["message"].as_str().unwrap().contains("1 dead letter away; with --yes"));
    assert_eq!(celeriac.json("dead")["total"], json!(1));
    let ran = celeriac.run("dead delete --all --yes --by ada --why test");
    assert_eq!(ran.stdout, format!("{} deleted\n", dead[2]));
    assert_eq!(ran.stderr, "1 dead letter deleted by ada: test\n");
    assert_eq!(celeriac.json("dead")["total"], json!(0));
    // Who names none, or names some and filters, may have meant something else.
    assert_eq!(celeriac.run("dead revive").code, Some(2));
    assert_eq!(celeriac.run(&format!("dead delete {} --task x", dead[2])).code, Some(7));
}

#[tokio::test]
async fn settings_are_kept_in_redis() {
    let celeriac = Celeriac::shared().await;
    let default = json!({ "dead_max": 10_000, "dead_age_ms": 2_592_000_000_u64 });
    assert_eq!(celeriac.json("settings"), default);
    assert!(celeriac.ok("settings set dead_max=1").contains("dead_max"));
    assert_eq!(celeriac.json("settings")["dead_max"], json!(1));
    given_dead(&celeriac, &["a", "b"]).await;
    assert_eq!(celeriac.json("dead")["total"], json!(1));
    assert_eq!(celeriac.json("settings set dead_max="), default);
    let week = celeriac.json("settings set dead_age=7d");
    assert_eq!(week["dead_age_ms"], json!(604_800_000));
    let table = celeriac.ok("settings");
    assert!(table.contains("dead_age") && table.contains(" 7d "), "{table}");
    assert_eq!(celeriac.json("settings set dead_age_ms="), default);
    assert!(celeriac.ok("settings").contains(" 30d "), "30 days");
    for wrong in ["dead_max", "dead_max=0", "dead_max=x", "colour=1"] {
        assert_eq!(celeriac.run(&format!("settings set {wrong}")).code, Some(7), "{wrong}");
    }
}
