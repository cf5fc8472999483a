//! Which error belongs to which layer: [`InvalidInput`] for what a caller typed (no Redis
//! involved), [`BrokerError`] for what happened between us and Redis. Expected outcomes
//! (a lost lease, a duplicate, an unknown id) are not errors: see the replies in `script`.

use thiserror::Error;

/// A value that cannot be part of the protocol. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// A setting that does not exist, or a value that it may not have.
    #[error("setting {name:?}: {reason}")]
    Setting {
        /// The name that was given.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A name with a character or a length that is not allowed.
    #[error(
        "{what} {value:?} is not valid: use 1 to {max} of the characters a-z A-Z 0-9 _ . - {extra}"
    )]
    Name {
        /// What the name is for: queue, task, namespace.
        what: &'static str,
        /// The beginning of what was given.
        value: String,
        /// The longest allowed length in bytes.
        max: usize,
        /// Further allowed characters.
        extra: &'static str,
    },
    /// An id that is neither a UUID nor `<job>:<index>`.
    #[error(
        "{0:?} is not a task id: expected 32 hex digits (a UUID), for a chunk followed by `:<index>`"
    )]
    Id(String),
    /// A priority outside 0 to 9.
    #[error("priority {0} is not valid: use 0 to 9, 9 runs first")]
    Priority(i64),
    /// An idempotency key that is empty or too long.
    #[error("idempotency key of {0} bytes is not valid: use 1 to 512 bytes")]
    UniqueKey(usize),
    /// Arguments, or a whole record, larger than a task may be.
    #[error(
        "{what} of {bytes} bytes is over the limit of {max}: put large data elsewhere and pass its address"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A job of no chunks or of too many.
    #[error("{0} chunks are not possible: use 1 to {max}", max = crate::limits::MAX_CHUNKS)]
    Chunks(u64),
    /// A split needs arguments that are a JSON object, to put the share of each chunk in.
    #[error(
        "the arguments of a split task must be a JSON object, so that `{field}` can be set in it"
    )]
    SplitArguments {
        /// The field that gets the share.
        field: String,
    },
    /// A duration or a number outside its bounds.
    #[error("{what} of {value} is not valid: {expected}")]
    OutOfBounds {
        /// What was set.
        what: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A cron expression, a time zone or an interval that cannot be understood, or never comes.
    #[error("{what} {value:?} is not valid: {reason}")]
    Timing {
        /// What is not valid: for a cron expression the field that is meant.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it, or what is expected.
        reason: String,
    },
    /// JSON that could not be written or read.
    #[error("{what} is not valid JSON: {reason}")]
    Json {
        /// What was to be JSON.
        what: &'static str,
        /// What the parser says.
        reason: String,
    },
}

/// What can go wrong between us and Redis.
#[cfg(feature = "client")]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The URL cannot be used.
    #[error(
        "Redis URL {url:?} is not valid: {reason}; expected redis://[user:password@]host:port/[db], redis+unix:///path, redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port"
    )]
    Url {
        /// The URL without its password.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No connection, a connection that broke, or no answer in time. The command may or may
    /// not have been executed; `sent` says whether it can have been.
    #[error("Redis at {server} is not reachable: {source}")]
    Unavailable {
        /// Host and port, or the path of the socket.
        server: String,
        /// Whether the command may have reached the server.
        sent: bool,
        /// The client's error.
        #[source]
        source: redis::RedisError,
    },
    /// The caller's time was over before an answer came. The command may have been executed.
    #[error("Redis at {server} gave no answer within {waited:?}")]
    NoAnswer {
        /// Host and port, or the path of the socket.
        server: String,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// It was carried out, but is not as safe as was asked for (see [`crate::Durable`]).
    #[error(
        "Redis at {server} has it, but it is not yet as safe as was asked for: {how_far} after {waited:?}"
    )]
    NotDurable {
        /// Host and port, or the path of the socket.
        server: String,
        /// How far it is.
        how_far: String,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// The server answered: not now (loading, failing over, out of scripts …). Worth repeating.
    #[error("Redis at {server} is not ready: {source}")]
    NotReady {
        /// Host and port, or the path of the socket.
        server: String,
        /// The server's answer.
        #[source]
        source: redis::RedisError,
    },
    /// User name or password refused, or rights missing.
    #[error(
        "Redis at {server} refuses this user: {source}; check user and password in the URL, and the rights of the user"
    )]
    Denied {
        /// Host and port, or the path of the socket.
        server: String,
        /// The server's answer.
        #[source]
        source: redis::RedisError,
    },
    /// The server has no memory left; nothing was changed.
    #[error(
        "Redis at {server} is out of memory and takes no writes: {source}; free memory or raise maxmemory"
    )]
    OutOfMemory {
        /// Host and port, or the path of the socket.
        server: String,
        /// The server's answer.
        #[source]
        source: redis::RedisError,
    },
    /// The server cannot hold a queue.
    #[error("Redis at {server} cannot be used: {reason}")]
    Unsuitable {
        /// Host and port, or the path of the socket.
        server: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A script failed: a bug, or data that something else wrote into our keys.
    #[error("script {script} failed: {source}")]
    Script {
        /// Which script.
        script: &'static str,
        /// The server's answer.
        #[source]
        source: redis::RedisError,
    },
    /// A reply that is not in the protocol: other versions, or a bug.
    #[error("script {script} gave an unexpected reply: {what}")]
    Protocol {
        /// Which script.
        script: &'static str,
        /// What was expected or found.
        what: String,
    },
}

#[cfg(feature = "client")]
impl BrokerError {
    /// Whether the same call may succeed later, when Redis is back.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::NoAnswer { .. }
                | Self::NotReady { .. }
                | Self::NotDurable { .. }
        )
    }

    /// Whether the call may have been carried out although there is no answer.
    pub fn may_have_happened(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { sent: true, .. } | Self::NoAnswer { .. } | Self::NotDurable { .. }
        )
    }
}

/// Without the client there is nothing that could fail.
#[cfg(not(feature = "client"))]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BrokerError {}
