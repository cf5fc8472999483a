//! `celeriac up`: a place to develop in, whose data is still there the next time.

use std::path::Path;

use celeriac_testkit::Process;
use rustix::process::Signal;

use crate::common::{Celeriac, SOON, bare, run};
use crate::processes::Mark;

async fn up(dir: &Path) -> (Process, Mark, Celeriac) {
    let mut command = bare();
    command.current_dir(dir).args(["up", "--port", "0"]);
    // What the last `up` left in the environment does not count.
    command.env("CELERIAC_REDIS_URL", "redis://127.0.0.1:1/");
    let mark = Mark::on(&mut command);
    let up = Process::spawn(&mut command);
    up.wait_for_line(|line| line == "all is ready, until Ctrl-C", SOON).await;
    let export =
        up.wait_for_line(|line| line.starts_with("export CELERIAC_REDIS_URL='"), SOON).await;
    let url = export.split('\'').nth(1).unwrap().to_owned();
    (up, mark, Celeriac { url, namespace: "celeriac".to_owned() })
}

#[tokio::test]
async fn data_outlives_it_and_processes_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (first, mark, celeriac) = up(dir.path()).await;
    let id = celeriac.ok("enqueue echo --arg a=1");
    assert_eq!(celeriac.ok(&format!("result {id} --wait")), r#"{"a":1}"#);
    let later = celeriac.ok("enqueue echo --delay 1h");
    first.signal(Signal::INT);
    assert_eq!(first.wait(SOON).await.code(), Some(0), "{first}");
    assert_eq!(mark.processes(), []);
    assert!(dir.path().join(".celeriac").is_dir());

    let (second, mark, celeriac) = up(dir.path()).await;
    assert_eq!(celeriac.ok(&format!("result {id}")), r#"{"a":1}"#);
    assert_eq!(celeriac.json(&format!("status {later}"))["state"], "delayed");
    let third = run(bare().current_dir(dir.path()).arg("up"));
    assert_eq!(third.code, Some(9), "{third:?}");
    assert!(third.stderr.contains("is in use by another server (pid "), "{third:?}");
    assert!(third.stderr.contains("\nhint: is another `celeriac up` running here?"), "{third:?}");
    second.terminate();
    assert_eq!(second.wait(SOON).await.code(), Some(0), "{second}");
    assert_eq!(mark.processes(), []);
}
