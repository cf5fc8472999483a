//! The whole state under a key pattern as one comparable value, so that a test can say "nothing
//! changed" or "this and nothing else changed".

use std::collections::BTreeMap;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, cmd};
use serde_json::{Map, Number, Value, json};

use crate::redis::connect;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads every key that matches `pattern` (as `SCAN` understands it: `{ns:0}:*`), completely.
///
/// Each key is `{"type": …, "expires": true or false, "value": …}`, with a value that depends on
/// the type:
///
/// | type | value |
/// | --- | --- |
/// | string | text |
/// | list | texts in order |
/// | set | texts, sorted |
/// | hash | object: field to text |
/// | zset | object: member to score |
/// | stream | entries in order: `[id, [[field, text], …]]` |
///
/// Bytes that are not UTF-8 appear as `\xff`. Scores without a fraction are integers. A key that
/// vanishes while we read is left out; other changes meanwhile make a state that never was.
///
/// # Panics
/// If Redis does not answer, or a key has a type that is not in the table.
pub async fn dump(url: &str, pattern: &str) -> BTreeMap<String, Value> {
    let mut connection = connect(url).await;
    let mut keys = BTreeMap::new();
    for key in scan(&mut connection, pattern).await {
        if let Some(value) = read_key(&mut connection, &key).await {
            keys.insert(text(&key), value);
        }
    }
    keys
}

async fn scan(connection: &mut MultiplexedConnection, pattern: &str) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut cursor: u64 = 0;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern);
        let (next, page): (u64, Vec<Vec<u8>>) =
            query(connection, scan.arg("COUNT").arg(1000)).await;
        keys.extend(page);
        if next == 0 {
            return keys;
        }
        cursor = next;
    }
}

/// `None` if the key does not exist (any more).
async fn read_key(connection: &mut MultiplexedConnection, key: &[u8]) -> Option<Value> {
    let kind: String = query(connection, cmd("TYPE").arg(key)).await;
    if kind == "none" {
        return None;
    }
    let expiry: i64 = query(connection, cmd("PEXPIRETIME").arg(key)).await;
    let value = read_value(connection, key, &kind).await;
    Some(json!({ "type": kind, "expires": expiry >= 0, "value": value }))
}

async fn read_value(connection: &mut MultiplexedConnection, key: &[u8], kind: &str) -> Value {
    match kind {
        "string" => text(&query::<Vec<u8>>(connection, cmd("GET").arg(key)).await).into(),
        "list" => {
            let mut range = cmd("LRANGE");
            texts(&query::<Vec<_>>(connection, range.arg(key).arg(0).arg(-1)).await).into()
        }
        "set" => {
            let mut members = texts(&query::<Vec<_>>(connection, cmd("SMEMBERS").arg(key)).await);
            members.sort();
            members.into()
        }
        "hash" => {
            let pairs: Pairs = query(connection, cmd("HGETALL").arg(key)).await;
            object(&pairs, |value| text(value).into())
        }
        "zset" => {
            let mut range = cmd("ZRANGE");
            range.arg(key).arg(0).arg(-1).arg("WITHSCORES");
            let pairs: Pairs = query(connection, &range).await;
            object(&pairs, score)
        }
        "stream" => {
            let mut range = cmd("XRANGE");
            let entries: Vec<(String, Pairs)> =
                query(connection, range.arg(key).arg("-").arg("+")).await;
            entries.into_iter().map(|(id, fields)| entry(&id, &fields)).collect()
        }
        other => panic!("key {} has the type {other}, which dump cannot read", text(key)),
    }
}

fn entry(id: &str, fields: &Pairs) -> Value {
    let fields = fields.iter().map(|(field, value)| json!([text(field), text(value)]));
    json!([id, fields.collect::<Vec<_>>()])
}

fn object(pairs: &Pairs, value_of: impl Fn(&[u8]) -> Value) -> Value {
    let entry = |(name, value): &(Vec<u8>, Vec<u8>)| (text(name), value_of(value));
    Value::Object(pairs.iter().map(entry).collect::<Map<_, _>>())
}

/// Redis prints a score as short as it can. JSON has no infinity: that one stays text.
fn score(bytes: &[u8]) -> Value {
    let printed = text(bytes);
    if let Ok(integer) = printed.parse::<i64>() {
        return integer.into();
    }
    let float = printed.parse().ok().and_then(Number::from_f64);
    float.map_or_else(|| printed.into(), Value::Number)
}

fn texts(values: &[Vec<u8>]) -> Vec<String> {
    values.iter().map(|value| text(value)).collect()
}

/// Readable, and different for different bytes as long as no text spells out an escape.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

async fn query<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &Cmd) -> T {
    command
        .query_async(connection)
        .await
        .unwrap_or_else(|error| panic!("Redis cannot be dumped: {error}"))
}
