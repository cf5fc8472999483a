//! The pages in a real browser.

use celeriac_broker_schema::TaskId;

use crate::support::chromium::Browser;
use crate::support::http::json_when;
use crate::support::seed::{Producer, Worker, running};
use crate::support::site::{Site, fresh_broker};

#[tokio::test]
async fn an_open_page_follows_without_a_reload() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let job = producer.job("Pi", 100, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    let many = (0..6).map(|i| running(&TaskId::of_chunk(job, i), job.task().time()));
    worker.beat("host-1", many.collect()).await;
    let site = Site::start(broker).await;
    browser.visit(&site.url("/")).await;
    browser.until("document.querySelector('progress').value === 0").await;

    // What would be lost by a reload, or by replacing what did not change.
    browser.value("window.stays = 1; window.box = document.querySelector('#find'); box.focus(); box.value = 'half an id'").await;
    browser.value("document.querySelector('details').open = true").await;
    browser.value("window.row = document.querySelector('#jobs tbody tr')").await;
    worker.succeed_chunks(40).await;
    browser.until("document.querySelector('progress').value === 40").await;
    browser.until("document.querySelector('[data-stat=succeeded]').innerText === '40'").await;
    let kept = "window.stays === 1 && document.activeElement === box && box.value === 'half an id' \
        && document.querySelector('details').open && window.row.isConnected";
    assert_eq!(browser.value(kept).await, true);

    let new = producer.job("Another", 5, None).await;
    browser.until(&format!("!!document.querySelector('[data-key=\"{new}\"]')")).await;
    assert_eq!(browser.value("window.row.isConnected && window.stays === 1").await, true);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_stream_is_told_and_found_again() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let broker = fresh_broker().await;
    let site = Site::start(broker.clone()).await;
    let address = site.address;
    browser.visit(&site.url("/")).await;
    browser.until("document.querySelector('#status').dataset.link === 'connected'").await;
    browser.value("window.stays = 1").await;
    site.stop().await;
    browser.until("document.querySelector('#stream').innerText.includes('lost')").await;

    Producer::new(&broker).job("Meanwhile", 5, None).await;
    let _site = Site::start_at(address, broker, 256).await;
    browser.until("document.querySelector('#jobs').innerText.includes('Meanwhile')").await;
    browser.until("document.querySelector('#stream').innerText === ''").await;
    assert_eq!(browser.value("window.stays").await, 1);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_scrolls_sideways_on_a_phone() {
    let Some(mut browser) = Browser::open(360).await else { return };
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let long = "a-label-without-any-space-to-break-it-".repeat(6);
    let job = producer.job(&long, 1_000_000, Some("pi-reduce")).await;
    producer.task(&"queue-".repeat(16), None).await;
    let task = producer.task("mail", Some(600_000)).await;
    let mut worker = Worker::open(&broker, "default").await;
    let now = worker.hold(3).await;
    let mut task_that_runs = running(&TaskId::of_chunk(job, 0), now);
    task_that_runs.task = "task/".repeat(30);
    worker.beat(&"host.".repeat(30), vec![task_that_runs]).await;
    let failed = producer.job("bad", 3, None).await;
    worker.fail_chunk(failed, 0, &long).await;
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/workers", |json| json["total"] == 1).await;

    let pages = [
        "/".to_owned(),
        format!("/jobs/{job}"),
        format!("/jobs/{failed}"),
        format!("/tasks/{job}:7"),
        format!("/tasks/{task}"),
        "/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00".to_owned(),
        "/tasks/xyz".to_owned(),
    ];
    for page in pages {
        browser.visit(&site.url(&page)).await;
        let width = browser.value("document.documentElement.scrollWidth").await;
        assert_eq!(width, 360, "{page}");
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn colours_follow_the_system_and_tables_stay_tables() {
    let Some(mut browser) = Browser::open(360).await else { return };
    let broker = fresh_broker().await;
    Producer::new(&broker).job("Pi", 3, None).await;
    let site = Site::start(broker).await;
    browser.visit(&site.url("/")).await;
    let background = "getComputedStyle(document.body).backgroundColor";
    let mut colours = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        colours.push(browser.value(background).await);
    }
    assert_ne!(colours[0], colours[1]);
    browser.until("document.querySelectorAll('table').length > 0").await;
    let roles = browser.roles().await;
    for role in [
        "table",
        "row",
        "cell",
        "rowheader",
        "columnheader",
        "progressbar",
        "main",
        "banner",
        "contentinfo",
        "search",
        "status",
    ] {
        assert!(roles.iter().any(|found| found == role), "no {role} in {roles:?}");
    }
}
