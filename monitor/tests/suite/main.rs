//! The monitor as its viewers meet it: over HTTP and in a browser, on a real Redis.

mod api;
mod browser;
mod deploy;
mod events;
mod headers;
mod hostile;
mod metrics;
mod outage;
mod pages;
mod past;
mod style;
mod support;
