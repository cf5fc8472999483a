//! The page of the API: it tells all that the document does, and its forms work.

use super::document::document;
use crate::support::chromium::Browser;
use crate::support::http::json_when;
use crate::support::site::{Site, fresh_broker};

#[tokio::test]
async fn the_page_tells_every_operation() {
    let site = Site::start(fresh_broker().await).await;
    let page = site.get("/api").await.ok();
    let document = document(&site).await;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let head = format!("{} {path}</code>", method.to_uppercase());
            assert!(page.contains(&head), "{head}");
            let summary = operation["summary"].as_str().expect("a summary").replace('\'', "&#39;");
            assert!(page.contains(summary.split(['&', '\'']).next().expect("text")), "{summary}");
        }
    }
    // Nobody can log in here.
    assert!(page.contains("Only operators may do this.") && !page.contains("data-method=\"post\""));
    assert!(!page.contains("<style") && !page.contains("style="));
}

#[tokio::test]
async fn forms_ask_and_show_the_answer() {
    let Some(mut browser) = Browser::open(1_280).await else { return };
    let site = Site::start(fresh_broker().await).await;
    json_when(site.address, "/api/v1/overview", |_| true).await;
    browser.visit(&site.url("/api")).await;
    let form = "document.querySelector('#getQueue form')";
    browser
        .value(&format!("document.querySelector('#getQueue').open = true; {form}.querySelector('input').value = 'a/b'; {form}.requestSubmit(); 1"))
        .await;
    browser
        .until(&format!(
            "{form}.querySelector('output').textContent.includes('GET /api/v1/queues/a%2Fb: 400')"
        ))
        .await;
    browser
        .until(&format!("{form}.querySelector('pre').textContent.includes('invalid-name')"))
        .await;
    let form = "document.querySelector('#findTasks form')";
    browser
        .value(&format!(
            "{form}.querySelector('[name=state]').value = 'ready'; {form}.requestSubmit(); 1"
        ))
        .await;
    browser.until(&format!("{form}.querySelector('output').textContent.includes('GET /api/v1/tasks?state=ready: 200')")).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
