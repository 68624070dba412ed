//! What a batch must know before it decides.

use orderly_domain::{CommandId, OrderId, Sku, StockLevel, StockLevels, Version};
use orderly_protocol::{Fingerprint, Outcome, RecordedEvent};
use uuid::Uuid;

use super::BatchTransaction;
use crate::StoreError;
use crate::cell::Row;
use crate::event::EventCells;
use crate::holder::ending_stopped_holders;
use crate::store::bounded;

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
        let rows = bounded(
            sqlx::query!(
                r#"select command_id as "command_id!", fingerprint as "fingerprint!", outcome,
                      version, rejection ->> 'code' as code
               from commands where command_id = any($1)
               union all
               select command_id, fingerprint, null, null, null
               from lane_entries where command_id = any($1)"#,
                &ids,
            )
            .fetch_all(&mut *self.transaction),
        )
        .await?;
        rows.into_iter()
            .map(|cells| {
                let row = Row::new("commands", &cells.command_id);
                let outcome = match cells.outcome.zip(cells.version) {
                    None => None,
                    Some((outcome, version)) => Some((
                        Outcome::parse(&outcome).ok_or_else(|| row.bad("outcome", "an outcome"))?,
                        row.version("version", version)?,
                        cells.code,
                    )),
                };
                Ok(Known {
                    command_id: CommandId(cells.command_id),
                    fingerprint: row.fingerprint("fingerprint", &cells.fingerprint)?,
                    outcome,
                })
            })
            .collect()
    }

    /// Every event that was written in the transactions of these deliveries, in the order of the log.
    ///
    /// # Errors
    /// Any fault of the database, and an event that cannot be read.
    pub async fn events_of_deliveries(
        &mut self,
        deliveries: &[CommandId],
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = deliveries.iter().map(|id| id.0).collect();
        let events = bounded(
            sqlx::query_as!(
                EventCells,
                r#"select order_id, version, command_id, type as event_type, data::text as "data!",
                       recorded_at, traceparent
                   from events
                   where delivery_id = any($1)
                   order by log_id"#,
                &ids,
            )
            .fetch_all(&mut *self.transaction),
        )
        .await?;
        events.into_iter().map(RecordedEvent::try_from).collect()
    }

    /// Each of these orders and its lane. No row lock: behind the fence nobody else writes an order of this shard, and
    /// the write checks the version all the same.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn load(&mut self, ids: &[OrderId]) -> Result<Vec<LoadedOrder>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = bounded(
            sqlx::query!(
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
            .fetch_all(&mut *self.transaction),
        )
        .await?;
        rows.into_iter()
            .map(|cells| {
                let row = Row::new("orders", &cells.order_id);
                let found = match cells.version.zip(cells.state) {
                    None => None,
                    Some((version, state)) => Some((row.version("version", version)?, state)),
                };
                Ok(LoadedOrder {
                    order_id: OrderId(cells.order_id),
                    row: found,
                    lane_tail: cells.lane_tail,
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
        let locking = bounded(
            sqlx::query!(
                "select sku, on_hand, reserved from stock
             where sku = any($1)
             order by sku
             for no key update",
                &names,
            )
            .fetch_all(&mut *self.transaction),
        );
        let rows = ending_stopped_holders(&self.pool, self.pid, locking).await?;
        for sku in skus {
            levels.insert(sku.clone(), None);
        }
        for cells in rows {
            let sku = Row::new("stock", &cells.sku).sku("sku", &cells.sku)?;
            let level = StockLevel {
                on_hand: cells.on_hand,
                reserved: cells.reserved,
            };
            levels.insert(sku, Some(level));
        }
        Ok(levels)
    }
}
