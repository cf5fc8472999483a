//! A cluster: nodes die and slots move, and workers and producers follow.

use std::collections::BTreeSet;

use celeriac_producer::NewTask;
use celeriac_testkit::{TestCluster, eventually};

use crate::common::{Celeriac, SOON};
use crate::load::{Load, dismiss, namespace};
use crate::pi_job::{CHUNKS, PiJob};
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_node_of_the_cluster_dies_under_load_and_its_replica_takes_over() {
    let mut cluster = TestCluster::start().await;
    let site = Site::new(Celeriac::at(&cluster.url()));
    let workers = [site.worker(1).await, site.worker(1).await];
    let slot = cluster.slot_of(site.broker.keys().prefix()).await;
    let job = PiJob::enqueue(&site).await;
    let load = Load::start(&site.producer);
    site.until(|snapshot| snapshot.stats.get("succeeded").is_some_and(|n| *n > 200)).await;

    let master = cluster.owner(slot).await;
    cluster.kill(master);
    cluster.until_failed_over(slot, master).await;
    let before = site.until(|_| true).await.stats["succeeded"];
    site.until(|snapshot| snapshot.stats["succeeded"] > before + 200).await;
    let enqueued = load.stop().await;
    job.assert_exact(&site).await;

    let fates = enqueued.fates(&site).await;
    eprintln!("{} acknowledged, {fates:?}", enqueued.acknowledged.len());
    let stats = site.until(|snapshot| snapshot.tasks == 0).await.stats;
    enqueued.assert_counted(&fates, stats["succeeded"] - CHUNKS - 1);
    dismiss(&site, workers).await;
}

/// Operators carry a slot from one node to another while everything runs. A part of its keys is here and
/// a part there for a while: nothing may happen to it then, and nothing may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn g1_g8_while_its_slot_is_carried_a_namespace_stands_still_and_then_goes_on() {
    let cluster = TestCluster::start().await;
    let site = Site::new(Celeriac::at(&cluster.url()));
    let workers = [site.worker_with(1, "--visibility-timeout 30s").await];
    let prefix = site.broker.keys().prefix().to_owned();
    let slot = cluster.slot_of(&prefix).await;
    let load = Load::start(&site.producer);
    site.until(|snapshot| snapshot.stats.get("succeeded").is_some_and(|n| *n > 100)).await;

    let migration = cluster.begin_migration(slot).await;
    // From now on no script runs, so the keys on both sides stay as they are.
    let before = keys_of(&cluster, &prefix).await;
    assert!(site.broker.snapshot(1, 1).await.is_err());
    assert!(cluster.carry(migration, 2).await > 0);
    assert_eq!(keys_of(&cluster, &prefix).await, before);
    cluster.end_migration(migration).await;
    assert_eq!(cluster.owner(slot).await, migration.to);

    let before = site.until(|_| true).await.stats["succeeded"];
    site.until(|snapshot| snapshot.stats["succeeded"] > before + 100).await;
    let enqueued = load.stop().await;
    let fates = enqueued.fates(&site).await;
    // Nothing fell back, so nothing is lost.
    assert_eq!((fates.lost.len(), fates.succeeded), (0, enqueued.acknowledged.len()), "{fates:?}");
    let stats = site.until(|snapshot| snapshot.tasks == 0).await.stats;
    enqueued.assert_counted(&fates, stats["succeeded"]);
    dismiss(&site, workers).await;
}

/// All keys with this prefix, wherever they are. Those that expire by themselves are left out.
async fn keys_of(cluster: &TestCluster, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for node in cluster.living() {
        let keys: Vec<String> = node.call(&["KEYS", &format!("{prefix}*")]).await;
        found.extend(keys.into_iter().filter(|key| !key.contains(":result:")));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_spread_over_the_nodes_and_every_command_finds_its_own() {
    let cluster = TestCluster::start().await;
    let mut owners = BTreeSet::new();
    // Names fall on nodes by chance.
    while owners.len() < 3 {
        let site = Site::new(Celeriac::at(&cluster.url()));
        let slot = cluster.slot_of(site.broker.keys().prefix()).await;
        if !owners.insert(cluster.owner(slot).await) {
            continue;
        }
        let handle = site.producer.enqueue_task(NewTask::new("echo", &1).unwrap()).await.unwrap();
        let celeriac = Celeriac { url: cluster.url(), namespace: namespace(&site) };
        let status = celeriac.json(&format!("status {}", handle.id()));
        assert_eq!(status["state"], "ready", "{status}");
        assert!(celeriac.ok("workers --json").contains("workers"));
    }
}

/// A URL of one node: it works for namespaces of that node, and says what to do for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_taken_for_a_server_is_named() {
    let cluster = TestCluster::start().await;
    let site = Site::new(Celeriac::at(&cluster.url()));
    let slot = cluster.slot_of(site.broker.keys().prefix()).await;
    let owner = cluster.owner(slot).await;
    let other = eventually(SOON, async || {
        let port = cluster.owner((slot + 8_192) % 16_384).await;
        if port == owner { Err("the same".to_owned()) } else { Ok(port) }
    })
    .await;
    let url = format!("redis://127.0.0.1:{other}/");
    let ran = Celeriac { url, namespace: namespace(&site) }.run("queues");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("redis+cluster://"), "{ran:?}");

    let alone = celeriac_testkit::TestRedis::start_with(celeriac_private_server::Options {
        listen: celeriac_private_server::Listen::FreePort,
        ..Default::default()
    })
    .await;
    let ran = Celeriac::at(&format!("redis+cluster://127.0.0.1:{}", alone.port())).run("queues");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("no cluster"), "{ran:?}");
}
