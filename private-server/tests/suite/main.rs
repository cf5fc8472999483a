//! Tests with real servers, in one binary.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod common;
mod environment;
mod life;
mod listen;
mod orphan;
mod owner;
