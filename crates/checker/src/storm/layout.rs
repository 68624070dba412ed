//! The shards as `GET /v1/shards` shows them, and which of them an order is on.

use anyhow::{Result, bail};
use serde::Deserialize;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::http::Api;

const PATH: &str = "/v1/shards";

/// How many shards take commands, and whether that is being changed.
pub(super) struct Layout {
    pub(super) count: u64,
    pub(super) resize: Option<Resize>,
}

/// One that is under way.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Resize {
    pub(super) id: u64,
    pub(super) to: u64,
}

#[derive(Deserialize)]
struct Shown {
    generation: Option<u64>,
    shards: Vec<Shard>,
    resize: Option<Resize>,
}

/// Older generations are shown for as long as something may still arrive there.
#[derive(Deserialize)]
struct Shard {
    shard: String,
}

impl Layout {
    pub(super) async fn read(api: &Api) -> Result<Self> {
        let shown: Shown = api.read(PATH).await?;
        let Some(generation) = shown.generation else {
            bail!("there are no shards");
        };
        let prefix = format!("g{generation}.");
        let current = shown.shards.iter();
        let count = current.filter(|it| it.shard.starts_with(&prefix)).count();
        if count == 0 {
            bail!("there are no shards");
        }
        Ok(Self {
            count: u64::try_from(count)?,
            resize: shown.resize,
        })
    }

    /// By its description: `xxh3_64` of the order's id, modulo the number of shards.
    pub(super) fn shard_of(&self, order: Uuid) -> u64 {
        xxh3_64(order.as_bytes()) % self.count
    }
}
