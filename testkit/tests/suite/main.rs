//! Tests of the fixtures, with real servers and processes, in one binary.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod dump;
mod eventually;
mod process;
mod proxy;
mod redis;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, RedisResult};

/// Runs one command, written as a line of words.
async fn run<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &str,
) -> RedisResult<T> {
    let mut words = Cmd::new();
    for word in command.split(' ') {
        words.arg(word);
    }
    words.query_async(connection).await
}
