//! The worker: owns shards and applies their commands, one at a time, in order.
//!
//! The life of a batch is `process`, that of a control command `release`; everything else here serves it: `runner` keeps the connections and a
//! task per shard, `membership` and `placement` tell which shards are this worker's, `shard` subscribes, claims and hands over, `intake` turns deliveries into batches, `book` is what a
//! batch knows and decides in memory, `finish` publishes and acks behind it. `load` is what heartbeats tell of the work. `served` follows the generations of shards, and `resize`
//! leads from one to the next.
//!
//! Invariant: nothing here cancels a consumer, returns a message to its queue, or acks before the commit.

mod attempt;
mod book;
mod failure;
mod finish;
mod intake;
mod item;
mod load;
mod membership;
mod placement;
mod process;
mod release;
mod reply;
mod resize;
mod runner;
mod served;
mod shard;
mod skip;

pub use runner::{BrokenQueue, Resizing, WorkerOptions, run};
pub use skip::SkipUndecidable;
