//! What a batch must know before it decides.

use orderly_domain::{CommandId, OrderId, Sku, StockLevel, StockLevels, Version};
use orderly_protocol::{Fingerprint, Outcome};
use uuid::Uuid;

use super::BatchTransaction;
use crate::StoreError;

/// A command id that is taken.
#[derive(Clone, Debug)]
pub struct Known {
    /// The id.
    pub command_id: CommandId,
    /// Of the request that owns it.
    pub fingerprint: Fingerprint,
    /// Its final outcome with version and code; none while it is parked.
    pub outcome: Option<(Outcome, Version, Option<String>)>,
}

/// An order as the batch finds it.
#[derive(Clone, Debug)]
pub struct LoadedOrder {
    /// Its id.
    pub order_id: OrderId,
    /// Its version and state as JSON; none when it does not exist.
    pub row: Option<(Version, String)>,
    /// The last position of its lane; none when it has no lane.
    pub lane_tail: Option<i64>,
}

impl BatchTransaction {
    /// Which of these command ids are taken: decided, or waiting in a lane.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn dedupe(&mut self, ids: &[CommandId]) -> Result<Vec<Known>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select command_id as "command_id!", fingerprint as "fingerprint!", outcome,
                      version, rejection ->> 'code' as code
               from commands where command_id = any($1)
               union all
               select command_id, fingerprint, null, null, null
               from lane_entries where command_id = any($1)"#,
            &ids,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter()
            .map(|row| {
                let outcome = row.outcome.zip(row.version).map(|(outcome, version)| {
                    Ok::<_, StoreError>((
                        Outcome::parse(&outcome).ok_or_else(|| {
                            StoreError::bad_cell("commands", "outcome", row.command_id)
                        })?,
                        version_of("commands", row.command_id, version)?,
                        row.code,
                    ))
                });
                Ok(Known {
                    command_id: CommandId(row.command_id),
                    fingerprint: fingerprint_of("commands", row.command_id, &row.fingerprint)?,
                    outcome: outcome.transpose()?,
                })
            })
            .collect()
    }

    /// Each of these orders and its lane. No row lock: behind the fence nobody else writes an order of this shard, and
    /// the write checks the version all the same.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn load(&mut self, ids: &[OrderId]) -> Result<Vec<LoadedOrder>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select wanted.order_id as "order_id!", orders.version as "version?",
                      orders.state::text as "state?",
                      case when lanes.order_id is not null then
                          coalesce((select max(position) from lane_entries
                                    where lane_entries.order_id = lanes.order_id), 0)
                      end as lane_tail
               from unnest($1::uuid[]) as wanted (order_id)
               left join orders on orders.order_id = wanted.order_id
               left join lanes on lanes.order_id = wanted.order_id"#,
            &ids,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter()
            .map(|row| {
                let state = row.version.zip(row.state).map(|(version, state)| {
                    Ok::<_, StoreError>((version_of("orders", row.order_id, version)?, state))
                });
                Ok(LoadedOrder {
                    order_id: OrderId(row.order_id),
                    row: state.transpose()?,
                    lane_tail: row.lane_tail,
                })
            })
            .collect()
    }

    /// Locks the stock rows of `skus` in SKU order and reads them. A SKU without a row is known to be unknown.
    ///
    /// `no key update`: nothing refers to a stock row by key, and readers are not held up.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn lock_stock(&mut self, skus: &[Sku]) -> Result<StockLevels, StoreError> {
        let mut levels = StockLevels::default();
        if skus.is_empty() {
            return Ok(levels);
        }
        let names: Vec<String> = skus.iter().map(|sku| sku.as_str().to_owned()).collect();
        let rows = sqlx::query!(
            "select sku, on_hand, reserved from stock
             where sku = any($1)
             order by sku
             for no key update",
            &names,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        for sku in skus {
            levels.insert(sku.clone(), None);
        }
        for row in rows {
            let sku =
                Sku::new(&row.sku).ok_or_else(|| StoreError::bad_cell("stock", "sku", &row.sku))?;
            let level = StockLevel { on_hand: row.on_hand, reserved: row.reserved };
            levels.insert(sku, Some(level));
        }
        Ok(levels)
    }
}

fn version_of(table: &'static str, key: Uuid, version: i64) -> Result<Version, StoreError> {
    u64::try_from(version).map(Version).map_err(|_| StoreError::bad_cell(table, "version", key))
}

fn fingerprint_of(
    table: &'static str,
    key: Uuid,
    bytes: &[u8],
) -> Result<Fingerprint, StoreError> {
    bytes
        .try_into()
        .map(Fingerprint)
        .map_err(|_| StoreError::bad_cell(table, "fingerprint", key))
}
