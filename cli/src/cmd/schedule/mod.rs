//! `celeriac schedule`: tasks that are enqueued again and again. `change` makes and changes them,
//! `view` shows them.

mod change;
mod view;

use celeriac_broker_schema::InvalidInput;
use celeriac_producer::{Producer, ScheduleName};

use crate::args::ScheduleCommand;
use crate::error::CliError;
use crate::globals::Globals;

pub(crate) async fn run(command: ScheduleCommand, globals: &Globals) -> Result<(), CliError> {
    match command {
        ScheduleCommand::Add { name, task, when, options, replace } => {
            let schedule = change::new(&task, &when, *options)?;
            change::put(&named(&name)?, &schedule, replace, globals).await
        }
        ScheduleCommand::Edit { name, when, options } => {
            change::edit(&named(&name)?, &when, *options, globals).await
        }
        ScheduleCommand::Pause { name, who } => change::pause(&named(&name)?, &who, globals).await,
        ScheduleCommand::Resume { name } => change::resume(&named(&name)?, globals).await,
        ScheduleCommand::Run { name } => change::run_now(&named(&name)?, globals).await,
        ScheduleCommand::Skip { name } => change::skip(&named(&name)?, globals).await,
        ScheduleCommand::Remove { name } => change::remove(&named(&name)?, globals).await,
        ScheduleCommand::List => view::list(globals).await,
        ScheduleCommand::Show { name } => view::show(&named(&name)?, globals).await,
        ScheduleCommand::Next(args) => view::next(&args, globals).await,
    }
}

fn named(name: &str) -> Result<ScheduleName, InvalidInput> {
    name.parse()
}

async fn schedules(globals: &Globals) -> Result<celeriac_producer::Schedules, CliError> {
    Ok(Producer::new(globals.connect().await?).schedules())
}
