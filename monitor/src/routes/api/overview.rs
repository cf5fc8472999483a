//! How things stand: the poller's last look, which costs Redis nothing.

use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{Overview, Server};
use super::table::{Call, Table, words};

pub(super) fn add(table: &mut Table) {
    table.get(
        "/overview",
        words(
            "getOverview",
            "overview",
            "How things stand",
            "Sums over the namespace, rates of the last seconds, and what needs attention.",
        ),
        overview,
    );
}

async fn overview(call: Call) -> Result<Told<Overview>, Refusal> {
    let monitor = &call.monitor;
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    let overview = Overview {
        namespace: monitor.namespace().to_owned(),
        server: Server {
            address: monitor.broker().server().to_owned(),
            product: reading.server.product.clone(),
            version: reading.server.version.clone(),
        },
        now: reading.now,
        totals: reading.totals.clone(),
        rates: reading.rates,
        notices: reading.notices.clone(),
    };
    Ok(Told::seen(overview, &observation))
}
