//! Dumps: every type, every difference, nothing of the neighbours.

use celeriac_testkit::TestRedis;
use celeriac_testkit::dump::dump;
use celeriac_testkit::redis::fresh_namespace;
use redis::aio::MultiplexedConnection;
use redis::cmd;
use serde_json::json;

use crate::run;

/// A connection to the shared server, its URL and a namespace.
async fn place() -> (MultiplexedConnection, &'static str, String) {
    let redis = TestRedis::shared().await;
    (redis.connection().await, redis.url(), fresh_namespace())
}

async fn run_all(connection: &mut MultiplexedConnection, ns: &str, commands: &[&str]) {
    for command in commands {
        let command = command.replace("NS", ns);
        let _: redis::Value = run(connection, &command).await.unwrap();
    }
}

#[tokio::test]
async fn every_type_is_read_completely() {
    let (mut connection, url, ns) = place().await;
    let commands = [
        "SET {NS}:string text EX 1000",
        "RPUSH {NS}:list b a b",
        "SADD {NS}:set z a m",
        "HSET {NS}:hash z 1 a 2",
        "ZADD {NS}:zset 1700000000123 due 0.5 half -inf first",
        "XADD {NS}:stream 1-1 b 1 a 2",
        "XADD {NS}:stream 1-2 b 1",
    ];
    run_all(&mut connection, &ns, &commands).await;

    let state = dump(url, &format!("{{{ns}}}:*")).await;

    let value = |name: &str| &state[&format!("{{{ns}}}:{name}")];
    let key = |kind: &str, value| json!({ "type": kind, "expires": false, "value": value });
    assert_eq!(state.len(), 6);
    assert_eq!(*value("string"), json!({ "type": "string", "expires": true, "value": "text" }));
    assert_eq!(*value("list"), key("list", json!(["b", "a", "b"])));
    assert_eq!(*value("set"), key("set", json!(["a", "m", "z"])));
    assert_eq!(*value("hash"), key("hash", json!({ "a": "2", "z": "1" })));
    assert_eq!(
        *value("zset"),
        key("zset", json!({ "due": 1_700_000_000_123_i64, "half": 0.5, "first": "-inf" }))
    );
    assert_eq!(
        *value("stream"),
        key("stream", json!([["1-1", [["b", "1"], ["a", "2"]]], ["1-2", [["b", "1"]]]]))
    );
}

#[tokio::test]
async fn an_unchanged_state_is_equal_and_every_change_shows() {
    let (mut connection, url, ns) = place().await;
    let pattern = format!("{ns}:*");
    let setup = [
        "SET NS:string text",
        "RPUSH NS:list a b",
        "SADD NS:set a b",
        "HSET NS:hash a 1",
        "ZADD NS:zset 1 a",
        "XADD NS:stream 1-1 a 1",
    ];
    run_all(&mut connection, &ns, &setup).await;
    let mut before = dump(url, &pattern).await;
    assert_eq!(dump(url, &pattern).await, before);

    let changes = [
        "EXPIRE NS:string 1000",
        "PERSIST NS:string",
        "APPEND NS:string x",
        "LMOVE NS:list NS:list LEFT RIGHT",
        "SREM NS:set a",
        "HSET NS:hash a 2",
        "ZADD NS:zset 2 a",
        "XDEL NS:stream 1-1",
        "DEL NS:list",
        "SET NS:new x",
    ];
    for change in changes {
        run_all(&mut connection, &ns, &[change]).await;
        let after = dump(url, &pattern).await;
        assert_ne!(after, before, "{change}");
        before = after;
    }
}

#[tokio::test]
async fn more_keys_than_one_page_and_none_of_the_neighbours() {
    let (mut connection, url, ns) = place().await;
    let fill = "for i = 1, 2500 do redis.call('SET', ARGV[1] .. i, i) end";
    for prefix in [format!("{ns}:"), format!("{ns}-neighbour:")] {
        let mut eval = cmd("EVAL");
        eval.arg(fill).arg(0).arg(prefix);
        eval.exec_async(&mut connection).await.unwrap();
    }
    assert_eq!(dump(url, &format!("{ns}:*")).await.len(), 2500);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_and_compared() {
    let (mut connection, url, ns) = place().await;
    let key = format!("{ns}:bits");
    let mut set = cmd("SET");
    set.arg(&key).arg(b"a\xff\x80\xc3\xa9");
    set.exec_async(&mut connection).await.unwrap();

    let state = dump(url, &key).await;

    assert_eq!(state[&key]["value"], json!("a\\xff\\x80é"));
}
