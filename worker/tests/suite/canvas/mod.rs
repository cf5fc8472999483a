//! Workflows in all their combinations: what comes of them, compared with what must come of them.

mod known;
mod part;
mod random;
mod reference;
