//! The monitor as its viewers meet it: over HTTP and in a browser, on a real Redis.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod actions;
mod acts;
mod api;
mod auth;
mod browser;
mod browser_acts;
mod deploy;
mod events;
mod flower;
mod headers;
mod hostile;
mod metrics;
mod outage;
mod pages;
mod past;
mod screens;
mod style;
mod support;
