//! Each fault of the proxy, in front of a real Redis.

use std::time::{Duration, Instant};

use celeriac_private_server::Options;
use celeriac_testkit::proxy::Connections;
use celeriac_testkit::redis::{connect, fresh_namespace};
use celeriac_testkit::{Proxy, TestRedis, eventually};
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};
use tokio::time::timeout;

use crate::run;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

/// A proxy before the shared server, and a connection through it.
async fn proxied() -> (Proxy, MultiplexedConnection) {
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let connection = connect(&proxy.url()).await;
    (proxy, connection)
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    run(connection, "PING").await
}

/// What Redis itself, not the proxy, has under a key.
async fn stored(key: &str) -> Option<String> {
    let mut direct = TestRedis::shared().await.connection().await;
    run(&mut direct, &format!("GET {key}")).await.unwrap()
}

#[tokio::test]
async fn without_a_fault_everything_passes_in_both_directions() {
    let (proxy, mut connection) = proxied().await;
    let key = fresh_namespace();
    let large = "x".repeat(3_000_000);
    let set = format!("SET {key} {large}");

    let _: () = run(&mut connection, &set).await.unwrap();

    let got: String = run(&mut connection, &format!("GET {key}")).await.unwrap();
    assert!(got == large);
    let expected = Connections { total: 1, open: 1, replies_lost: 0 };
    assert_eq!(proxy.connections(), expected);
}

#[tokio::test]
async fn the_url_keeps_password_and_database() {
    let redis = TestRedis::start_with(Options {
        password: Some("p@ss/word%".to_owned()),
        ..Options::default()
    })
    .await;
    let proxy = Proxy::start(&format!("{}&db=3", redis.url())).await;

    let mut connection = connect(&proxy.url()).await;

    let client: String = run(&mut connection, "CLIENT INFO").await.unwrap();
    assert!(client.contains(" db=3 "), "{client}");
}

#[tokio::test]
async fn a_closed_connection_is_no_longer_open() {
    let (proxy, connection) = proxied().await;
    drop(connection);
    eventually(LONG, async || match proxy.connections().open {
        0 => Ok(()),
        open => Err(format!("{open} open")),
    })
    .await;
}

#[tokio::test]
async fn cut_closes_what_is_open_and_welcomes_new_connections() {
    let (proxy, mut connection) = proxied().await;

    proxy.cut().await;

    assert_eq!(proxy.connections().open, 0);
    assert!(ping(&mut connection).await.is_err());
    assert_eq!(ping(&mut connect(&proxy.url()).await).await.unwrap(), "PONG");
    assert_eq!(proxy.connections().total, 2);
}

#[tokio::test]
async fn refuse_keeps_new_connections_out_and_old_ones_alive() {
    let (proxy, mut connection) = proxied().await;

    for _ in 0..3 {
        proxy.refuse(true).await;
        let client = Client::open(proxy.url()).unwrap();
        let refused = client.get_multiplexed_async_connection().await.unwrap_err();
        assert!(refused.is_connection_refusal(), "{refused}");
        assert_eq!(ping(&mut connection).await.unwrap(), "PONG");

        proxy.refuse(false).await;
        connect(&proxy.url()).await;
    }
}

