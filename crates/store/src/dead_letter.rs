//! Dead letters: bytes that could not be read or named no order, kept until an operator says what becomes of each. A resolved one
//! stays; nothing is purged.

use orderly_domain::CommandId;
use orderly_protocol::{ShardId, Timestamp};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{AuditEntry, Store, StoreError, audit};

/// A dead letter without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// Which.
    pub dead_letter_id: i64,
    /// SHA-256 of its bytes.
    pub body_hash: [u8; 32],
    /// How many bytes it has.
    pub bytes: i64,
    /// Why it could not be applied, as a stable code.
    pub reason: String,
    /// The same for a person.
    pub detail: String,
    /// Where it came from.
    pub shard: ShardId,
    /// When it came last.
    pub received_at: Timestamp,
    /// 1, and one more for each time that it came again after it was resolved.
    pub arrival: i32,
    /// What became of it; nothing while it is open.
    pub resolution: Option<DeadLetterResolution>,
}

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterResolution {
    /// `retried`, `repaired` or `discarded`.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// The actor, as the audit names it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// The commands that it became, in order.
    pub command_ids: Vec<CommandId>,
}

/// A dead letter with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// What is known of it.
    pub summary: DeadLetterSummary,
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// The message's headers, as JSON.
    pub headers: String,
}

/// A dead letter that nobody else can resolve meanwhile. Dropped, it is left as it was.
#[derive(Debug)]
pub struct HeldDeadLetter {
    letter: DeadLetterRow,
    tx: Transaction<'static, Postgres>,
}

/// How a dead letter is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolutionKind {
    /// Sent again as it is.
    Retried,
    /// Another command was sent for it.
    Repaired,
    /// Nothing will come of it.
    Discarded,
}

impl ResolutionKind {
    /// Its name, as the table has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Repaired => "repaired",
            Self::Discarded => "discarded",
        }
    }
}

struct SummaryCells {
    dead_letter_id: i64,
    body_hash: Vec<u8>,
    bytes: i32,
    reason: String,
    detail: String,
    generation: i32,
    shard: i32,
    received_at: OffsetDateTime,
    arrival: i32,
    resolution: Option<String>,
    resolved_at: Option<OffsetDateTime>,
    resolved_by: Option<String>,
    resolve_reason: Option<String>,
    command_ids: Vec<Uuid>,
}

struct BodyCells {
    body: Vec<u8>,
    headers: String,
}

impl Store {
    /// How many dead letters are open.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn dead_letters(&self) -> Result<i64, StoreError> {
        bounded(
            sqlx::query_scalar!(
                r#"select count(*) as "count!" from dead_letters where resolution is null"#
            )
            .fetch_one(self.pool()),
        )
        .await
    }

    /// Up to `limit` dead letters before the one with id `before`, newest first; all of them, or only the open or the resolved.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn list_dead_letters(
        &self,
        open: Option<bool>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                SummaryCells,
                r#"select dead_letter_id, body_hash, octet_length(body) as "bytes!", reason, detail, generation, shard,
                       received_at, arrival, resolution, resolved_at, resolved_by, resolve_reason, command_ids
                   from dead_letters
                   where dead_letter_id < $1 and ($2::boolean is null or (resolution is null) = $2)
                   order by dead_letter_id desc limit $3"#,
                before.unwrap_or(i64::MAX),
                open,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        rows.into_iter().map(DeadLetterSummary::try_from).collect()
    }

    /// One dead letter.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn dead_letter(
        &self,
        dead_letter_id: i64,
    ) -> Result<Option<DeadLetterRow>, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            read(&mut tx, dead_letter_id).await
        })
        .await
    }

    /// Holds a dead letter, to resolve it: whoever else wants to waits, for 2 s at most. Let go of it soon.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn hold_dead_letter(
        &self,
        dead_letter_id: i64,
    ) -> Result<Option<HeldDeadLetter>, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            // A statement of its own: the one that reads must see what the holder before wrote.
            sqlx::query!(
                "select from dead_letters where dead_letter_id = $1 for update",
                dead_letter_id,
            )
            .fetch_optional(&mut *tx)
            .await?;
            let letter = read(&mut tx, dead_letter_id).await?;
            Ok::<_, StoreError>(letter.map(|letter| HeldDeadLetter { letter, tx }))
        })
        .await
    }
}

