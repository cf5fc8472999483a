//! Every screen, in a real browser, over real workers under load: it is whole, it can be used
//! without a mouse, without colours, without scripts and on a phone.

use celeriac_broker_schema::Broker;
use serde_json::Value;

use crate::support::chromium::Browser;
use crate::support::http::json_when;
use crate::support::load::{self, Load, Workers};
use crate::support::site::{Site, fresh_broker};

/// Checks a page for accessibility.
const AXE: &str = include_str!("../assets/axe.min.js");
/// What a browser loads for the first page.
const FIRST_LOAD: usize = 150_000;

/// A monitor over a namespace in which all sorts of things happen.
struct World {
    site: Site,
    load: Load,
    _workers: Workers,
}

impl World {
    async fn start() -> Self {
        let broker: Broker = fresh_broker().await;
        let config = broker.config().clone();
        let load = load::enqueue(&config, 80).await.expect("Redis answers");
        let workers = load::workers(&config).expect("workers");
        let site = Site::start(broker).await;
        // A letter has died, and somebody is at work.
        let is_alive = |json: &Value| {
            json["totals"]["dead"].as_u64() > Some(1) && json["totals"]["workers"] == 4
        };
        json_when(site.address, "/api/v1/overview", is_alive).await;
        Self { site, load, _workers: workers }
    }

    /// The address of every screen, and what must stand there.
    fn screens(&self) -> Vec<(String, &'static str)> {
        let Load { job, failed_job, failed, stuck, succeeded, long } = self.load;
        let screens = [
            ("/".to_owned(), "Thumbnails of the autumn catalogue"),
            ("/queues".to_owned(), "reports"),
            ("/queues/reports".to_owned(), "the warehouse is down"),
            ("/queues/default?place=delayed".to_owned(), "hour 3"),
            ("/queues/never-heard-of".to_owned(), "Nothing is ready"),
            ("/jobs".to_owned(), "Import of the third quarter"),
            (format!("/jobs/{job}"), "not begun"),
            (format!("/jobs/{failed_job}"), "the date is not readable"),
            (format!("/tasks/{failed}"), "nobody@example.org"),
            (format!("/tasks/{stuck}"), "no worker serves queue video"),
            (format!("/tasks/{succeeded}"), "the weekly report"),
            (format!("/tasks/{long}"), "warehouse/export"),
            ("/workers".to_owned(), "slots busy"),
            ("/dead".to_owned(), "the date is not readable"),
            ("/dead?task=mail/send&error=nobody".to_owned(), "nobody@example.org"),
            ("/schedules".to_owned(), "nobody reads it"),
            ("/limits".to_owned(), "task:mail/send"),
            ("/health".to_owned(), "no worker serves queue video"),
            ("/audit".to_owned(), "Nothing yet"),
            ("/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00".to_owned(), "was never enqueued"),
            ("/nowhere".to_owned(), "Nothing here"),
        ];
        screens.into()
    }
}

async fn shows(browser: &mut Browser, text: &str) {
    // What is upper case on screen is not in the text.
    let text = serde_json::to_string(text).expect("a string");
    browser.until(&format!("document.querySelector('main').textContent.includes({text})")).await;
}

/// What keeps somebody from using the page.
async fn barriers(browser: &mut Browser) -> Value {
    browser.value(&format!("{AXE}; undefined")).await;
    let run = "window.found = null; axe.run(document, {resultTypes: ['violations']}).then((result) => \
        { window.found = result.violations.map((one) => one.id + ': ' + \
        one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')); }); undefined";
    browser.value(run).await;
    browser.until("window.found !== null").await;
    browser.value("window.found").await
}

#[tokio::test]
async fn every_screen_is_whole_and_accessible() {
    let Some(mut wide) = Browser::open(1280).await else { return };
    let Some(mut phone) = Browser::open(390).await else { return };
    phone.prefer("dark").await;
    let world = World::start().await;
    let mut trouble = Vec::new();
    for (number, (page, text)) in world.screens().into_iter().enumerate() {
        for (browser, width) in [(&mut wide, 1280), (&mut phone, 390)] {
            browser.visit(&world.site.url(&page)).await;
            shows(browser, text).await;
            let found = browser.value("document.documentElement.scrollWidth").await;
            assert_eq!(found, width, "{page} scrolls sideways");
            let headings = browser.value("document.querySelectorAll('h1').length").await;
            assert_eq!(headings, 1, "{page}");
            let here =
                browser.value("document.querySelectorAll('#nav [aria-current]').length").await;
            assert!(here.as_u64() <= Some(1), "{page}");
        }
        assert_eq!(wide.complaints().await, Vec::<String>::new(), "{page}");
        assert_eq!(phone.complaints().await, Vec::<String>::new(), "{page}");
        // The same page in another width has hardly other barriers: some are enough.
        let some = if number % 3 == 0 { 2 } else { 1 };
        for browser in [&mut wide, &mut phone].into_iter().take(some) {
            let found = barriers(browser).await;
            if found != serde_json::json!([]) {
                trouble.push(format!("{page}: {found}"));
            }
        }
    }
    assert!(trouble.is_empty(), "{trouble:#?}");
}

#[tokio::test]
async fn without_scripts_every_screen_can_be_read() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let world = World::start().await;
    let off = serde_json::json!({ "value": true });
    browser.call("Emulation.setScriptExecutionDisabled", off).await;
    for (page, text) in world.screens() {
        let answer = world.site.get(&page).await;
        assert!(answer.body.contains(text), "{page} without {text}: {}", answer.body);
        browser.visit(&world.site.url(&page)).await;
        let shown = browser.value("document.querySelector('main').innerText").await;
        assert!(shown.as_str().is_some_and(|shown| shown.contains(text)), "{page}: {shown}");
        // What does nothing without a script is not shown.
        let dead = "[...document.querySelectorAll('button[type=button]')].filter((one) => one.offsetParent).length";
        assert_eq!(browser.value(dead).await, 0, "{page}");
    }
}

