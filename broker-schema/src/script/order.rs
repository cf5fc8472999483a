//! `order`: say what is wanted of a worker.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::script;
use crate::time::Timestamp;

script!(ORDER, "order", " flags=allow-oom", ["base"]);

/// What a worker is to do, without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Take nothing new, finish what runs, leave: as on `SIGTERM`.
    Drain,
    /// Take nothing new, and hand back what has not begun; what runs goes on.
    Pause,
    /// Go on after [`Order::Pause`].
    Resume,
    /// Run so many tasks at once, from 1.
    Concurrency(u32),
    /// Serve these queues, the most important one first.
    Queues(Vec<QueueName>),
}

/// Whether an order reached a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderSeen {
    /// It is kept for the worker under this number.
    Kept(u64),
    /// There is no such lease (any more).
    Lost,
}

/// All that is wanted of a worker: the last word of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// The number of the last order; 0 if there was none.
    pub number: u64,
    /// Whether it is to leave.
    pub drain: Option<Wanted<bool>>,
    /// Whether it is to pause.
    pub pause: Option<Wanted<bool>>,
    /// How many tasks it is to run at once.
    pub concurrency: Option<Wanted<u32>>,
    /// The queues that it is to serve.
    pub queues: Option<Wanted<Vec<QueueName>>>,
}

/// One thing that is wanted, by whom, why, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Wanted<T> {
    /// What.
    pub value: T,
    /// Since when (Redis time).
    pub at: Timestamp,
    /// By whom, and why.
    #[serde(flatten)]
    pub who: Requester,
}

impl Order {
    fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Drain => ("drain", "true".to_owned()),
            Self::Pause => ("pause", "true".to_owned()),
            Self::Resume => ("pause", "false".to_owned()),
            Self::Concurrency(slots) => ("concurrency", slots.to_string()),
            Self::Queues(queues) => {
                let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
                ("queues", serde_json::Value::from(names).to_string())
            }
        }
    }
}

pub(crate) async fn order(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    order: &Order,
    who: &Requester,
) -> Result<OrderSeen, BrokerError> {
    let (kind, value) = order.parts();
    let mut command = ORDER.command(keys.prefix());
    command.arg(who.as_rest()).arg(lease.as_str()).arg(kind).arg(value);
    let mut reply = Reply::new(ORDER.name, connections.run(&ORDER, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(OrderSeen::Kept(reply.number("number")?)),
        "lost" => Ok(OrderSeen::Lost),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}

/// What cannot be read is left out: a newer version may know of other orders.
pub(crate) fn read_orders(fields: Vec<(String, String)>) -> Orders {
    fn read<T: DeserializeOwned>(text: &str) -> Option<Wanted<T>> {
        serde_json::from_str(text).ok()
    }
    let mut orders = Orders::default();
    for (kind, text) in fields {
        match kind.as_str() {
            "number" => orders.number = text.parse().unwrap_or(0),
            "drain" => orders.drain = read(&text),
            "pause" => orders.pause = read(&text),
            "concurrency" => orders.concurrency = read(&text),
            "queues" => orders.queues = read(&text),
            _ => {}
        }
    }
    orders
}