#[tokio::test]
async fn stall_holds_everything_and_loses_nothing() {
    let (proxy, mut connection) = proxied().await;
    let key = fresh_namespace();
    let set = format!("SET {key} value");

    proxy.stall(true);
    {
        let mut request = std::pin::pin!(run::<String>(&mut connection, &set));
        assert!(timeout(SHORT, &mut request).await.is_err());
        assert_eq!(stored(&key).await, None);
        assert_eq!(proxy.connections().open, 1);
        proxy.stall(false);
        assert_eq!(request.await.unwrap(), "OK");
    }

    assert_eq!(stored(&key).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn stall_holds_replies_that_are_under_way() {
    let (proxy, mut connection) = proxied().await;
    let list = fresh_namespace();
    let mut direct = TestRedis::shared().await.connection().await;
    let pop = format!("BLPOP {list} 0");

    let mut popped = std::pin::pin!(run::<Vec<String>>(&mut connection, &pop));
    assert!(timeout(SHORT, &mut popped).await.is_err());
    proxy.stall(true);
    let _: u32 = run(&mut direct, &format!("RPUSH {list} x")).await.unwrap();
    assert!(timeout(SHORT, &mut popped).await.is_err());
    proxy.stall(false);

    assert_eq!(popped.await.unwrap(), [list, "x".to_owned()]);
}

#[tokio::test]
async fn delays_add_up_over_both_directions() {
    let (proxy, mut connection) = proxied().await;

    proxy.delay_requests(SHORT);
    let start = Instant::now();
    ping(&mut connection).await.unwrap();
    assert!(start.elapsed() >= SHORT);

    proxy.delay_replies(SHORT);
    let start = Instant::now();
    ping(&mut connection).await.unwrap();
    assert!(start.elapsed() >= 2 * SHORT);
}

#[tokio::test]
async fn half_close_ends_the_replies_but_carries_out_requests() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (proxy, _connection) = proxied().await;
    let key = fresh_namespace();
    let address = proxy.url();
    let address = address.strip_prefix("redis://").unwrap().trim_end_matches("/0");
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut reply = [0; 7];
    client.write_all(b"PING\r\n").await.unwrap();
    client.read_exact(&mut reply).await.unwrap();

    proxy.half_close();

    assert_eq!(client.read(&mut reply).await.unwrap(), 0);
    let set = format!("SET {key} value\r\n");
    client.write_all(set.as_bytes()).await.unwrap();
    eventually(LONG, async || match stored(&key).await {
        Some(_) => Ok(()),
        None => Err("the request is not carried out".to_owned()),
    })
    .await;
    assert_eq!(ping(&mut connect(&proxy.url()).await).await.unwrap(), "PONG");
}

#[tokio::test]
async fn a_request_whose_reply_is_lost_is_carried_out_once() {
    let (proxy, mut connection) = proxied().await;
    for _ in 0..20 {
        let key = fresh_namespace();
        let request = format!("INCR {key}");

        proxy.drop_next_reply();
        let lost: RedisResult<u32> = run(&mut connection, &request).await;

        // As soon as the client knows, it is done: no waiting here.
        assert!(lost.unwrap_err().is_connection_dropped());
        assert_eq!(stored(&key).await.as_deref(), Some("1"));
        connection = connect(&proxy.url()).await;
    }
    assert_eq!(proxy.connections().replies_lost, 20);
}

#[tokio::test]
async fn a_client_learns_of_a_lost_reply_only_when_the_request_is_done() {
    let mut redis = TestRedis::start().await;
    let proxy = Proxy::start(redis.url()).await;
    let mut connection = connect(&proxy.url()).await;

    proxy.drop_next_reply();
    redis.freeze();
    let mut request = std::pin::pin!(run::<u32>(&mut connection, "INCR key"));
    assert!(timeout(SHORT, &mut request).await.is_err());
    redis.thaw();

    assert!(request.await.unwrap_err().is_connection_dropped());
    let value: u32 = run(&mut redis.connection().await, "GET key").await.unwrap();
    assert_eq!(value, 1);
}

#[tokio::test]
async fn only_the_reply_to_the_request_with_the_needle_is_lost() {
    let (proxy, mut connection) = proxied().await;
    let mut other = connect(&proxy.url()).await;
    let key = fresh_namespace();
    // Larger than what is read at once: the needle is in the last bytes.
    let request = format!("APPEND {key} {}needle", "x".repeat(1_000_000));

    proxy.drop_next_reply_to("needle");
    assert_eq!(ping(&mut connection).await.unwrap(), "PONG");
    assert_eq!(proxy.connections().replies_lost, 0);
    let lost: RedisResult<u32> = run(&mut connection, &request).await;

    assert!(lost.unwrap_err().is_connection_dropped());
    assert_eq!(stored(&key).await.unwrap().len(), 1_000_006);
    assert_eq!(ping(&mut other).await.unwrap(), "PONG");
    assert_eq!(proxy.connections().replies_lost, 1);
}

#[tokio::test]
async fn a_redis_that_is_down_closes_connections_and_is_found_again() {
    let mut redis = TestRedis::start().await;
    let proxy = Proxy::start(redis.url()).await;
    let mut connection = connect(&proxy.url()).await;

    redis.kill();
    assert!(ping(&mut connection).await.is_err());
    let client = Client::open(proxy.url()).unwrap();
    assert!(client.get_multiplexed_async_connection().await.is_err());
    redis.restart().await;

    assert_eq!(ping(&mut connect(&proxy.url()).await).await.unwrap(), "PONG");
}
