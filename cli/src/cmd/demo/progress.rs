//! How far a job is, on standard error: a bar on a terminal, a few lines elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::format::{grouped, percent};
use crate::globals::Globals;
use crate::output;

/// Percent between two lines.
const STEP: u64 = 25;

/// The progress of one job.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines {
        name: String,
        total: u64,
        /// The percentage from which on the next line is due.
        next: AtomicU64,
    },
    Nothing,
}

impl Progress {
    pub(super) fn new(globals: &Globals, name: &str, total: u64) -> Self {
        if globals.quiet {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            output::talk(format_args!("{name}: {} chunks", grouped(total)));
            return Self::Lines { name: name.to_owned(), total, next: AtomicU64::new(STEP) };
        }
        let template = "{prefix:>12} {bar:40} {human_pos}/{human_len} chunks {percent:>3} %";
        let style =
            ProgressStyle::with_template(template).expect("the template is fixed and valid");
        Self::Bar(ProgressBar::new(total).with_style(style).with_prefix(name.to_owned()))
    }

    pub(super) fn show(&self, done: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines { name, total, next } => {
                let percent = percent(done, *total);
                if percent >= next.load(Ordering::Relaxed) && percent < 100 {
                    output::talk(format_args!("{name}: {percent} %"));
                    next.store(percent - percent % STEP + STEP, Ordering::Relaxed);
                }
            }
            Self::Nothing => {}
        }
    }

    /// All is done.
    pub(super) fn finish(&self) {
        match self {
            Self::Bar(bar) => bar.finish(),
            Self::Lines { name, .. } => output::talk(format_args!("{name}: done")),
            Self::Nothing => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            // It stays as it is, and what is told next begins in a line of its own.
            bar.abandon();
            output::talk("");
        }
    }
}
