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
/// Longest error message that is stored, in bytes.
pub const MAX_ERROR_BYTES: usize = 2048;
/// Longest stored trace of an error, in bytes.
pub const MAX_TRACE_BYTES: usize = 16 << 10;
/// Accumulators of a job: each costs every completion a command.
pub const MAX_ACCUMULATORS: usize = 32;
/// Integers are accumulated exactly within ±2^53, the range in which JSON numbers are exact in
/// every language.
pub const MAX_EXACT_INTEGER: i64 = 1 << 53;

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
