//! Logging in and acting in a real browser, which sends what browsers send: cookies, where a form comes
//! from, and nothing that the policy of our pages forbids.

use crate::support::browser_like::{PASSWORD, options, site_of};
use crate::support::chromium::Browser;
use crate::support::seed::Producer;
use crate::support::site::fresh_broker;

#[tokio::test]
async fn somebody_logs_in_acts_and_logs_out() {
    let Some(mut browser) = Browser::open(1280).await else { return };
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    for _ in 0..3 {
        producer.task("mail", None).await;
    }
    let site = site_of(&broker, &options()).await;
    browser.visit(&site.url("/audit")).await;
    browser.until("location.pathname === '/login'").await;
    let fill = format!(
        "document.querySelector('#name').value = 'ada'; document.querySelector('#password').value = '{PASSWORD}'; document.querySelector('form.login button').click()"
    );
    browser.value(&fill).await;
    browser
        .until("location.pathname === '/audit' && document.body?.innerText?.includes('Log out')")
        .await;

    browser.visit(&site.url("/actions/purge-queue?queue=mail&back=/audit")).await;
    browser.until("document.body?.innerText?.includes('about 3 tasks')").await;
    browser.value("document.querySelector('#f-why').value = 'old news'; document.querySelector('.fields button').click()").await;
    browser.until("document.querySelector('[role=status].done')?.innerText === 'Queue mail purged: 3 tasks and 0 jobs cancelled.'").await;
    browser.until("location.pathname === '/audit' && document.querySelector('tbody')?.innerText?.includes('old news')").await;
    assert_eq!(broker.audit(None, 9).await.unwrap().lines.len(), 1);

    browser
        .value(
            "[...document.querySelectorAll('button')].find(b => b.innerText === 'Log out').click()",
        )
        .await;
    browser.until("location.pathname === '/login'").await;
    browser.visit(&site.url("/audit")).await;
    browser.until("location.search === '?back=%2Faudit'").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
