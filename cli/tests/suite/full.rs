//! What people can do when Redis is full: all that docs/operate.md says, and the rest is refused.

use celeriac_testkit::TestRedis;

use crate::common::Celeriac;

#[tokio::test]
async fn a_full_server_can_be_operated() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let ids = [(); 2].map(|()| celeriac.ok("enqueue echo --queue mail"));
    celeriac.ok("schedule add s echo --every 1h");
    redis.configure("maxmemory", "1").await;

    for refused in ["enqueue echo", "schedule add t echo --every 1h", "schedule run s"] {
        let ran = celeriac.run(refused);
        assert_eq!(ran.code, Some(4), "{refused}: {ran:?}");
        assert!(ran.stderr.contains("out of memory"), "{refused}: {ran:?}");
    }
    for done in [
        "queues pause mail",
        "queues close mail",
        "queues limit mail 10",
        "queues resume mail",
        "limits set task:echo --rate 1/s",
        "limits remove task:echo",
        "settings set dead_max=10 dead_age=1d",
        "schedule skip s",
        "schedule pause s",
        "schedule resume s",
        "schedule remove s",
        &format!("cancel {}", ids[0]),
        "queues move mail other",
        "queues purge other --yes",
    ] {
        celeriac.ok(done);
    }
    for id in ids {
        assert_eq!(celeriac.json(&format!("status {id}"))["state"], "cancelled");
    }
}
