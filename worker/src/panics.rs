//! Panics of tasks: caught by the slots, and told with the place where they happened.

use std::any::Any;
use std::cell::RefCell;
use std::panic;
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
            PLACE.with_borrow_mut(|place| *place = info.location().map(|at| format!("at {at}")));
            before(info);
        }));
    });
}

/// The error of a task that panicked on this thread just now.
pub(crate) fn error_of(payload: Box<dyn Any + Send>) -> TaskError {
    TaskError::from_panic(payload, PLACE.take())
}
