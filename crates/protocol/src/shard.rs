//! Which shard an order belongs to, and what the shard is called. The hash is part of the contract: producers in other
//! languages may compute it, and `vectors/shard-hash.json` lets them check theirs.

use std::fmt;

use orderly_domain::OrderId;
use xxhash_rust::xxh3::xxh3_64;

/// One shard of one generation. Its `Display` is its routing key, as `g1.003`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// The layout it belongs to, from 1.
    pub generation: i32,
    /// Its number, from 0.
    pub shard: i32,
}

impl ShardId {
    /// The shard of `generation` that takes the commands of `order_id`.
    #[must_use]
    pub fn of(order_id: OrderId, generation: i32, shard_count: i32) -> Self {
        Self {
            generation,
            shard: shard_of(order_id, shard_count),
        }
    }

    /// Name of its queue, as `orders.g1.003`. Never reused.
    #[must_use]
    pub fn queue(self) -> String {
        format!("orders.{self}")
    }

    /// Its routing key on the commands exchange, as `g1.003`.
    #[must_use]
    pub fn routing_key(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}.{:03}", self.generation, self.shard)
    }
}

/// The shard of an order: XXH3-64, seed 0, of the 16 bytes of its id, modulo the number of shards.
///
/// # Panics
/// If `shard_count` is not positive; a layout never has fewer shards than one.
#[must_use]
pub fn shard_of(order_id: OrderId, shard_count: i32) -> i32 {
    let count = u64::try_from(shard_count).ok().filter(|count| *count > 0);
    let shard = xxh3_64(order_id.0.as_bytes()) % count.expect("a layout has at least one shard");
    i32::try_from(shard).expect("a remainder is below its divisor")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        counts: Vec<i32>,
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        order_id: Uuid,
        hash: String,
        shards: Vec<i32>,
    }

    #[test]
    fn published_vectors_hold() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../vectors/shard-hash.json")).unwrap();
        assert!(vectors.vectors.len() >= 20);
        for vector in vectors.vectors {
            let order_id = OrderId(vector.order_id);
            assert_eq!(xxh3_64(order_id.0.as_bytes()).to_string(), vector.hash);
            let shards: Vec<i32> = vectors
                .counts
                .iter()
                .map(|count| shard_of(order_id, *count))
                .collect();
            assert_eq!(shards, vector.shards, "{order_id}");
        }
    }

    #[test]
    fn names_have_three_digits() {
        let shard = ShardId {
            generation: 1,
            shard: 3,
        };
        assert_eq!(shard.to_string(), "g1.003");
        assert_eq!(shard.queue(), "orders.g1.003");
        assert_eq!(
            ShardId {
                generation: 12,
                shard: 998
            }
            .routing_key(),
            "g12.998"
        );
    }
}
