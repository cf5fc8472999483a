//! Every kind of action, as an operator does it in a browser: a button, a question where one is
//! asked, a word of what was done, and what came of it on screen.

use celeriac_broker_schema::Broker;
use serde_json::Value;

use crate::support::chromium::Browser;
use crate::support::http::{json_when, request};
use crate::support::load::{self, Load, Workers};
use crate::support::site::{Site, fresh_broker};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct World {
    browser: Browser,
    site: Site,
    broker: Broker,
    load: Load,
    _workers: Workers,
}

impl World {
    /// A browser in which an operator has logged in.
    async fn open() -> Option<Self> {
        let mut browser = Browser::open(1280).await?;
        let broker = fresh_broker().await;
        let config = broker.config().clone();
        let load = load::enqueue(&config, 130).await.expect("Redis answers");
        let workers = load::workers(&config).expect("workers");
        let site = Site::start_for_operators(broker.clone(), TOKEN).await;
        browser.visit(&site.url("/login?back=/queues")).await;
        browser.value("document.querySelector('#password').focus()").await;
        browser.type_text(TOKEN).await;
        browser.press("Enter").await;
        browser
            .until("location.pathname === '/queues' && document.readyState === 'complete'")
            .await;
        Some(Self { browser, site, broker, load, _workers: workers })
    }

    /// On this page, presses the first button with this label within what the selector means; fills
    /// in what is asked for, says yes, and waits until the page says what was done.
    async fn act(
        &mut self,
        page: &str,
        within: &str,
        label: &str,
        fields: &[(&str, &str)],
        says: &str,
    ) {
        self.browser.visit(&self.site.url(page)).await;
        let label = serde_json::to_string(label).expect("a string");
        let button = format!(
            "[...document.querySelectorAll('{within} button.act')].find((one) => one.textContent === {label})"
        );
        self.browser.until(&format!("!!{button}")).await;
        self.browser.value(&format!("{button}.click()")).await;
        let settled = "document.readyState === 'complete' \
            && !!document.querySelector('.notice.done, .question form')";
        self.browser.until(settled).await;
        if self.browser.value("!!document.querySelector('.question form')").await == true {
            for (name, value) in fields {
                let field = format!("document.querySelector('.question [name={name}]')");
                self.browser.value(&format!("{field}.value = '{value}'")).await;
            }
            self.browser.value("document.querySelector('.question form button').click()").await;
        }
        let says = serde_json::to_string(says).expect("a string");
        let said = format!(
            "document.readyState === 'complete' && !!document.querySelector('.notice.done') \
            && document.querySelector('.notice.done').textContent.includes({says})"
        );
        self.browser.until(&said).await;
    }

