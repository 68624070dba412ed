//! Reads of commands: what became of one, where one waits, and which were refused for a reused key.

use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_protocol::{CommandOutcome, Fingerprint, Outcome, RejectionBody, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// A command that waits in the lane of its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCommand {
    /// Which.
    pub command_id: CommandId,
    /// The order whose lane it waits in.
    pub order_id: OrderId,
    /// Who sent it.
    pub producer: ProducerId,
    /// Its type, such as `ship`.
    pub action_type: String,
    /// Of the request that became this command.
    pub fingerprint: Fingerprint,
    /// When the ingress accepted it.
    pub accepted_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// The cells of an outcome, as every statement that reads outcomes selects them.
pub(crate) struct OutcomeCells {
    pub(crate) command_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) producer: Uuid,
    pub(crate) action_type: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) outcome: String,
    pub(crate) version: i64,
    pub(crate) rejection: Option<String>,
    pub(crate) accepted_at: OffsetDateTime,
    pub(crate) decided_at: OffsetDateTime,
}

struct ParkedCells {
    command_id: Uuid,
    order_id: Uuid,
    producer: Uuid,
    action_type: String,
    fingerprint: Vec<u8>,
    accepted_at: OffsetDateTime,
    parked_at: OffsetDateTime,
}

impl Store {
    /// The final outcome of a command, if it has one.
    ///
    /// # Errors
    /// Any fault of the database, and an outcome that cannot be read.
    pub async fn outcome(
        &self,
        command_id: CommandId,
    ) -> Result<Option<CommandOutcome>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                OutcomeCells,
                r#"select command_id, order_id, producer, type as action_type, fingerprint, outcome,
                       version, rejection::text, accepted_at, decided_at
                   from commands where command_id = $1"#,
                command_id.0,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        cells.map(CommandOutcome::try_from).transpose()
    }

    /// The command, if it is parked.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn parked(&self, command_id: CommandId) -> Result<Option<ParkedCommand>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                ParkedCells,
                "select command_id, order_id, producer, type as action_type, fingerprint,
                     accepted_at, parked_at
                 from lane_entries where command_id = $1",
                command_id.0,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        cells.map(ParkedCommand::try_from).transpose()
    }

    /// How many requests came with the id of another request, and were never applied.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn command_conflicts(&self) -> Result<i64, StoreError> {
        bounded(
            sqlx::query_scalar!(r#"select count(*) as "count!" from command_conflicts"#)
                .fetch_one(self.pool()),
        )
        .await
    }
}

impl TryFrom<OutcomeCells> for CommandOutcome {
    type Error = StoreError;

    fn try_from(cells: OutcomeCells) -> Result<Self, StoreError> {
        let row = Row::new("commands", &cells.command_id);
        let rejection = |text: String| {
            serde_json::from_str::<RejectionBody>(&text)
                .map_err(|_| row.bad("rejection", "a rejection"))
        };
        Ok(Self {
            command_id: CommandId(cells.command_id),
            order_id: OrderId(cells.order_id),
            producer: ProducerId(cells.producer),
            action_type: cells.action_type,
            fingerprint: row.fingerprint("fingerprint", &cells.fingerprint)?,
            outcome: Outcome::parse(&cells.outcome)
                .ok_or_else(|| row.bad("outcome", "an outcome"))?,
            version: row.version("version", cells.version)?,
            rejection: cells.rejection.map(rejection).transpose()?,
            accepted_at: cells.accepted_at,
            decided_at: cells.decided_at,
        })
    }
}

impl TryFrom<ParkedCells> for ParkedCommand {
    type Error = StoreError;

    fn try_from(cells: ParkedCells) -> Result<Self, StoreError> {
        let row = Row::new("lane_entries", &cells.command_id);
        Ok(Self {
            command_id: CommandId(cells.command_id),
            order_id: OrderId(cells.order_id),
            producer: ProducerId(cells.producer),
            action_type: cells.action_type,
            fingerprint: row.fingerprint("fingerprint", &cells.fingerprint)?,
            accepted_at: cells.accepted_at,
            parked_at: cells.parked_at,
        })
    }
}
