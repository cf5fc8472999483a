//! `celeriac enqueue --lines`: streamed, bounded, and exact about what was enqueued.

use std::io::Write;
use std::process::{Child, Stdio};

use celeriac_testkit::eventually;
use serde_json::{Value, json};

use crate::common::{Celeriac, Ran, SOON};

/// A command that is being fed. Killed if the test fails.
struct Fed(Child);

impl Fed {
    fn start(celeriac: &Celeriac, args: &str) -> Self {
        let mut command = celeriac.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn say(&mut self, text: &str) {
        // A command that has refused a line does not read on.
        let _ = self.0.stdin.as_mut().unwrap().write_all(text.as_bytes());
    }

    /// Closes its input and waits for its end.
    fn end(&mut self) -> Ran {
        drop(self.0.stdin.take());
        self.wait()
    }

    /// Waits for its end although its input stays open.
    fn wait(&mut self) -> Ran {
        let read = |pipe: &mut dyn std::io::Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        let stdout = read(self.0.stdout.as_mut().unwrap());
        let stderr = read(self.0.stderr.as_mut().unwrap());
        let input = self.0.stdin.take();
        let code = self.0.wait().unwrap().code();
        drop(input);
        Ran { code, stdout, stderr }
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn feed(celeriac: &Celeriac, args: &str, text: &str) -> Ran {
    let mut fed = Fed::start(celeriac, args);
    fed.say(text);
    fed.end()
}

/// The ids that it printed, one a line.
fn ids(ran: &Ran) -> Vec<String> {
    let ids: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
    assert!(ids.iter().all(|id| id.len() == 32), "{ran:?}");
    ids
}

fn tasks(celeriac: &Celeriac) -> Value {
    celeriac.json("queues")["tasks"].clone()
}

#[tokio::test]
async fn a_slow_source_delays_nothing() {
    let celeriac = Celeriac::shared().await;
    let mut fed = Fed::start(&celeriac, "enqueue --lines -");
    for number in 1..=2 {
        fed.say("{\"task\":\"echo\"}\n");
        // The input stays open.
        eventually(SOON, async || match tasks(&celeriac) {
            found if found == json!(number) => Ok(()),
            found => Err(format!("{found} tasks")),
        })
        .await;
    }
    let ran = fed.end();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "2 tasks enqueued\n"));
    assert_eq!(ids(&ran).len(), 2);
}

#[tokio::test]
async fn a_large_file_goes_in_batches_and_the_last_line_needs_no_break() {
    let celeriac = Celeriac::shared().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.jsonl");
    let lines: Vec<String> =
        (0..25_000).map(|n| format!("{{\"task\":\"echo\",\"args\":{n}}}")).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let ran = celeriac.run(&format!("enqueue --lines {}", path.display()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "25,000 tasks enqueued\n"));
    assert_eq!(tasks(&celeriac), 25_000);
    // They come in the order of the lines.
    let ids = ids(&ran);
    assert_eq!(ids.len(), 25_000);
    for n in [0, 999, 1_000, 24_999] {
        assert_eq!(celeriac.json(&format!("status {}", ids[n]))["args"], json!(n));
    }
}

#[tokio::test]
async fn the_first_bad_line_is_the_end() {
    let celeriac = Celeriac::shared().await;
    let text = "{\"task\":\"echo\"}\n\n{\"task\":\"echo\"}\n{\"task\":\"echo\",\"dealy\":\"1s\"}\n{\"task\":\"echo\"}\n";
    let mut fed = Fed::start(&celeriac, "enqueue --lines -");
    fed.say(text);
    // It does not wait for the end of its input.
    let ran = fed.wait();
    assert_eq!((ran.code, ids(&ran).len()), (Some(7), 2));
    assert!(
        ran.stderr
            .starts_with("error: line 4 of standard input is not valid: unknown field `dealy`"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("; 2 tasks enqueued before that\nhint: mend the line"), "{ran:?}");
    assert_eq!(tasks(&celeriac), 2);
}

#[tokio::test]
async fn bad_lines_can_be_skipped() {
    let celeriac = Celeriac::shared().await;
    let long = format!("{{\"task\":\"echo\",\"args\":\"{}\"}}\n", "x".repeat(1 << 20));
    let longer = format!("{}\n", "x".repeat(3 << 20));
    let text = format!(
        "[]\n{{\"task\":\"echo\"}}\nno\n{long}{{}}\n{{\"task\":\"a b\"}}\n{longer}{{\"task\":\"echo\"}}"
    );
    let ran = feed(&celeriac, "enqueue --lines - --skip-bad --json", &text);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let told: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|task| task["id"].is_string() && task["duplicate"] == false));
    assert!(ran.stderr.contains("\n2 tasks enqueued, lines not valid: 6\n"), "{ran:?}");
    for (line, reason) in [
        (1, "no JSON object"),
        (3, "no JSON object"),
        (4, "over the limit"),
        (5, "missing field `task`"),
        (6, "task name"),
        (7, "too long"),
    ] {
        let told = ran.stderr.lines().any(|text| {
            text.starts_with(&format!("line {line} skipped: ")) && text.contains(reason)
        });
        assert!(told, "{line} {reason}: {ran:?}");
    }
    assert_eq!(tasks(&celeriac), 2);
}