    async fn json_when(&self, path: &str, wanted: impl Fn(&Value) -> bool) {
        let header = format!("authorization: Bearer {TOKEN}\r\n");
        celeriac_testkit::eventually(crate::support::SOON, async || {
            let answer = request(self.site.address, "GET", path, &header).await;
            match serde_json::from_str(&answer.body) {
                Ok(json) if wanted(&json) => Ok(()),
                _ => Err(format!("{answer:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_operator_acts_on_queues_and_limits() {
    let Some(mut world) = World::open().await else { return };
    let page = "/queues/video";
    world.act(page, "main", "Pause", &[], "video").await;
    world.act(page, "main", "Resume", &[], "video").await;
    world.act(page, "main", "Close", &[], "video").await;
    world.act(page, "main", "Open", &[], "video").await;
    world.act(page, "main", "Limit its length …", &[("max", "500")], "video").await;
    world.json_when("/api/v1/queues", |json| json.to_string().contains("\"max\":500")).await;
    world.act(page, "main", "Move what waits …", &[("to", "archive")], "").await;
    world.act("/queues/archive", "main", "Cancel some …", &[("task", "report")], "").await;
    world.act("/queues/reports", "main", "Purge …", &[], "").await;
    let nothing_waits = |json: &Value| {
        let queues = json["queues"].as_array().cloned().unwrap_or_default();
        let left =
            queues.iter().filter(|queue| queue["name"] != "mail" && queue["name"] != "media");
        left.map(|queue| queue["ready"].as_u64().unwrap_or(1)).sum::<u64>() == 0
    };
    world.json_when("/api/v1/queues", nothing_waits).await;

    let limit = [("subject", "queue:etl"), ("rate", "5/s")];
    world.act("/limits", ".head", "Set a limit …", &limit, "queue:etl").await;
    let etl = "tr[data-key=\"queue:etl\"]";
    world.act("/limits", etl, "Change …", &[("rate", "7/s")], "queue:etl").await;
    world.act("/limits", etl, "Remove", &[], "queue:etl").await;
    world.act("/limits", ".head", "Let tenants take turns …", &[("queue", "mail")], "mail").await;
    world.act("/limits", ".plain", "First come, first served", &[], "mail").await;
    let limits = world.broker.limits(10).await.expect("Redis answers");
    assert!(limits.fair.is_empty() && limits.set.len() == 1, "{limits:?}");
    assert_eq!(world.browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_operator_acts_on_tasks_jobs_and_dead_letters() {
    let Some(mut world) = World::open().await else { return };
    let Load { job, stuck, failed, .. } = world.load;
    world.act(&format!("/tasks/{stuck}"), "main", "Cancel …", &[], "").await;
    world.browser.until("document.querySelector('h1').textContent.includes('cancelled')").await;
    world.act(&format!("/jobs/{job}"), "main", "Cancel …", &[], "").await;
    world.browser.until("document.querySelector('h1').textContent.includes('cancelled')").await;

    world.json_when("/api/v1/overview", |json| json["totals"]["dead"].as_u64() > Some(3)).await;
    let page = format!("/tasks/{failed}");
    world.act(&page, "main", "Revive", &[], "").await;
    // It fails again, and is thrown away.
    let dead = "/dead?task=mail/send&error=nobody@";
    world.browser.visit(&world.site.url(dead)).await;
    world.browser.until("document.querySelectorAll('#detail tbody tr').length === 1").await;
    world.act(&page, "main", "Discard …", &[], "").await;

    let lines = "/dead?error=has%20no%20lines";
    world.act(lines, "#detail tbody", "Revive all …", &[], "").await;
    world.act("/dead?error=no%20such%20address", "#detail tbody", "Discard all …", &[], "").await;
    let found = "!!document.querySelector('#detail tbody a.name[href*=group]')";
    world.browser.visit(&world.site.url("/dead?task=import")).await;
    world.browser.until(found).await;
    let group = world
        .browser
        .value("document.querySelector('#detail tbody a.name').getAttribute('href')")
        .await;
    world.act(group.as_str().expect("a link"), "#detail tbody", "Discard …", &[], "").await;
    world.browser.visit(&world.site.url("/audit")).await;
    world.browser.until("document.querySelector('main').textContent.includes('discard')").await;
    assert_eq!(world.browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_operator_acts_on_workers_and_schedules() {
    let Some(mut world) = World::open().await else { return };
    world.json_when("/api/v1/workers", |json| json["total"] == 4).await;
    let etl = "tr:has(td a[href^=\"/tasks/\"])";
    world.act("/workers", etl, "Slots …", &[("slots", "2")], "").await;
    world.act("/workers", etl, "Pause", &[], "").await;
    let paused = |json: &Value| json.to_string().contains("\"paused\":{");
    world.json_when("/api/v1/workers", paused).await;
    world.act("/workers", "main", "Resume", &[], "").await;
    world.json_when("/api/v1/workers", move |json| !paused(json)).await;
    world.act("/workers", "main", "Queues …", &[("queues", "mail,default,extra")], "").await;
    world.json_when("/api/v1/workers", |json| json.to_string().contains("extra")).await;
    world.act("/workers", "main", "Drain …", &[], "").await;
    // One that runs something long leaves later.
    let leaves =
        |json: &Value| json["total"] == 3 || json.to_string().contains("\"draining\":true");
    world.json_when("/api/v1/workers", leaves).await;

    let daily = "tr[data-key=\"reports/daily\"]";
    world.act("/schedules", daily, "Run now", &[], "reports/daily").await;
    world.act("/schedules", daily, "Skip the next", &[], "reports/daily").await;
    world.act("/schedules", daily, "Pause", &[], "reports/daily").await;
    world.act("/schedules", daily, "Resume", &[], "reports/daily").await;
    world.act("/schedules", daily, "Remove …", &[], "reports/daily").await;
    let left = world.broker.schedules(None, 0, 10).await.expect("Redis answers");
    assert_eq!(left.total, 2);
    assert_eq!(world.browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_viewer_is_offered_nothing_and_refused_all() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let broker = fresh_broker().await;
    load::enqueue(&broker.config().clone(), 5).await.expect("Redis answers");
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/queues", |json| json["queues"][0]["ready"] != 0).await;
    for page in ["/queues/video", "/limits", "/schedules", "/workers", "/dead"] {
        browser.visit(&site.url(page)).await;
        assert_eq!(browser.value("document.querySelectorAll('.act').length").await, 0, "{page}");
    }
    browser.visit(&site.url("/actions/pause-queue?queue=video")).await;
    browser.until("document.querySelector('h1').textContent.length > 3").await;
    assert_eq!(browser.value("document.querySelectorAll('.question').length").await, 0);
}
