//! The monitor as its viewers meet it: over HTTP and in a browser, on a real Redis.

mod actions;
mod api;
mod auth;
mod browser;
mod events;
mod flower;
mod headers;
mod hostile;
mod metrics;
mod outage;
mod pages;
mod screens;
mod style;
mod support;
