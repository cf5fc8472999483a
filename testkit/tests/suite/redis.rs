//! Test servers as a Redis client sees them.

use std::time::Duration;

use celeriac_private_server::{Listen, Options};
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::{connect, fresh_namespace};
use redis::RedisResult;

use crate::run;

async fn ping(url: &str) -> String {
    run(&mut connect(url).await, "PING").await.unwrap()
}

#[tokio::test]
async fn every_form_of_url_is_one_that_the_client_understands() {
    let password = Some("p@ss word:/?#&+%\"\\é".to_owned());
    for listen in [Listen::UnixSocket, Listen::FreePort] {
        for password in [None, password.clone()] {
            let options = Options { listen, password, ..Options::default() };
            let redis = TestRedis::start_with(options).await;
            assert_eq!(ping(redis.url()).await, "PONG", "{}", redis.url());
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let mut redis = TestRedis::start().await;
    let mut connection = redis.connection().await;
    for number in 0..100 {
        let set = format!("SET {number} value");
        let _: () = run(&mut connection, &set).await.unwrap();
    }

    redis.kill();
    assert!(run::<()>(&mut connection, "PING").await.is_err());
    redis.restart().await;

    let size: u32 = run(&mut redis.connection().await, "DBSIZE").await.unwrap();
    assert_eq!(size, 100);
}

#[tokio::test]
async fn a_frozen_server_answers_when_it_is_thawed() {
    let mut redis = TestRedis::start().await;
    let mut connection = redis.connection().await;

    redis.freeze();
    let mut answer = std::pin::pin!(run::<String>(&mut connection, "PING"));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut answer).await;
    assert!(early.is_err(), "{early:?}");
    redis.thaw();

    assert_eq!(answer.await.unwrap(), "PONG");
}

#[tokio::test]
async fn cluster_mode_refuses_keys_of_two_slots_in_one_command() {
    let redis = TestRedis::shared_cluster().await;
    let mut connection = redis.connection().await;

    let two: RedisResult<()> = run(&mut connection, "MSET {a}1 x {b}1 x").await;
    assert_eq!(two.unwrap_err().code(), Some("CROSSSLOT"));
    let one: RedisResult<()> = run(&mut connection, "MSET {a}1 x {a}2 x").await;
    one.unwrap();
}

#[tokio::test]
async fn the_shared_server_is_one_for_all() {
    let here = TestRedis::shared().await.url();
    let elsewhere = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async { TestRedis::shared().await.url() })
    });
    assert_eq!(here, elsewhere.join().unwrap());
    assert_eq!(ping(here).await, "PONG");
}

#[test]
fn namespaces_differ() {
    assert_ne!(fresh_namespace(), fresh_namespace());
}

#[tokio::test]
async fn a_full_server_refuses_what_needs_memory_until_there_is_room() {
    let redis = TestRedis::start().await;
    let mut connection = redis.connection().await;
    redis.fill(true).await;
    let refused: RedisResult<()> = run(&mut connection, "SET a 1").await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));
    redis.fill(false).await;
    let _: () = run(&mut connection, "SET a 1").await.unwrap();
    assert_eq!(redis.command(&["GET", "a"]).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn the_connections_of_all_others_are_cut() {
    let redis = TestRedis::start().await;
    let mut connection = redis.connection().await;
    let _: () = run(&mut connection, "PING").await.map(|_: String| ()).unwrap();
    assert!(redis.kill_clients().await >= 1);
    assert!(run::<String>(&mut connection, "PING").await.is_err());
    assert_eq!(ping(redis.url()).await, "PONG");
}
