//! What a batch leaves behind, over arrays: the number of round trips does not grow with the batch, and what every batch
//! writes is one statement.

use orderly_domain::Version;

use super::BatchTransaction;
use super::row::{Conflict, DeadLetter, Parked, Writes, storable};
use crate::StoreError;
use crate::cell::from_version;

impl BatchTransaction {
    /// Writes everything. An error ends the transaction.
    ///
    /// # Errors
    /// Any fault of the database, constraints by name, and an order that is not at the version it was loaded at.
    pub async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.write_decided(writes).await?;
        if let Some(lane) = &writes.lane {
            self.write_lane(lane).await?;
        }
        if let Some(control) = &writes.control {
            self.insert_control(control).await?;
        }
        self.insert_conflicts(&writes.conflicts).await?;
        self.insert_parked(&writes.parked).await?;
        self.insert_dead_letters(&writes.dead_letters).await
    }

    /// What decisions leave, in one statement with one part a table.
    ///
    /// - Outcomes are sorted by command id, so that two shards that meet in the index wait in one direction. Never `on
    ///   conflict do nothing`: an id that another shard wrote first must fail here, for its outcome was not ours to decide.
    /// - Events are sorted by their place: `log_id` is drawn row by row, and follows the order in which they happened.
    /// - Orders are written optimistically as well: one that is not at the version the batch loaded is a fault, not a lost
    ///   update. Customer and currency never change.
    /// - Stock rows are locked since [`Self::lock_stock`].
    ///
    /// Only outcomes and stock are shared with other shards, so the order of the parts matters to nobody.
    #[allow(
        clippy::too_many_lines,
        reason = "one statement with one part a table, and its columns"
    )]
    async fn write_decided(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let Writes {
            outcomes,
            events,
            orders,
            stock,
            movements,
            ..
        } = writes;
        let decided = [outcomes.len(), events.len(), orders.len(), stock.len()];
        if decided.iter().all(|rows| *rows == 0) && movements.is_empty() {
            return Ok(());
        }
        let rejections = outcomes
            .iter()
            .map(|o| o.rejection.as_ref().map(serde_json::to_string).transpose())
            .collect::<Result<Vec<_>, _>>()
            .expect("texts serialize");
        let written = self.sessions.bounded(
            sqlx::query!(
                r#"with outcomes as (
                 insert into commands (command_id, order_id, producer, type, fingerprint, outcome,
                                       version, rejection, accepted_at, decided_at)
                 select command_id, order_id, producer, type, fingerprint, outcome,
                        version, rejection::jsonb, accepted_at, $1
                 from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bytea[], $7::text[],
                             $8::bigint[], $9::text[], $10::timestamptz[])
                      as t (command_id, order_id, producer, type, fingerprint, outcome,
                            version, rejection, accepted_at)
                 order by command_id
                 returning 1
             ), happened as (
                 insert into events (order_id, version, command_id, delivery_id, type, data,
                                     traceparent, recorded_at)
                 select order_id, version, command_id, delivery_id, type, data::jsonb, traceparent,
                        recorded_at
                 from unnest($11::uuid[], $12::bigint[], $13::uuid[], $14::uuid[], $15::text[],
                             $16::text[], $17::text[], $18::timestamptz[])
                      with ordinality
                      as t (order_id, version, command_id, delivery_id, type, data, traceparent,
                            recorded_at, place)
                 order by place
                 returning 1
             ), after as (
                 select *
                 from unnest($19::uuid[], $20::bigint[], $21::bigint[], $22::text[], $23::boolean[],
                             $24::text[], $25::text[], $26::bigint[], $27::bigint[], $28::bigint[],
                             $29::bigint[], $30::text[])
                      as t (order_id, loaded, version, status, held, customer_id, currency,
                            total_minor, captured_minor, refunded_minor, refund_pending_minor, state)
             ), placed as (
                 insert into orders (order_id, version, status, held, customer_id, currency,
                                     total_minor, captured_minor, refunded_minor,
                                     refund_pending_minor, state, created_at, updated_at)
                 select order_id, version, status, held, customer_id, currency,
                        total_minor, captured_minor, refunded_minor,
                        refund_pending_minor, state::jsonb, $1, $1
                 from after where loaded = $31
                 returning 1
             ), changed as (
                 update orders
                 set version = after.version, status = after.status, held = after.held,
                     total_minor = after.total_minor, captured_minor = after.captured_minor,
                     refunded_minor = after.refunded_minor,
                     refund_pending_minor = after.refund_pending_minor,
                     state = after.state::jsonb, updated_at = $1
                 from after
                 where orders.order_id = after.order_id and orders.version = after.loaded
                 returning 1
             ), levels as (
                 update stock
                 set on_hand = t.on_hand, reserved = t.reserved, updated_at = $1
                 from unnest($32::text[], $33::bigint[], $34::bigint[]) as t (sku, on_hand, reserved)
                 where stock.sku = t.sku
                 returning 1
             ), moved as (
                 insert into stock_movements (order_id, version, sku, on_hand, reserved)
                 select order_id, version, sku, on_hand, reserved
                 from unnest($35::uuid[], $36::bigint[], $37::text[], $38::bigint[], $39::bigint[])
                      as t (order_id, version, sku, on_hand, reserved)
                 returning 1
             )
             select (select count(*) from outcomes) as "outcomes!",
                    (select count(*) from happened) as "events!",
                    (select count(*) from placed) + (select count(*) from changed) as "orders!",
                    (select count(*) from levels) as "stock!",
                    (select count(*) from moved) as "movements!""#,
                self.at,
                &column(outcomes, |o| o.command_id.0),
                &column(outcomes, |o| o.order_id.0),
                &column(outcomes, |o| o.producer.0),
                &column(outcomes, |o| o.action_type.clone()),
                &column(outcomes, |o| o.fingerprint.0.to_vec()),
                &column(outcomes, |o| o.outcome.as_str().to_owned()),
                &column(outcomes, |o| from_version(o.version)),
                &rejections as &[Option<String>],
                &column(outcomes, |o| o.accepted_at),
                &column(events, |e| e.event.order_id.0),
                &column(events, |e| from_version(e.event.version)),
                &column(events, |e| e.event.command_id.0),
                &column(events, |e| e.delivery_id.0),
                &column(events, |e| e.event.event_type.clone()),
                &column(events, |e| e.event.data.get().to_owned()),
                &column(events, |e| e.event.traceparent.clone()) as &[Option<String>],
                &column(events, |e| e.event.recorded_at),
                &column(orders, |o| o.order_id.0),
                &column(orders, |o| from_version(o.loaded)),
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
                from_version(Version::NONE),
                &column(stock, |s| s.sku.as_str().to_owned()),
                &column(stock, |s| s.level.on_hand),
                &column(stock, |s| s.level.reserved),
                &column(movements, |(order_id, _, _)| order_id.0),
                &column(movements, |(_, version, _)| from_version(*version)),
                &column(movements, |(_, _, moved)| moved.sku.as_str().to_owned()),
                &column(movements, |(_, _, moved)| moved.on_hand),
                &column(movements, |(_, _, moved)| moved.reserved),
            )
            .fetch_one(&mut *self.session),
        )
        .await?;
        StoreError::expect_rows("commands", outcomes.len(), written.outcomes.cast_unsigned())?;
        StoreError::expect_rows("events", events.len(), written.events.cast_unsigned())?;
        StoreError::expect_rows("orders", orders.len(), written.orders.cast_unsigned())?;
        StoreError::expect_rows("stock", stock.len(), written.stock.cast_unsigned())?;
        StoreError::expect_rows(
            "stock_movements",
            movements.len(),
            written.movements.cast_unsigned(),
        )
    }

    /// A redelivery finds the same conflict again: recorded once.
    async fn insert_conflicts(&mut self, conflicts: &[Conflict]) -> Result<(), StoreError> {
        if conflicts.is_empty() {
            return Ok(());
        }
        self.sessions
            .bounded(
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
                .execute(&mut *self.session),
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
        let lanes = self
            .sessions
            .bounded(
                sqlx::query!(
                    "insert into lanes (order_id, reason, detail, parked_at)
             select order_id, reason, detail, $4
             from unnest($1::uuid[], $2::text[], $3::text[]) as t (order_id, reason, detail)",
                    &column(&begun, |(order_id, _)| order_id.0),
                    &column(&begun, |(_, reason)| reason.code.to_owned()),
                    &column(&begun, |(_, reason)| storable(&reason.detail)),
                    self.at,
                )
                .execute(&mut *self.session),
            )
            .await?;
        StoreError::expect_rows("lanes", begun.len(), lanes.rows_affected())?;
        let entries = self
            .sessions
            .bounded(
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
                .execute(&mut *self.session),
            )
            .await?;
        StoreError::expect_rows("lane_entries", parked.len(), entries.rows_affected())
    }

    /// A redelivery is the same dead letter: recorded once. What comes again after it was resolved is open again, since nobody can
    /// tell it from a late redelivery, and what is not seen would be lost.
    async fn insert_dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.sessions
            .bounded(
                sqlx::query!(
                    "insert into dead_letters (body_hash, body, headers, reason, detail,
                                       generation, shard, received_at)
             select body_hash, body, headers::jsonb, reason, detail, generation, shard, $8
             from unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[],
                         $6::integer[], $7::integer[])
                  as t (body_hash, body, headers, reason, detail, generation, shard)
             order by body_hash
             on conflict on constraint dead_letters_once do update
             set arrival = dead_letters.arrival + 1, received_at = excluded.received_at,
                 headers = excluded.headers, reason = excluded.reason, detail = excluded.detail,
                 generation = excluded.generation, shard = excluded.shard, resolution = null,
                 resolved_at = null, resolved_by = null, resolve_reason = null, command_ids = '{}'
             where dead_letters.resolution is not null",
                    &column(letters, |l| l.body_hash.to_vec()),
                    &column(letters, |l| l.body.clone()),
                    &column(letters, |l| l.headers.replace(r"\u0000", r"\ufffd")),
                    &column(letters, |l| l.reason.to_owned()),
                    &column(letters, |l| storable(&l.detail)),
                    &column(letters, |l| l.shard.generation),
                    &column(letters, |l| l.shard.shard),
                    self.at,
                )
                .execute(&mut *self.session),
            )
            .await?;
        Ok(())
    }
}

/// One column of the rows, for `unnest`.
fn column<Row, Cell>(rows: &[Row], cell: impl Fn(&Row) -> Cell) -> Vec<Cell> {
    rows.iter().map(cell).collect()
}
