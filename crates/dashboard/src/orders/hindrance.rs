//! Why the shard of an order does not go on, if it does not: whatever is accepted for the order then waits in its queue.

use orderly_domain::OrderId;
use orderly_protocol::serde_json::{Value, json};
use orderly_protocol::{shard_of, timestamp};
use orderly_store::{ShardPause, ShardRow, ShardStanding, Store, StoreError};

/// As an order shows it, beside what its lane says (`crate::lanes::waiting`). `reason` may get more values: `shard_paused` by an
/// operator, `shard_draining` while a resize is under way, `no_owner`.
pub(super) async fn hindrance(
    store: &Store,
    order_id: OrderId,
) -> Result<Option<Value>, StoreError> {
    let rows = store.shards().await?;
    let Some(row) = of_order(&rows, order_id) else {
        return Ok(None);
    };
    let shard = row.shard;
    Ok(match row.standing {
        ShardStanding::Paused => {
            let pauses = store.pauses().await?;
            let is_meant = |pause: &&ShardPause| pause.shard.is_none_or(|it| it == shard);
            pauses.iter().find(is_meant).map(|pause| {
                let which = pause
                    .shard
                    .map_or("every shard".to_owned(), |it| format!("shard {it}"));
                let mut told = waiting(
                    "shard_paused",
                    &format!("{which} is paused: {}", pause.reason),
                );
                told["since"] = json!(timestamp::format(pause.paused_at));
                told["paused"] = json!({
                    "by": pause.paused_by,
                    "reason": pause.reason,
                    "since": timestamp::format(pause.paused_at),
                    "until": pause.expires_at.map(timestamp::format),
                });
                told
            })
        }
        ShardStanding::Waiting => {
            // Numbers in between may have been aborted.
            let ending = rows.iter().map(|row| row.shard.generation).min();
            Some(waiting(
                "shard_draining",
                &format!(
                    "a resize is under way: shard {shard} begins when those of generation {} are drained",
                    ending.unwrap_or_default()
                ),
            ))
        }
        ShardStanding::Served if !row.owner_alive && row.standby.is_empty() => Some(waiting(
            "no_owner",
            &format!("no worker consumes shard {shard}"),
        )),
        ShardStanding::Served | ShardStanding::Drained => None,
    })
}

/// The order's shard in the newest generation, which is where its next command goes.
fn of_order(rows: &[ShardRow], order_id: OrderId) -> Option<&ShardRow> {
    let newest = rows.iter().map(|row| row.shard.generation).max()?;
    let newest: Vec<_> = rows
        .iter()
        .filter(|row| row.shard.generation == newest)
        .collect();
    let count = i32::try_from(newest.len()).ok()?;
    let shard = shard_of(order_id, count);
    newest.into_iter().find(|row| row.shard.shard == shard)
}

fn waiting(reason: &str, detail: &str) -> Value {
    json!({
        "reason": reason,
        "code": reason,
        "detail": detail,
        "since": null,
        "seconds": null,
        "behind": null,
        "commands": null,
        "paused": null,
    })
}