#[tokio::test]
async fn lines_override_what_the_command_line_says() {
    let celeriac = Celeriac::shared().await;
    let text =
        "{\"args\":1}\n{\"task\":\"noop\",\"queue\":\"fast\",\"key\":\"k\"}\n{\"key\":\"k\"}\n";
    let ran = feed(&celeriac, "enqueue echo --queue slow --lines -", text);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), "2 tasks enqueued, 1 were there already (same key)\n")
    );
    let ids = ids(&ran);
    assert_eq!((ids.len(), &ids[2]), (3, &ids[1]));
    let queues = celeriac.json("queues");
    let ready: Vec<_> = queues["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|queue| (&queue["name"], &queue["ready"]))
        .collect();
    assert_eq!(ready, [(&json!("fast"), &json!(1)), (&json!("slow"), &json!(1))]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let ran = Celeriac::shared().await.run("enqueue --lines /no/such/file");
    assert_eq!(ran.code, Some(9));
    assert!(ran.stderr.starts_with("error: /no/such/file cannot be read: No such file"), "{ran:?}");
}

#[tokio::test]
async fn waiting_prints_one_result_a_line_in_their_order() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--concurrency 4").await;
    let text = "{\"task\":\"sleep\",\"args\":{\"ms\":100}}\n{\"args\":1}\n\
                {\"task\":\"fail\",\"args\":{\"message\":\"boom\"},\"retries\":0}\n\
                {\"args\":2,\"expires\":\"2000-01-01T00:00:00Z\"}\n{\"args\":{\"a\":[2]}}\n";
    let ran = feed(&celeriac, "enqueue echo --lines - --wait", text);
    assert_eq!(ran.stdout, "null\n1\nfailed\nexpired\n{\"a\":[2]}\n", "{ran:?}");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(" failed: boom\n"), "{ran:?}");
    assert!(ran.stderr.ends_with("error: 2 tasks of 5 did not succeed\n"), "{ran:?}");

    let ran = feed(&celeriac, "enqueue echo --lines - --wait --json", text);
    let outcomes: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<&Value> = outcomes.iter().map(|outcome| &outcome["state"]).collect();
    assert_eq!(states, ["succeeded", "succeeded", "failed", "expired", "succeeded"]);
    assert_eq!((&outcomes[4]["result"], ran.code), (&json!({"a": [2]}), Some(1)));
}

#[tokio::test]
async fn the_worst_end_decides_the_exit_code() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let text = "{\"args\":1}\n{\"queue\":\"nobody\"}\n{\"task\":\"fail\",\"retries\":0}\n";
    let args = "enqueue echo --lines - --wait --wait-timeout 2s";
    let ran = feed(&celeriac, args, text);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), "1\nunknown\nfailed\n"), "{ran:?}");
    // A line that was skipped is worse.
    let ran = feed(&celeriac, &format!("{args} --skip-bad"), "no\n{\"args\":1}\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), "1\n"), "{ran:?}");
}
