//! `celeriac status --watch`: looks again and again until the end, and tells what has changed: in one
//! live line on a terminal, as lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use celeriac_broker_schema::{Broker, TaskId};
use tokio::time::{MissedTickBehavior, interval};

use super::status::{Look, look};
use crate::error::CliError;
use crate::globals::Globals;
use crate::output;

/// How often it is looked. Workers tell how far they are every two seconds.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn run(broker: &Broker, id: TaskId, globals: &Globals) -> Result<(), CliError> {
    let mut screen = Screen::new(globals);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let seen = match look(broker, id).await {
            // It was there before: its outcome is not kept.
            Err(CliError::Unknown(_)) if screen.is_begun() => return screen.gone(),
            seen => seen?,
        };
        screen.tell(&seen)?;
        if seen.is_over() {
            return screen.end(&seen);
        }
    }
}

/// Where it is told.
struct Screen<'a> {
    globals: &'a Globals,
    live: bool,
    told: Option<String>,
}

impl<'a> Screen<'a> {
    fn new(globals: &'a Globals) -> Self {
        let live = !globals.json && std::io::stdout().is_terminal();
        Self { globals, live, told: None }
    }

    fn is_begun(&self) -> bool {
        self.told.is_some()
    }

    fn tell(&mut self, seen: &Look) -> Result<(), CliError> {
        let told = if self.globals.json { seen.data() } else { seen.line() };
        if self.told.as_ref() == Some(&told) {
            return Ok(());
        }
        if self.live {
            output::live(&told)?;
        } else {
            output::line(&told)?;
        }
        self.told = Some(told);
        Ok(())
    }

    /// The last word: all that is known.
    fn end(&self, seen: &Look) -> Result<(), CliError> {
        if self.live {
            output::live("")?;
            seen.show(self.globals)?;
        }
        Ok(())
    }

    fn gone(&self) -> Result<(), CliError> {
        if self.live {
            output::line("")?;
        }
        self.globals.talk("it has ended; how, was not kept");
        Ok(())
    }
}
