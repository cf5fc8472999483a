//! JSON schemas of what is written as text: ids and names. Everything else derives its schema where
//! it is defined.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::gate::Subject;
use crate::id::{JobId, TaskId};
use crate::name::{Label, QueueName, ScheduleName, TaskName, Tenant};

macro_rules! text_schema {
    ($($type:ty, $name:literal, $pattern:literal, $words:literal;)*) => { $(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $words })
            }
        }
    )* };
}

text_schema! {
    TaskId, "TaskId", "^[0-9a-f]{32}(:[0-9]+)?$", "The id of a task: 32 hex digits; of a chunk followed by `:` and its index. With hyphens it is understood, too.";
    JobId, "JobId", "^[0-9a-f]{32}$", "The id of a job: 32 hex digits.";
    QueueName, "QueueName", "^[A-Za-z0-9_.@-]{1,100}$", "The name of a queue; of a sub-queue `<queue>@<label>`.";
    TaskName, "TaskName", "^[A-Za-z0-9_./-]{1,200}$", "The name of a task, as workers know it.";
    ScheduleName, "ScheduleName", "^[A-Za-z0-9_./-]{1,200}$", "The name of a schedule.";
    Tenant, "Tenant", "^[A-Za-z0-9_./@+-]{1,200}$", "For whom a task is run.";
    Label, "Label", "^[A-Za-z0-9_.-]{1,50}$", "What a worker has and a task may need.";
    Subject, "Subject", "^(queue|task|tenant):.+$", "What a limit is on: `queue:mail`, `task:mail.send`, `tenant:acme`; with `*` for the name the default of all of that kind.";
}
