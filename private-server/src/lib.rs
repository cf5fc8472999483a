//! Finds, starts and stops a private Redis or Valkey server: one process, one data directory, one owner.
//! Not a client (it speaks just enough of the protocol to know that the server is ready), and not
//! for servers that somebody else runs: nothing here touches a process that it did not start.
//!
//! ```no_run
//! use celeriac_private_server::{Options, PrivateServer};
//!
//! let server = PrivateServer::start(Options::default())?;
//! println!("{} {} answers at {}", server.product(), server.version(), server.url());
//! server.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Architecture invariant: the server never outlives its owner, not even an owner that is killed
//! with `SIGKILL`; the module `child` tells how.

mod address;
mod child;
mod config;
mod data_dir;
mod error;
mod find;
mod options;
mod ready;
mod resp;
mod scratch;
mod server;

pub use error::StartError;
pub use find::{FindError, Product, ServerBinary, Version, find};
pub use options::{Listen, Options, Role};
pub use server::PrivateServer;