impl HeldDeadLetter {
    /// What is held.
    #[must_use]
    pub fn letter(&self) -> &DeadLetterRow {
        &self.letter
    }

    /// Resolves it, with its entry in the audit, and lets go of it.
    ///
    /// # Errors
    /// Any fault of the database. After one it may be resolved all the same.
    pub async fn resolve(
        mut self,
        kind: ResolutionKind,
        command_ids: &[CommandId],
        by: &str,
        reason: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<DeadLetterSummary, StoreError> {
        let ids: Vec<Uuid> = command_ids.iter().map(|id| id.0).collect();
        let summary = self.letter.summary;
        bounded(async {
            let at = sqlx::query_scalar!(
                r#"update dead_letters
                   set resolution = $2, resolved_at = clock_timestamp(), resolved_by = $3, resolve_reason = $4,
                       command_ids = $5
                   where dead_letter_id = $1 and resolution is null
                   returning resolved_at as "at!""#,
                summary.dead_letter_id,
                kind.as_str(),
                by,
                reason,
                &ids,
            )
            .fetch_one(&mut *self.tx)
            .await?;
            audit::append(&mut self.tx, entry).await?;
            self.tx.commit().await?;
            let resolution = DeadLetterResolution {
                kind: kind.as_str().to_owned(),
                at,
                by: by.to_owned(),
                reason: reason.map(str::to_owned),
                command_ids: command_ids.to_vec(),
            };
            Ok::<_, StoreError>(DeadLetterSummary {
                resolution: Some(resolution),
                ..summary
            })
        })
        .await
    }
}

async fn read(
    tx: &mut Transaction<'static, Postgres>,
    dead_letter_id: i64,
) -> Result<Option<DeadLetterRow>, StoreError> {
    let summary = sqlx::query_as!(
        SummaryCells,
        r#"select dead_letter_id, body_hash, octet_length(body) as "bytes!", reason, detail, generation, shard,
               received_at, arrival, resolution, resolved_at, resolved_by, resolve_reason, command_ids
           from dead_letters where dead_letter_id = $1"#,
        dead_letter_id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(summary) = summary else {
        return Ok(None);
    };
    // By the bytes' hash they are the same whatever happens between the two statements.
    let BodyCells { body, headers } = sqlx::query_as!(
        BodyCells,
        r#"select body, headers::text as "headers!" from dead_letters where dead_letter_id = $1"#,
        dead_letter_id,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Some(DeadLetterRow {
        summary: summary.try_into()?,
        body,
        headers,
    }))
}

impl TryFrom<SummaryCells> for DeadLetterSummary {
    type Error = StoreError;

    fn try_from(cells: SummaryCells) -> Result<Self, StoreError> {
        let row = Row::new("dead_letters", &cells.dead_letter_id);
        let resolution = match (cells.resolution, cells.resolved_at, cells.resolved_by) {
            (Some(kind), Some(at), Some(by)) => Some(DeadLetterResolution {
                kind,
                at,
                by,
                reason: cells.resolve_reason,
                command_ids: cells.command_ids.into_iter().map(CommandId).collect(),
            }),
            _ => None,
        };
        Ok(Self {
            body_hash: row.bytes("body_hash", &cells.body_hash)?,
            dead_letter_id: cells.dead_letter_id,
            bytes: cells.bytes.into(),
            reason: cells.reason,
            detail: cells.detail,
            shard: ShardId {
                generation: cells.generation,
                shard: cells.shard,
            },
            received_at: cells.received_at,
            arrival: cells.arrival,
            resolution,
        })
    }
}
