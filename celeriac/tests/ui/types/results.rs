//! A task that returns no `Result`.
#![allow(unused)]

#[celeriac::task(name = "plain", cpu)]
fn plain(n: u64) -> u64 {
    n
}

fn main() {}
