//! Every limit of the wire, with its unit and its reason. What a single field may hold is a rule of crate domain.

/// Commands in one message. Prefetch times this bounds what one worker may hold unacked; the gain of group commit has
/// flattened by then.
pub const MESSAGE_COMMANDS: usize = 128;

/// Bytes of one command message: far below the broker's 16 MiB frame of a body, and a redelivery stays cheap. A message of one
/// command may be larger, since its body is bounded by [`BODY_BYTES`] and its envelope adds less than 2 kB.
pub const MESSAGE_BYTES: usize = 256_000;

/// Messages a shard's consumer may hold unacked. Constant for a generation: lowering it on a live queue reorders.
pub const PREFETCH: u16 = 32;

/// Commands of one database transaction. Beyond this a batch gains little and holds its locks longer.
pub const BATCH_COMMANDS: usize = 256;

/// Order lines of one transaction, since each may lock a stock row.
pub const BATCH_LINES: usize = 2_000;

/// Bytes of the envelopes of one transaction, and of one message of events: what a stream reader takes at once.
pub const BATCH_BYTES: usize = 1 << 20;

/// Shards of the first generation: parallel enough for several workers, few enough that batches form.
pub const SHARDS: i32 = 16;

/// Largest number of shards: queue names have three digits.
pub const MAX_SHARDS: i32 = 999;

/// Bytes of a request body: an order of 1,000 lines fits, and a message of one command stays near [`MESSAGE_BYTES`].
pub const BODY_BYTES: usize = 256_000;

/// Arrays and objects inside one another. The deepest command has 4; `serde_json` itself stops at 128, so that a hostile
/// body cannot exhaust the stack. Ours comes first and names the place.
pub const JSON_DEPTH: usize = 100;

/// Largest integer magnitude in JSON that every reader keeps exact (RFC 8259, section 6): 2^53 − 1.
pub const JSON_INTEGER: i64 = orderly_domain::MAX_AMOUNT_MINOR;

/// Characters of an `Idempotency-Key`, all visible ASCII: it stands in logs and in an index.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// Characters of a command's type. Ours have at most 14.
pub const TYPE_CHARS: usize = 64;

/// Faults reported for one request. A body of 256 kB can hold a hundred thousand; nobody reads them, and the answer
/// must not be larger than the question.
pub const FAULTS: usize = 100;

/// Longest wait that a client may ask for with `Prefer: wait`, in seconds: below the idle timeout of common proxies (60 s).
pub const WAIT_SECONDS: u64 = 30;

/// Characters of an operator's reason: a sentence or two, which stand in lists and logs.
pub const REASON_CHARS: usize = 500;

/// Longest pause with an end, in seconds: 30 days. What waits longer would be older than outcomes are kept.
pub const PAUSE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Lanes that one request may act on: with [`GROUP_PER_SECOND`], what a request can do while somebody waits for its answer.
pub const GROUP_LANES: u32 = 500;

/// Lanes that one request may act on within a second: what they release must not crowd out what comes in.
pub const GROUP_PER_SECOND: u32 = 50;
