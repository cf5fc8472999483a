//! Every bound of the protocol, with its reason.

/// Longest arguments of a task, in bytes of JSON. Redis holds every queued task in memory, and
/// a script call moves up to a batch of them at once.
pub const MAX_ARGS_BYTES: usize = 1 << 20;
/// Longest result of a task, in bytes of JSON. See [`MAX_ARGS_BYTES`].
pub const MAX_RESULT_BYTES: usize = 1 << 20;
/// Longest partial result, in bytes of JSON: a stream holds a thousand of them.
pub const MAX_PART_BYTES: usize = 64 << 10;
/// Results above this size are stored compressed, if that makes them shorter. Below it, time and the
/// wish to read what is stored weigh more than memory.
pub const COMPRESS_ABOVE_BYTES: usize = 8 << 10;
/// Longest state of a checkpoint, in bytes of JSON. See [`MAX_ARGS_BYTES`].
pub const MAX_CHECKPOINT_BYTES: usize = 1 << 20;
/// Most chunks of one range. Its bitmap is written at once: 100 million chunks are 12.5 MB.
pub const MAX_CHUNKS: u64 = 100_000_000;
/// Most tasks in one call of a script. Lua on Redis unpacks at most about 8,000 values; a call
/// of 1,000 tasks takes about a millisecond.
pub const MAX_BATCH: usize = 1000;
/// Most bytes in one call of a script: a long call delays everybody else.
pub const MAX_BATCH_BYTES: usize = 4 << 20;
/// Most tasks per period, and at once, of a rate. Scripts count its bucket in whole numbers, which
/// are exact up to 2^53.
pub const MAX_RATE: u64 = 1_000_000;
/// Longest period of a rate, in milliseconds: 30 days.
pub const MAX_RATE_PERIOD_MS: u64 = 2_592_000_000;
/// Longest error message that is stored, in bytes.
pub const MAX_ERROR_BYTES: usize = 2048;
/// Longest stored trace of an error, in bytes.
pub const MAX_TRACE_BYTES: usize = 16 << 10;
/// Longest label, submitter and split field of a job, in bytes: they go to every worker that takes
/// chunks of it.
pub const MAX_LABEL_BYTES: usize = 256;
/// Longest label of a task, in characters: one line for people.
pub const MAX_LABEL_CHARS: usize = 200;
/// Most tags of a task. They are stored with each.
pub const MAX_TAGS: usize = 16;
/// Longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 64;
/// Most headers of a task: as many as a trace context, a tenant and a few others need.
pub const MAX_HEADERS: usize = 32;
/// Longest name of a header, in bytes.
pub const MAX_HEADER_NAME_BYTES: usize = 64;
/// Most bytes of all headers of a task: Redis holds them for every queued task.
pub const MAX_HEADER_BYTES: usize = 4096;
/// Accumulators of a job: each costs every completion a command.
pub const MAX_ACCUMULATORS: usize = 32;
/// Integers are accumulated exactly within ±2^53, the range in which JSON numbers are exact in
/// every language.
pub const MAX_EXACT_INTEGER: i64 = 1 << 53;

/// Most listed waits of a backoff: they stand in the record of each task.
pub const MAX_DELAYS: usize = 32;
/// Shortest snooze in milliseconds: a task that asks again and again must not keep Redis busy.
pub const MIN_SNOOZE_MS: u64 = 100;

/// Default visibility time-out in milliseconds: how long a silent worker keeps its tasks.
pub const DEFAULT_VISIBILITY_MS: u64 = 30_000;
/// Shortest visibility time-out: below it a busy machine loses leases for no reason.
pub const MIN_VISIBILITY_MS: u64 = 1_000;
/// Deliveries that may end with a lost worker before a task is dead.
pub const DEFAULT_CRASH_LIMIT: u32 = 3;
/// Default time for which outcomes are kept: one day, in milliseconds.
pub const DEFAULT_KEEP_MS: u64 = 86_400_000;
/// How long an idempotency key is remembered by default: one day, in milliseconds.
pub const DEFAULT_UNIQUE_MS: u64 = 86_400_000;
/// Most schedules of a namespace: they are kept for ever, and listed by people.
pub const MAX_SCHEDULES: usize = 10_000;
/// Most runs that one schedule may catch up on at once, after nobody was there to start them.
pub const MAX_CATCH_UP: u32 = 1_000;
/// Shortest interval of a schedule in milliseconds. What runs more often is a loop, not a schedule.
pub const MIN_INTERVAL_MS: u64 = 1_000;
/// How late a run of a schedule may be and still count as on time, in milliseconds.
pub const ON_TIME_MS: u64 = 60_000;
