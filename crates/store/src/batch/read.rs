//! What a batch must know before it decides.

use orderly_domain::{CommandId, OrderId, Sku, StockLevel, StockLevels, Version};
use orderly_protocol::{Fingerprint, Outcome, RecordedEvent};
use uuid::Uuid;

use super::BatchTransaction;
use crate::StoreError;
use crate::cell::Row;
use crate::event::EventCells;
use crate::holder::ending_stopped_holders;

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

/// What a batch finds of its commands and orders.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The command ids that are taken.
    pub known: Vec<Known>,
    /// Every order that was asked for.
    pub orders: Vec<LoadedOrder>,
}

impl BatchTransaction {
    /// Which of these command ids are taken (decided, or waiting in a lane), and each of these orders with its lane: one
    /// statement, one snapshot, one round trip.
    ///
    /// No row lock on an order: behind the fence nobody else writes an order of this shard, and the write checks the
    /// version all the same.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn dedupe_and_load(
        &mut self,
        commands: &[CommandId],
        orders: &[OrderId],
    ) -> Result<Found, StoreError> {
        let commands: Vec<Uuid> = commands.iter().map(|id| id.0).collect();
        let orders: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
        // A command's row has its fingerprint; an order's has none.
        let rows = self
            .sessions
            .bounded(
                sqlx::query!(
                    r#"select command_id as "id!", fingerprint, outcome, version,
                      rejection ->> 'code' as code, null as state, null::bigint as lane_tail
               from commands where command_id = any($1)
               union all
               select command_id, fingerprint, null, null, null, null, null
               from lane_entries where command_id = any($1)
               union all
               select wanted.order_id, null, null, orders.version, null, orders.state::text,
                      case when lanes.order_id is not null then
                          coalesce((select max(position) from lane_entries
                                    where lane_entries.order_id = lanes.order_id), 0)
                      end
               from unnest($2::uuid[]) as wanted (order_id)
               left join orders on orders.order_id = wanted.order_id
               left join lanes on lanes.order_id = wanted.order_id"#,
                    &commands,
                    &orders,
                )
                .fetch_all(&mut *self.session),
            )
            .await?;
        let mut found = Found::default();
        for cells in rows {
            if let Some(fingerprint) = cells.fingerprint {
                let row = Row::new("commands", &cells.id);
                let outcome = match cells.outcome.zip(cells.version) {
                    None => None,
                    Some((outcome, version)) => Some((
                        Outcome::parse(&outcome).ok_or_else(|| row.bad("outcome", "an outcome"))?,
                        row.version("version", version)?,
                        cells.code,
                    )),
                };
                found.known.push(Known {
                    command_id: CommandId(cells.id),
                    fingerprint: row.fingerprint("fingerprint", &fingerprint)?,
                    outcome,
                });
            } else {
                let row = Row::new("orders", &cells.id);
                let state = match cells.version.zip(cells.state) {
                    None => None,
                    Some((version, state)) => Some((row.version("version", version)?, state)),
                };
                found.orders.push(LoadedOrder {
                    order_id: OrderId(cells.id),
                    row: state,
                    lane_tail: cells.lane_tail,
                });
            }
        }
        Ok(found)
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
        let events = self.sessions.bounded(
            sqlx::query_as!(
                EventCells,
                r#"select order_id, version, command_id, type as event_type, data::text as "data!",
                       recorded_at, traceparent
                   from events
                   where delivery_id = any($1)
                   order by log_id"#,
                &ids,
            )
            .fetch_all(&mut *self.session),
        )
        .await?;
        events.into_iter().map(RecordedEvent::try_from).collect()
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
        let locking = self.sessions.bounded(
            sqlx::query!(
                "select sku, on_hand, reserved from stock
             where sku = any($1)
             order by sku
             for no key update",
                &names,
            )
            .fetch_all(&mut *self.session),
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
