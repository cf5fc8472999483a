//! Takes the pictures of the docs: a private Redis, real workers under load, and every screen in
//! light, in dark and on a phone.
//!
//! `cargo run -p celeriac-monitor --example screenshots -- target/screenshots`; needs a Chromium on PATH.

#[expect(dead_code, reason = "shared with the tests, which look at more of it")]
#[path = "../../tests/suite/support/chromium.rs"]
mod chromium;
#[path = "../load/mod.rs"]
mod load;

use std::path::{Path, PathBuf};
use std::time::Duration;

use celeriac::RedisConfig;
use celeriac_broker_schema::Broker;
use celeriac_monitor::{Monitor, MonitorConfig, serve};
use celeriac_private_server::{Options, PrivateServer};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use chromium::Browser;
use load::{Load, Result};

/// Longer than anything takes.
const SOON: Duration = Duration::from_secs(60);
/// Until charts have something to show.
const WARM_UP: Duration = Duration::from_secs(45);
const DESK: (u32, u32) = (1280, 860);
const PHONE: (u32, u32) = (390, 844);

#[tokio::main]
async fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("target/screenshots".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let redis = PrivateServer::start(Options::default())?;
    let config = RedisConfig::new(redis.url());
    let workers = load::workers(&config)?;
    let load = load::enqueue(&config, 4_000).await?;
    let closing = CancellationToken::new();
    let listener = MonitorConfig { listen: "127.0.0.1:0".parse()?, ..MonitorConfig::default() };
    let listener = listener.bind().await?;
    let url = format!("http://{}", listener.local_addr()?);
    let monitor = Monitor::new(Broker::new(config)?, MonitorConfig::default());
    let serving = tokio::spawn(serve(listener, monitor, closing.clone()));
    eprintln!("{url}: warming up for {} s", warm_up().as_secs());
    sleep(warm_up()).await;
    for (name, (width, height), scheme) in
        [("light", DESK, "light"), ("dark", DESK, "dark"), ("phone", PHONE, "light")]
    {
        let Some(mut browser) = Browser::open(width).await else {
            return Err("there is no Chromium on PATH".into());
        };
        browser.prefer(scheme).await;
        for (screen, path) in screens(&load) {
            let file = folder.join(format!("{screen}-{name}.png"));
            shoot(&mut browser, &format!("{url}{path}"), (width, height), &file).await?;
        }
    }
    drop(workers);
    closing.cancel();
    serving.await??;
    Ok(())
}

/// `WARM_UP=5` (seconds) for a quick look.
fn warm_up() -> Duration {
    let chosen = std::env::var("WARM_UP").ok().and_then(|seconds| seconds.parse().ok());
    chosen.map_or(WARM_UP, Duration::from_secs)
}

/// All screens, with what is most worth seeing on each.
fn screens(load: &Load) -> Vec<(&'static str, String)> {
    let Load { job, failed_job, failed, stuck, succeeded, long } = load;
    vec![
        ("overview", "/".to_owned()),
        ("queues", "/queues".to_owned()),
        ("queue", "/queues/mail".to_owned()),
        ("queue-delayed", "/queues/default?place=delayed".to_owned()),
        ("jobs", "/jobs".to_owned()),
        ("job", format!("/jobs/{job}")),
        ("job-failed", format!("/jobs/{failed_job}")),
        ("task-failed", format!("/tasks/{failed}")),
        ("task-stuck", format!("/tasks/{stuck}")),
        ("task-running", format!("/tasks/{long}")),
        ("task-succeeded", format!("/tasks/{succeeded}")),
        ("workers", "/workers".to_owned()),
        ("dead", "/dead".to_owned()),
        ("schedules", "/schedules".to_owned()),
        ("limits", "/limits".to_owned()),
        ("health", "/health".to_owned()),
        ("not-found", "/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00".to_owned()),
    ]
}

/// The whole page, but no more than three screens of it.
async fn shoot(
    browser: &mut Browser,
    url: &str,
    (width, height): (u32, u32),
    file: &Path,
) -> Result<()> {
    browser.visit(url).await;
    // One look of the poller, so that what comes with the second one is there.
    sleep(Duration::from_millis(1_200)).await;
    let tall = browser.value("document.documentElement.scrollHeight").await;
    let tall = tall.as_u64().unwrap_or(0).clamp(u64::from(height), 3 * u64::from(height));
    browser.set_size(width, tall as u32).await;
    let shot = browser.call("Page.captureScreenshot", json!({"format": "png"})).await;
    browser.set_size(width, height).await;
    std::fs::write(file, from_base64(shot["data"].as_str().unwrap_or("")))?;
    eprintln!("{}", file.display());
    Ok(())
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let digits: Vec<u32> = digits.map(|digit| digit as u32).collect();
    let bytes_of = |four: &[u32]| {
        let bits = (0..4).fold(0, |bits, i| bits << 6 | four.get(i).copied().unwrap_or(0));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes_of).collect()
}