#[tokio::test]
async fn all_is_reached_by_keys() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let world = World::start().await;
    let is_at = |path: &str| {
        format!("location.pathname === '{path}' && document.readyState === 'complete'")
    };
    browser.visit(&world.site.url("/")).await;

    browser.press("Control+k").await;
    browser.until("document.activeElement.id === 'palette-input'").await;
    browser.type_text("dead").await;
    browser.press("Enter").await;
    browser.until(&is_at("/dead")).await;

    browser.press("g").await;
    browser.press("q").await;
    browser.until(&is_at("/queues")).await;
    browser.press("j").await;
    browser.press("Enter").await;
    browser
        .until("location.pathname.startsWith('/queues/') && document.readyState === 'complete'")
        .await;

    // An id leads to what it names, wherever one is.
    browser.press("/").await;
    browser.type_text(&world.load.job.to_string()).await;
    browser.press("Enter").await;
    browser.until(&is_at(&format!("/jobs/{}", world.load.job))).await;

    browser.value("document.querySelector('svg.map').focus()").await;
    for key in ["ArrowRight", "ArrowDown", "ArrowRight"] {
        browser.press(key).await;
    }
    browser.until("document.querySelector('#chunk-told').innerText.includes('#416 – #423')").await;
    browser.press("Enter").await;
    browser.until(&is_at(&format!("/tasks/{}:416", world.load.job))).await;

    browser.press("?").await;
    browser.until("document.querySelector('#help').open").await;
    browser.press("Escape").await;
    browser.until("!document.querySelector('#help').open").await;

    // What is typed into a field is text.
    browser.value("document.querySelector('#find').focus()").await;
    browser.type_text("?").await;
    assert_eq!(browser.value("document.querySelector('#help').open").await, false);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_viewer_chooses_colours_and_the_choice_stays() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let site = Site::start(fresh_broker().await).await;
    browser.prefer("light").await;
    browser.visit(&site.url("/limits")).await;
    let background = "getComputedStyle(document.body).backgroundColor";
    let by_system = browser.value(background).await;
    // System, light, dark.
    browser.press("t").await;
    assert_eq!(browser.value(background).await, by_system);
    browser.press("t").await;
    let dark = browser.value(background).await;
    assert_ne!(dark, by_system);
    browser.visit(&site.url("/schedules")).await;
    assert_eq!(browser.value(background).await, dark);
    assert_eq!(browser.value("document.querySelector('#theme').innerText").await, "Theme: dark");
}

#[tokio::test]
async fn times_are_those_of_the_viewer() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let zone = serde_json::json!({ "timezoneId": "Asia/Kolkata" });
    browser.call("Emulation.setTimezoneOverride", zone).await;
    let world = World::start().await;
    browser.visit(&world.site.url(&format!("/tasks/{}", world.load.failed))).await;
    browser.until("!!document.querySelector('time[data-exact]')").await;
    let is_local = "[...document.querySelectorAll('time[data-exact]')].every((time) => { \
        const at = new Date(Date.parse(time.dateTime) + 330 * 60000).toISOString(); \
        return time.textContent === at.slice(0, 19).replace('T', ' ') \
        && time.title.includes('UTC+05:30') && time.title.includes(time.dateTime); })";
    assert_eq!(browser.value(is_local).await, true);
    // Also after an update.
    browser.value("window.seen = document.querySelector('#nav').innerHTML").await;
    browser.until("window.seen !== document.querySelector('#nav').innerHTML").await;
    assert_eq!(browser.value(is_local).await, true);
}

#[tokio::test]
async fn a_page_that_stays_open_does_not_grow() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let world = World::start().await;
    browser.visit(&world.site.url("/")).await;
    browser.until("document.querySelectorAll('#workers tbody tr').length === 4").await;
    // Updates, of which each differs from the one before.
    let many = "(() => { const html = document.querySelector('#workers').outerHTML; \
        const other = html.replaceAll('<tr', '<tr hidden').replace(/<li data-key=.*?<\\/li>/s, ''); \
        update('workers', html); const before = document.getElementsByTagName('*').length; \
        for (let i = 0; i < 400; i++) update('workers', i % 2 ? html : other); \
        update('workers', html); \
        return document.getElementsByTagName('*').length - before; })()";
    assert_eq!(browser.value(many).await, 0);
    browser.call("HeapProfiler.collectGarbage", serde_json::json!({})).await;
    let counters = browser.call("Memory.getDOMCounters", serde_json::json!({})).await;
    let (nodes, listeners) = (&counters["nodes"], &counters["jsEventListeners"]);
    assert!(nodes.as_u64() < Some(20_000), "{counters}");
    assert!(listeners.as_u64() < Some(60), "{counters}");
}

#[tokio::test]
async fn the_first_page_is_light() {
    let world = World::start().await;
    let page = world.site.get("/").await.ok();
    let mut bytes = page.len();
    let links = page.split('"').filter(|text| text.starts_with("/assets/"));
    let mut links: Vec<&str> = links.collect();
    links.sort_unstable();
    links.dedup();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        bytes += world.site.get(link).await.ok().len();
    }
    assert!(bytes < FIRST_LOAD, "{bytes} bytes");
}
