//! One command in one transaction: begin, lock and read the order, look the id up (one round trip); decide; update the
//! order, insert event and outcome, commit (another). Statements are prepared.

use anyhow::{Result, bail, ensure};
use orderly_domain::{Command, Decision, Order, StockLevels, decide, evolve};
use orderly_protocol::{Fingerprint, RejectionBody, event_data, order_state, parse_order_state};
use time::OffsetDateTime;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::PRODUCER;
use crate::db::{self, Parameter};

/// A command and its fingerprint.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) fingerprint: Fingerprint,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) outcome: &'static str,
    pub(super) version: i64,
}

/// A connection with its statements.
pub(super) struct Connection {
    client: Client,
    begin: Statement,
    lock: Statement,
    dedupe: Statement,
    update: Statement,
    event: Statement,
    outcome: Statement,
    commit: Statement,
}

impl Connection {
    pub(super) async fn open(database_url: &str) -> Result<Self> {
        let client = db::connect_measured(database_url).await?;
        let lock = "select version, state::text, clock_timestamp()
             from orders where order_id = $1 for update";
        let dedupe = "select outcome, version from commands where command_id = $1";
        let update = "update orders
             set version = $3, status = $4, held = $5, total_minor = $6, captured_minor = $7,
                 refunded_minor = $8, refund_pending_minor = $9, state = $10::text::jsonb,
                 updated_at = $11
             where order_id = $1 and version = $2";
        let event = "insert into events
                 (order_id, version, command_id, delivery_id, type, data, recorded_at)
             values ($1, $2, $3, $3, $4, $5::text::jsonb, $6)";
        let outcome =
            "insert into commands (command_id, order_id, producer, type, fingerprint, outcome,
                 version, rejection, accepted_at, decided_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9, $9)";
        Ok(Self {
            begin: client.prepare("begin").await?,
            lock: client.prepare(lock).await?,
            dedupe: client.prepare(dedupe).await?,
            update: client.prepare(update).await?,
            event: client.prepare(event).await?,
            outcome: client.prepare(outcome).await?,
            commit: client.prepare("commit").await?,
            client,
        })
    }

    /// Applies or rejects one command, once.
    pub(super) async fn settle(&mut self, request: &Request) -> Result<Settled> {
        let settled = self.attempt(request).await;
        if settled.is_err() {
            // Whatever state it was left in.
            self.client.batch_execute("rollback").await?;
        }
        settled
    }

    async fn attempt(&self, request: &Request) -> Result<Settled> {
        let Request { command, .. } = request;
        let order_id = command.order_id.0;
        // Each future sends its message when it is polled first, and join polls them in order: one round trip. The
        // statement after the lock takes its snapshot after the lock.
        let order: [Parameter<'_>; 1] = [&order_id];
        let id: [Parameter<'_>; 1] = [&command.command_id.0];
        let (begun, row, known) = tokio::join!(
            self.client.execute(&self.begin, &[]),
            self.client.query_opt(&self.lock, &order),
            self.client.query_opt(&self.dedupe, &id),
        );
        begun?;
        if let Some(known) = known? {
            self.client.execute(&self.commit, &[]).await?;
            let outcome: &str = known.get(0);
            return Ok(Settled {
                outcome: if outcome == "applied" {
                    "applied"
                } else {
                    "rejected"
                },
                version: known.get(1),
            });
        }
        let (before, at) = match row? {
            None => (None, OffsetDateTime::now_utc()),
            Some(row) => (Some(parse_order_state(row.get(1))?), row.get(2)),
        };
        // What needs stock would lock its rows here; the bench sends nothing that does.
        ensure!(
            !command.action.touches_stock(),
            "no command that moves stock"
        );
        match decide(before.as_ref(), &StockLevels::default(), command)? {
            Decision::Applied(event) => {
                let after = evolve(before.as_ref(), command.order_id, &event)?;
                self.write(request, before.as_ref(), &event, &after, at)
                    .await
            }
            Decision::Rejected(rejection) => {
                let version = i64::try_from(rejection.version.0)?;
                let body = serde_json::to_string(&RejectionBody::new(&rejection, before.as_ref()))?;
                let (inserted, committed) = tokio::join!(
                    self.insert_outcome(request, "rejected", version, Some(&body), at),
                    self.client.execute(&self.commit, &[]),
                );
                inserted?;
                committed?;
                Ok(Settled {
                    outcome: "rejected",
                    version,
                })
            }
        }
    }

    async fn write(
        &self,
        request: &Request,
        before: Option<&Order>,
        event: &orderly_domain::Event,
        after: &Order,
        at: OffsetDateTime,
    ) -> Result<Settled> {
        let loaded = i64::try_from(before.map_or(0, |order| order.version.0))?;
        let version = i64::try_from(after.version.0)?;
        let order_id: Uuid = after.order_id.0;
        let (data, state) = (event_data(after, event), order_state(after));
        let (status, held) = (after.status.as_str(), after.held());
        let (total, captured) = (after.total_minor(), after.captured_minor());
        let (refunded, pending) = (after.refunded_minor(), after.refund_pending_minor());
        let changed: [Parameter<'_>; 11] = [
            &order_id, &loaded, &version, &status, &held, &total, &captured, &refunded, &pending,
            &state, &at,
        ];
        let (command_id, name, data) = (request.command.command_id.0, event.name(), data.get());
        let happened: [Parameter<'_>; 6] = [&order_id, &version, &command_id, &name, &data, &at];
        let (updated, recorded, inserted, committed) = tokio::join!(
            self.client.execute(&self.update, &changed),
            self.client.execute(&self.event, &happened),
            self.insert_outcome(request, "applied", version, None, at),
            self.client.execute(&self.commit, &[]),
        );
        // A failed statement makes the commit a rollback; a lock held since the read makes a lost update impossible.
        if updated? != 1 {
            bail!("the order was not at the version it was locked at");
        }
        recorded?;
        inserted?;
        committed?;
        Ok(Settled {
            outcome: "applied",
            version,
        })
    }

    async fn insert_outcome(
        &self,
        request: &Request,
        outcome: &str,
        version: i64,
        rejection: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<u64, tokio_postgres::Error> {
        let Request {
            command,
            fingerprint,
        } = request;
        let parameters: &[Parameter<'_>] = &[
            &command.command_id.0,
            &command.order_id.0,
            &PRODUCER.0,
            &command.action.name(),
            &fingerprint.0.as_slice(),
            &outcome,
            &version,
            &rejection,
            &at,
        ];
        self.client.execute(&self.outcome, parameters).await
    }
}
