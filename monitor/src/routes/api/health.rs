//! How Redis and this monitor are. Answers during an outage, too, since that is when it is asked.

use std::time::{Duration, Instant};

use celeriac_broker_schema::health::Finding;
use tokio::time::timeout;

use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{Health, MonitorHealth, RedisHealth};
use super::table::{Call, Table, words};
use crate::observation::{Detail, Reading};
use crate::read;
use crate::state::Monitor;
use crate::topic::Topic;

/// A Redis that takes longer is away as far as this answer is concerned.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn add(table: &mut Table) {
    table.get("/health", words("getHealth", "health", "How Redis and this monitor are", "Answered with status 200 during an outage, too: `redis.up` tells. For probes there is `/readyz`."), health);
}

async fn health(call: Call) -> Result<Told<Health>, Refusal> {
    let monitor = &call.monitor;
    let observation = monitor.latest().await;
    let reading = observation.reading.as_deref();
    let redis = redis(monitor).await;
    let findings = if redis.up { findings(monitor, reading).await } else { None };
    let server = reading.map(|reading| &reading.server);
    Ok(Told::new(Health {
        redis: RedisHealth {
            product: server.map(|server| server.product.clone()),
            version: server.map(|server| server.version.clone()),
            warnings: server.map(|server| server.warnings.clone()).unwrap_or_default(),
            ..redis
        },
        monitor: MonitorHealth {
            version: env!("CARGO_PKG_VERSION"),
            namespace: monitor.namespace().to_owned(),
            viewers: monitor.viewers().count(),
            max_viewers: monitor.config().max_viewers,
        },
        findings,
        notices: reading.map(|reading| reading.notices.clone()).unwrap_or_default(),
    }))
}

async fn findings(monitor: &Monitor, reading: Option<&Reading>) -> Option<Vec<Finding>> {
    let detail = timeout(PATIENCE, read::detail(monitor, &Topic::Health, reading)).await;
    match detail {
        Ok(Ok(Some(Detail::Health(health)))) => Some(health.findings),
        _ => None,
    }
}

/// Asks Redis now, in two calls.
async fn redis(monitor: &Monitor) -> RedisHealth {
    let broker = monitor.broker();
    let mut health = RedisHealth {
        up: false,
        address: broker.server().to_owned(),
        error: None,
        round_trip_ms: None,
        product: None,
        version: None,
        warnings: Vec::new(),
        memory_bytes: None,
        memory_max_bytes: None,
        clients: None,
    };
    let began = Instant::now();
    match timeout(PATIENCE, broker.ping()).await {
        Ok(Ok(())) => health.up = true,
        Ok(Err(error)) => health.error = Some(error.to_string()),
        Err(_) => health.error = Some(format!("it has not answered for {} s", PATIENCE.as_secs())),
    }
    if !health.up {
        return health;
    }
    health.round_trip_ms = Some(began.elapsed().as_secs_f64() * 1_000.0);
    if let Ok(Ok(info)) = timeout(PATIENCE, broker.info("everything")).await {
        let number = |field: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            line.and_then(|text| text.trim().parse().ok())
        };
        health.memory_bytes = number("used_memory");
        health.memory_max_bytes = number("maxmemory");
        health.clients = number("connected_clients");
    }
    health
}
