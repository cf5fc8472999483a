//! Workflows in all their combinations: what comes of them, compared with what must come of them.

mod part;
mod random;
mod reference;
