//! The end of the parent process, as its children notice it: it holds the other end of their
//! standard input, and the system closes that, however the parent dies.

use std::io;
use std::thread;
use std::time::Duration;

/// How long a child may take to leave in good order. Without its parent there may be no Redis
/// either, to which it could give anything back.
const GRACE: Duration = Duration::from_secs(3);

/// Calls `leave` when the parent is gone, and ends the process if that does not.
pub(crate) fn when_gone(leave: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        // Nothing is ever written: what ends this is the end of the parent.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        leave();
        thread::sleep(GRACE);
        std::process::exit(crate::exit::Exit::Interrupted.code().into());
    });
}
