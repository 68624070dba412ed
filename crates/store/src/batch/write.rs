//! What a batch leaves behind: one statement per table, each over arrays, so that the number of round trips does not
//! grow with the batch.

use orderly_domain::{OrderId, StockMovement, Version};

use super::BatchTransaction;
use super::row::{
    Conflict, DeadLetter, NewEvent, NewOutcome, OrderWrite, Parked, StockWriteRow, Writes,
};
use crate::StoreError;
use crate::cell::from_version;
use crate::store::bounded;

impl BatchTransaction {
    /// Writes everything. Outcomes come first: if another shard wrote one of their ids meanwhile, the violation of
    /// `commands_pkey` ends the transaction before it holds more locks.
    ///
    /// # Errors
    /// Any fault of the database, constraints by name, and an order that is not at the version it was loaded at.
    pub async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.insert_outcomes(&writes.outcomes).await?;
        self.insert_events(&writes.events).await?;
        let (new, changed): (Vec<_>, Vec<_>) = writes
            .orders
            .iter()
            .partition(|order| order.loaded == Version::NONE);
        self.insert_orders(&new).await?;
        self.update_orders(&changed).await?;
        self.update_stock(&writes.stock).await?;
        self.insert_movements(&writes.movements).await?;
        self.insert_conflicts(&writes.conflicts).await?;
        self.insert_parked(&writes.parked).await?;
        self.insert_dead_letters(&writes.dead_letters).await
    }

    /// Sorted by command id, so that two shards that meet in the index wait in one direction. Never `on conflict do
    /// nothing`: an id that another shard wrote first must fail here, for its outcome was not ours to decide.
    async fn insert_outcomes(&mut self, outcomes: &[NewOutcome]) -> Result<(), StoreError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let rejections = outcomes
            .iter()
            .map(|o| o.rejection.as_ref().map(serde_json::to_string).transpose())
            .collect::<Result<Vec<_>, _>>()
            .expect("texts serialize");
        let inserted = bounded(
            sqlx::query!(
                "insert into commands (command_id, order_id, producer, type, fingerprint, outcome,
                                   version, rejection, accepted_at, decided_at)
             select command_id, order_id, producer, type, fingerprint, outcome,
                    version, rejection::jsonb, accepted_at, $10
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::text[],
                         $7::bigint[], $8::text[], $9::timestamptz[])
                  as t (command_id, order_id, producer, type, fingerprint, outcome,
                        version, rejection, accepted_at)
             order by command_id",
                &column(outcomes, |o| o.command_id.0),
                &column(outcomes, |o| o.order_id.0),
                &column(outcomes, |o| o.producer.0),
                &column(outcomes, |o| o.action_type.clone()),
                &column(outcomes, |o| o.fingerprint.0.to_vec()),
                &column(outcomes, |o| o.outcome.as_str().to_owned()),
                &column(outcomes, |o| from_version(o.version)),
                &rejections as &[Option<String>],
                &column(outcomes, |o| o.accepted_at),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("commands", outcomes.len(), inserted.rows_affected())
    }

    async fn insert_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        // `order by place`: log_id is drawn row by row, and must follow the order in which the events happened.
        let inserted = bounded(
            sqlx::query!(
                "insert into events (order_id, version, command_id, delivery_id, type, data,
                                 traceparent, recorded_at)
             select order_id, version, command_id, delivery_id, type, data::jsonb, traceparent,
                    recorded_at
             from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                         $7::text[], $8::timestamptz[])
                  with ordinality
                  as t (order_id, version, command_id, delivery_id, type, data, traceparent,
                        recorded_at, place)
             order by place",
                &column(events, |e| e.event.order_id.0),
                &column(events, |e| from_version(e.event.version)),
                &column(events, |e| e.event.command_id.0),
                &column(events, |e| e.delivery_id.0),
                &column(events, |e| e.event.event_type.clone()),
                &column(events, |e| e.event.data.get().to_owned()),
                &column(events, |e| e.event.traceparent.clone()) as &[Option<String>],
                &column(events, |e| e.event.recorded_at),
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("events", events.len(), inserted.rows_affected())
    }

    async fn insert_orders(&mut self, orders: &[&OrderWrite]) -> Result<(), StoreError> {
        if orders.is_empty() {
            return Ok(());
        }
        let inserted = bounded(sqlx::query!(
            "insert into orders (order_id, version, status, held, customer_id, currency,
                                 total_minor, captured_minor, refunded_minor, refund_pending_minor,
                                 state, created_at, updated_at)
             select order_id, version, status, held, customer_id, currency,
                    total_minor, captured_minor, refunded_minor, refund_pending_minor,
                    state::jsonb, $12, $12
             from unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[],
                         $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
                  as t (order_id, version, status, held, customer_id, currency,
                        total_minor, captured_minor, refunded_minor, refund_pending_minor, state)",
            &column(orders, |o| o.order_id.0),
            &column(orders, |o| from_version(o.version)),
            &column(orders, |o| o.status.to_owned()),
            &column(orders, |o| o.held),
            &column(orders, |o| o.customer_id.clone()),
            &column(orders, |o| o.currency.clone()),
            &column(orders, |o| o.total_minor),
            &column(orders, |o| o.captured_minor),
            &column(orders, |o| o.refunded_minor),
            &column(orders, |o| o.refund_pending_minor),
            &column(orders, |o| o.state.clone()),
            self.at,
        )
        .execute(&mut *self.transaction))
        .await?;
        StoreError::expect_rows("orders", orders.len(), inserted.rows_affected())
    }

    /// Optimistic as well: an order that is not at the version the batch loaded is a fault, not a lost update.
    /// Customer and currency never change.
    async fn update_orders(&mut self, orders: &[&OrderWrite]) -> Result<(), StoreError> {
        if orders.is_empty() {
            return Ok(());
        }
        let updated = bounded(
            sqlx::query!(
                "update orders
             set version = t.version, status = t.status, held = t.held,
                 total_minor = t.total_minor, captured_minor = t.captured_minor,
                 refunded_minor = t.refunded_minor,
                 refund_pending_minor = t.refund_pending_minor,
                 state = t.state::jsonb, updated_at = $11
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::boolean[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
                  as t (order_id, loaded, version, status, held,
                        total_minor, captured_minor, refunded_minor, refund_pending_minor, state)
             where orders.order_id = t.order_id and orders.version = t.loaded",
                &column(orders, |o| o.order_id.0),
                &column(orders, |o| from_version(o.loaded)),
                &column(orders, |o| from_version(o.version)),
                &column(orders, |o| o.status.to_owned()),
                &column(orders, |o| o.held),
                &column(orders, |o| o.total_minor),
                &column(orders, |o| o.captured_minor),
                &column(orders, |o| o.refunded_minor),
                &column(orders, |o| o.refund_pending_minor),
                &column(orders, |o| o.state.clone()),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("orders", orders.len(), updated.rows_affected())
    }

    /// The rows are locked since [`Self::lock_stock`].
    async fn update_stock(&mut self, stock: &[StockWriteRow]) -> Result<(), StoreError> {
        if stock.is_empty() {
            return Ok(());
        }
        let updated = bounded(
            sqlx::query!(
                "update stock
             set on_hand = t.on_hand, reserved = t.reserved, updated_at = $4
             from unnest($1::text[], $2::bigint[], $3::bigint[]) as t (sku, on_hand, reserved)
             where stock.sku = t.sku",
                &column(stock, |s| s.sku.as_str().to_owned()),
                &column(stock, |s| s.level.on_hand),
                &column(stock, |s| s.level.reserved),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("stock", stock.len(), updated.rows_affected())
    }

    async fn insert_movements(
        &mut self,
        movements: &[(OrderId, Version, StockMovement)],
    ) -> Result<(), StoreError> {
        if movements.is_empty() {
            return Ok(());
        }
        let inserted = bounded(
            sqlx::query!(
                "insert into stock_movements (order_id, version, sku, on_hand, reserved)
             select order_id, version, sku, on_hand, reserved
             from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
                  as t (order_id, version, sku, on_hand, reserved)",
                &column(movements, |(order_id, _, _)| order_id.0),
                &column(movements, |(_, version, _)| from_version(*version)),
                &column(movements, |(_, _, moved)| moved.sku.as_str().to_owned()),
                &column(movements, |(_, _, moved)| moved.on_hand),
                &column(movements, |(_, _, moved)| moved.reserved),
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("stock_movements", movements.len(), inserted.rows_affected())
    }

    /// A redelivery finds the same conflict again: recorded once.
    async fn insert_conflicts(&mut self, conflicts: &[Conflict]) -> Result<(), StoreError> {
        if conflicts.is_empty() {
            return Ok(());
        }
        bounded(
            sqlx::query!(
                "insert into command_conflicts (command_id, fingerprint, order_id, producer, type,
                                            accepted_at, seen_at)
             select command_id, fingerprint, order_id, producer, type, accepted_at, $7
             from unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::text[],
                         $6::timestamptz[])
                  as t (command_id, fingerprint, order_id, producer, type, accepted_at)
             order by command_id, fingerprint
             on conflict on constraint command_conflicts_pkey do nothing",
                &column(conflicts, |c| c.command_id.0),
                &column(conflicts, |c| c.fingerprint.0.to_vec()),
                &column(conflicts, |c| c.order_id.0),
                &column(conflicts, |c| c.producer.0),
                &column(conflicts, |c| storable(&c.action_type)),
                &column(conflicts, |c| c.accepted_at),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        Ok(())
    }

    async fn insert_parked(&mut self, parked: &[Parked]) -> Result<(), StoreError> {
        if parked.is_empty() {
            return Ok(());
        }
        let begun: Vec<_> = parked
            .iter()
            .filter_map(|p| p.reason.as_ref().map(|reason| (p.order_id, reason)))
            .collect();
        let lanes = bounded(
            sqlx::query!(
                "insert into lanes (order_id, reason, detail, parked_at)
             select order_id, reason, detail, $4
             from unnest($1::uuid[], $2::text[], $3::text[]) as t (order_id, reason, detail)",
                &column(&begun, |(order_id, _)| order_id.0),
                &column(&begun, |(_, reason)| reason.code.to_owned()),
                &column(&begun, |(_, reason)| storable(&reason.detail)),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("lanes", begun.len(), lanes.rows_affected())?;
        let entries = bounded(
            sqlx::query!(
            "insert into lane_entries (order_id, position, command_id, producer, type, fingerprint,
                                       envelope, accepted_at, parked_at)
             select order_id, position, command_id, producer, type, fingerprint,
                    envelope, accepted_at, $9
             from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::bytea[],
                         $7::bytea[], $8::timestamptz[])
                  as t (order_id, position, command_id, producer, type, fingerprint,
                        envelope, accepted_at)
             order by command_id",
            &column(parked, |p| p.order_id.0),
            &column(parked, |p| p.position),
            &column(parked, |p| p.command_id.0),
            &column(parked, |p| p.producer.0),
            &column(parked, |p| storable(&p.action_type)),
            &column(parked, |p| p.fingerprint.0.to_vec()),
            &column(parked, |p| p.envelope.clone()),
            &column(parked, |p| p.accepted_at),
            self.at,
        )
            .execute(&mut *self.transaction),
        )
        .await?;
        StoreError::expect_rows("lane_entries", parked.len(), entries.rows_affected())
    }

    /// A redelivery is the same dead letter: recorded once.
    async fn insert_dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        bounded(
            sqlx::query!(
                "insert into dead_letters (body_hash, body, headers, reason, detail,
                                       generation, shard, received_at)
             select body_hash, body, headers::jsonb, reason, detail, generation, shard, $8
             from unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[],
                         $6::integer[], $7::integer[])
                  as t (body_hash, body, headers, reason, detail, generation, shard)
             order by body_hash
             on conflict on constraint dead_letters_once do nothing",
                &column(letters, |l| l.body_hash.to_vec()),
                &column(letters, |l| l.body.clone()),
                &column(letters, |l| l.headers.replace(r"\u0000", r"\ufffd")),
                &column(letters, |l| l.reason.to_owned()),
                &column(letters, |l| storable(&l.detail)),
                &column(letters, |l| l.shard.generation),
                &column(letters, |l| l.shard.shard),
                self.at,
            )
            .execute(&mut *self.transaction),
        )
        .await?;
        Ok(())
    }
}

/// One column of the rows, for `unnest`.
fn column<Row, Cell>(rows: &[Row], cell: impl Fn(&Row) -> Cell) -> Vec<Cell> {
    rows.iter().map(cell).collect()
}

/// Postgres keeps every character in a text but NUL (in `jsonb` not even escaped). What cannot be applied has to be kept
/// whatever it says, or it would come back for ever; its bytes stay exact beside these words.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
