//! Rows as Orderly's batches write them: the same tables, columns and `unnest` statements, by a pipelining driver.

use anyhow::{Result, ensure};
use time::OffsetDateTime;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

/// The columns of outcomes; all are applied.
#[derive(Debug, Default)]
pub(crate) struct Outcomes<'a> {
    pub(crate) command_id: Vec<Uuid>,
    pub(crate) order_id: Vec<Uuid>,
    pub(crate) producer: Vec<Uuid>,
    pub(crate) action_type: Vec<&'a str>,
    pub(crate) fingerprint: Vec<&'a [u8]>,
    pub(crate) outcome: Vec<&'a str>,
    pub(crate) version: Vec<i64>,
    pub(crate) rejection: Vec<Option<&'a str>>,
    pub(crate) accepted_at: Vec<OffsetDateTime>,
}

/// The columns of events.
#[derive(Debug, Default)]
pub(crate) struct Events<'a> {
    pub(crate) order_id: Vec<Uuid>,
    pub(crate) version: Vec<i64>,
    pub(crate) command_id: Vec<Uuid>,
    pub(crate) event_type: Vec<&'a str>,
    pub(crate) data: Vec<&'a str>,
    pub(crate) traceparent: Vec<Option<&'a str>>,
    pub(crate) recorded_at: Vec<OffsetDateTime>,
}

/// The columns of orders; customer and currency are the same everywhere.
#[derive(Debug, Default)]
pub(crate) struct Orders<'a> {
    pub(crate) order_id: Vec<Uuid>,
    pub(crate) loaded: Vec<i64>,
    pub(crate) version: Vec<i64>,
    pub(crate) total_minor: Vec<i64>,
    pub(crate) state: Vec<&'a str>,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn push(
        &mut self,
        command_id: Uuid,
        order_id: Uuid,
        version: i64,
        action_type: &'a str,
        at: OffsetDateTime,
    ) {
        self.command_id.push(command_id);
        self.order_id.push(order_id);
        self.producer.push(Uuid::nil());
        self.action_type.push(action_type);
        self.fingerprint.push(&[7; 32]);
        self.outcome.push("applied");
        self.version.push(version);
        self.rejection.push(None);
        self.accepted_at.push(at);
    }
}

impl<'a> Events<'a> {
    pub(crate) fn push(
        &mut self,
        command_id: Uuid,
        order_id: Uuid,
        version: i64,
        (event_type, data): (&'a str, &'a str),
        at: OffsetDateTime,
    ) {
        self.command_id.push(command_id);
        self.order_id.push(order_id);
        self.version.push(version);
        self.event_type.push(event_type);
        self.data.push(data);
        self.traceparent.push(None);
        self.recorded_at.push(at);
    }
}

/// The statements, prepared on one connection.
pub(crate) struct Writer {
    outcomes: Statement,
    events: Statement,
    insert_orders: Statement,
    update_orders: Statement,
}

impl Writer {
    pub(crate) async fn prepare(client: &Client) -> Result<Self> {
        let outcomes =
            "insert into commands (command_id, order_id, producer, type, fingerprint, outcome,
                                       version, rejection, accepted_at, decided_at)
             select command_id, order_id, producer, type, fingerprint, outcome,
                    version, rejection::jsonb, accepted_at, $10
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::text[],
                         $7::bigint[], $8::text[], $9::timestamptz[])
                  as t (command_id, order_id, producer, type, fingerprint, outcome,
                        version, rejection, accepted_at)
             order by command_id";
        let events = "insert into events (order_id, version, command_id, delivery_id, type, data,
                                     traceparent, recorded_at)
             select order_id, version, command_id, delivery_id, type, data::jsonb, traceparent,
                    recorded_at
             from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                         $7::text[], $8::timestamptz[])
                  with ordinality
                  as t (order_id, version, command_id, delivery_id, type, data, traceparent,
                        recorded_at, place)
             order by place";
        let insert_orders =
            "insert into orders (order_id, version, status, held, customer_id, currency,
                                     total_minor, captured_minor, refunded_minor,
                                     refund_pending_minor, state, created_at, updated_at)
             select order_id, version, 'placed', false, 'bench-customer', 'EUR', total_minor,
                    0, 0, 0, state::jsonb, $5, $5
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
                  as t (order_id, version, total_minor, state)";
        let update_orders = "update orders
             set version = t.version, status = t.status, held = t.held,
                 total_minor = t.total_minor, captured_minor = t.captured_minor,
                 refunded_minor = t.refunded_minor,
                 refund_pending_minor = t.refund_pending_minor,
                 state = t.state::jsonb, updated_at = $11
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::boolean[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
                  as t (order_id, loaded, version, status, held,
                        total_minor, captured_minor, refunded_minor, refund_pending_minor, state)
             where orders.order_id = t.order_id and orders.version = t.loaded";
        Ok(Self {
            outcomes: client.prepare(outcomes).await?,
            events: client.prepare(events).await?,
            insert_orders: client.prepare(insert_orders).await?,
            update_orders: client.prepare(update_orders).await?,
        })
    }

    pub(crate) async fn insert_outcomes(
        &self,
        client: &Client,
        rows: &Outcomes<'_>,
        at: OffsetDateTime,
    ) -> Result<()> {
        let inserted = client
            .execute(
                &self.outcomes,
                &[
                    &rows.command_id,
                    &rows.order_id,
                    &rows.producer,
                    &rows.action_type,
                    &rows.fingerprint,
                    &rows.outcome,
                    &rows.version,
                    &rows.rejection,
                    &rows.accepted_at,
                    &at,
                ],
            )
            .await?;
        ensure!(
            inserted == rows.command_id.len() as u64,
            "outcomes were not inserted"
        );
        Ok(())
    }

    /// Each is its own delivery.
    pub(crate) async fn insert_events(&self, client: &Client, rows: &Events<'_>) -> Result<()> {
        let inserted = client
            .execute(
                &self.events,
                &[
                    &rows.order_id,
                    &rows.version,
                    &rows.command_id,
                    &rows.command_id,
                    &rows.event_type,
                    &rows.data,
                    &rows.traceparent,
                    &rows.recorded_at,
                ],
            )
            .await?;
        ensure!(
            inserted == rows.order_id.len() as u64,
            "events were not inserted"
        );
        Ok(())
    }

    pub(crate) async fn insert_orders(
        &self,
        client: &Client,
        rows: &Orders<'_>,
        at: OffsetDateTime,
    ) -> Result<()> {
        let inserted = client
            .execute(
                &self.insert_orders,
                &[
                    &rows.order_id,
                    &rows.version,
                    &rows.total_minor,
                    &rows.state,
                    &at,
                ],
            )
            .await?;
        ensure!(
            inserted == rows.order_id.len() as u64,
            "orders were not inserted"
        );
        Ok(())
    }

    pub(crate) async fn update_orders(
        &self,
        client: &Client,
        rows: &Orders<'_>,
        at: OffsetDateTime,
    ) -> Result<()> {
        let count = rows.order_id.len();
        let (status, held, nothing) = (
            vec!["placed"; count],
            vec![false; count],
            vec![0_i64; count],
        );
        let updated = client
            .execute(
                &self.update_orders,
                &[
                    &rows.order_id,
                    &rows.loaded,
                    &rows.version,
                    &status,
                    &held,
                    &rows.total_minor,
                    &nothing,
                    &nothing,
                    &nothing,
                    &rows.state,
                    &at,
                ],
            )
            .await?;
        ensure!(updated == count as u64, "an order was not at its version");
        Ok(())
    }
}
