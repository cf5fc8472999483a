//! The real binary, as people and scripts meet it: what it prints, its JSON, its exit codes, and
//! what it leaves behind. And `scripts/setup`, by which it gets there.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod against;
mod audit;
mod bench;
mod cancel;
mod common;
mod dead;
mod demo;
mod doctor;
mod enqueue;
mod explain;
mod faults;
mod full;
mod help;
mod history;
mod job;
mod json;
mod limits;
mod lines;
mod monitor;
mod orders;
mod processes;
mod queues;
mod result;
mod schedule;
mod setup;
mod tasks_file;
mod up;
mod views;
mod worker;
mod workflow;
