//! `/v1/shards`: who owns each shard, who stands by, and how much waits in its queue.

mod depth;
pub(crate) mod list;

pub use depth::Depths;
