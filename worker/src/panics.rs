//! Panics of tasks: caught by the slots, and told with the place where they happened.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, Location};
use std::sync::Once;

use crate::task::TaskError;

thread_local! {
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the place of every panic from now on. What was done about panics before is still done.
pub(crate) fn note_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PLACE.with_borrow_mut(|place| *place = info.location().map(place_of));
            before(info);
        }));
    });
}

/// The place of a panic, and the way there if `RUST_BACKTRACE` asks for it. What is stored of it is
/// bounded with the failure.
fn place_of(at: &Location<'_>) -> String {
    let way = Backtrace::capture();
    match way.status() {
        BacktraceStatus::Captured => format!("at {at}\n{way}"),
        _ => format!("at {at}"),
    }
}

/// The error of a task that panicked on this thread just now.
pub(crate) fn error_of(payload: Box<dyn Any + Send>) -> TaskError {
    TaskError::from_panic(payload, PLACE.take())
}
