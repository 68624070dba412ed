//! Stock as people and systems outside orders see and write it. What a write may do is decided by
//! `orderly_domain::StockLevel`, under the lock of the SKU's row.

use orderly_domain::{ProducerId, Sku, StockLevel, StockWriteError};
use orderly_protocol::{Fingerprint, ProblemCode, Timestamp};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Actor, AuditEntry, Store, StoreError, audit};

/// The stock of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockRow {
    /// Which.
    pub sku: Sku,
    /// On hand and reserved.
    pub level: StockLevel,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A request to write stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockWrite {
    /// The id of the record it leaves, from an id source of the caller.
    pub write_id: Uuid,
    /// Which SKU; a write to one that is not there creates it.
    pub sku: Sku,
    /// Who writes: the scope of `key`.
    pub producer: ProducerId,
    /// The idempotency key: one effect per producer and key.
    pub key: String,
    /// Of the request. Another one under the same key is refused.
    pub fingerprint: Fingerprint,
}

/// What became of a request to write stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockWriteResult {
    /// Written, now or by an earlier call with the same key.
    Written {
        /// The stock as this write left it.
        row: StockRow,
        /// Whether an earlier call did it, and this one did nothing.
        replayed: bool,
    },
    /// The key belongs to another request. Nothing was written.
    KeyReused,
    /// The rules of stock refuse it. Nothing was written, and the key is free.
    Refused(StockWriteError),
}

#[derive(Clone, Copy)]
enum Change {
    /// To this level.
    Set(i64),
    /// By this many.
    Adjust(i64),
}

pub(crate) struct StockCells {
    pub(crate) sku: String,
    pub(crate) on_hand: i64,
    pub(crate) reserved: i64,
    pub(crate) updated_at: OffsetDateTime,
}

struct WriteCells {
    sku: String,
    fingerprint: Vec<u8>,
    on_hand_after: i64,
    reserved_after: i64,
    written_at: OffsetDateTime,
}

impl Store {
    /// The stock of a SKU, if there ever was any.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                StockCells,
                "select sku, on_hand, reserved, updated_at from stock where sku = $1",
                sku.as_str(),
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        cells.map(StockRow::try_from).transpose()
    }

    /// The stock of up to `limit` SKUs after `after`, in SKU order.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn list_stock(
        &self,
        after: Option<&Sku>,
        limit: u32,
    ) -> Result<Vec<StockRow>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                StockCells,
                "select sku, on_hand, reserved, updated_at from stock
                 where sku > $1 order by sku limit $2",
                // No SKU is empty, so this is before the first.
                after.map_or("", Sku::as_str),
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        rows.into_iter().map(StockRow::try_from).collect()
    }

    /// Sets what is on hand, once per producer and key, with its entry in the audit.
    ///
    /// # Errors
    /// Any fault of the database. After one, the same call is safe again: it finds what this one did.
    pub async fn set_stock(
        &self,
        write: &StockWrite,
        on_hand: i64,
        actor: &Actor,
    ) -> Result<StockWriteResult, StoreError> {
        bounded(self.write_stock(write, Change::Set(on_hand), actor)).await
    }

    /// Adds to what is on hand, or takes from it, once per producer and key, with its entry in the audit.
    ///
    /// # Errors
    /// Any fault of the database. After one, the same call is safe again: it finds what this one did.
    pub async fn adjust_stock(
        &self,
        write: &StockWrite,
        delta: i64,
        actor: &Actor,
    ) -> Result<StockWriteResult, StoreError> {
        bounded(self.write_stock(write, Change::Adjust(delta), actor)).await
    }

    /// As [`Self::write_once`]; what is refused is told to the audit too.
    async fn write_stock(
        &self,
        write: &StockWrite,
        change: Change,
        actor: &Actor,
    ) -> Result<StockWriteResult, StoreError> {
        let result = self.write_once(write, change, actor).await?;
        let code = match &result {
            StockWriteResult::Written { .. } => return Ok(result),
            StockWriteResult::KeyReused => ProblemCode::IdempotencyKeyReused,
            StockWriteResult::Refused(StockWriteError::BelowReserved { .. }) => {
                ProblemCode::StockBelowReserved
            }
            StockWriteResult::Refused(StockWriteError::OutOfRange) => {
                ProblemCode::InvalidStockWrite
            }
        };
        let entry = change.entry(actor, &write.sku).after(change.wanted());
        let mut tx = self.pool().begin().await?;
        audit::append(&mut tx, &entry.refused(code.as_str())).await?;
        tx.commit().await?;
        Ok(result)
    }

    async fn write_once(
        &self,
        write: &StockWrite,
        change: Change,
        actor: &Actor,
    ) -> Result<StockWriteResult, StoreError> {
        let mut tx = self.pool().begin().await?;
        insert_missing(&mut tx, &write.sku).await?;
        let before = lock(&mut tx, &write.sku).await?;
        // Under the lock: of two calls with one key, the second waits here and then finds what the first did.
        if let Some(earlier) = earlier_write(&mut tx, write).await? {
            return answer_again(write, &earlier);
        }
        let after = match change.apply(before) {
            Ok(after) => after,
            Err(refusal) => return Ok(StockWriteResult::Refused(refusal)),
        };
        let Some(written_at) = record(&mut tx, write, change, before, after).await? else {
            // The same key on another SKU, whose lock is another: it committed while this call waited for its record.
            tx.rollback().await?;
            let mut connection = self.pool().acquire().await?;
            return match earlier_write(&mut connection, write).await? {
                Some(earlier) => answer_again(write, &earlier),
                None => Err(StoreError::RowCount {
                    table: "stock_writes",
                    expected: 1,
                    actual: 0,
                }),
            };
        };
        update(&mut tx, &write.sku, after, written_at).await?;
        let entry = change.entry(actor, &write.sku);
        let entry = entry.before(levels(before)).after(levels(after));
        audit::append(&mut tx, &entry).await?;
        tx.commit().await?;
        let row = StockRow {
            sku: write.sku.clone(),
            level: after,
            updated_at: written_at,
        };
        Ok(StockWriteResult::Written {
            row,
            replayed: false,
        })
    }
}

impl Change {
    fn kind(self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Adjust(_) => "adjust",
        }
    }

    fn apply(self, before: StockLevel) -> Result<StockLevel, StockWriteError> {
        match self {
            Self::Set(on_hand) => before.set(on_hand),
            Self::Adjust(delta) => before.adjust(delta),
        }
    }

    fn entry(self, actor: &Actor, sku: &Sku) -> AuditEntry {
        let action = match self {
            Self::Set(_) => "stock.set",
            Self::Adjust(_) => "stock.adjust",
        };
        AuditEntry::new(actor, action, format!("stock/{sku}"))
    }

    fn wanted(self) -> Value {
        match self {
            Self::Set(on_hand) => json!({ "on_hand": on_hand }),
            Self::Adjust(delta) => json!({ "delta": delta }),
        }
    }
}

fn levels(level: StockLevel) -> Value {
    json!({ "on_hand": level.on_hand, "reserved": level.reserved })
}

/// There must be a row to lock. Rolled back with everything else if the write is refused.
async fn insert_missing(tx: &mut PgConnection, sku: &Sku) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into stock (sku, on_hand, reserved, updated_at) values ($1, 0, 0, clock_timestamp())
         on conflict (sku) do nothing",
        sku.as_str(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks the SKU against batches and other writes until the transaction ends.
async fn lock(tx: &mut PgConnection, sku: &Sku) -> Result<StockLevel, StoreError> {
    let cells = sqlx::query!(
        "select on_hand, reserved from stock where sku = $1 for no key update",
        sku.as_str(),
    )
    .fetch_one(tx)
    .await?;
    Ok(StockLevel {
        on_hand: cells.on_hand,
        reserved: cells.reserved,
    })
}

async fn earlier_write(
    tx: &mut PgConnection,
    write: &StockWrite,
) -> Result<Option<WriteCells>, StoreError> {
    let cells = sqlx::query_as!(
        WriteCells,
        "select sku, fingerprint, on_hand_after, reserved_after, written_at
         from stock_writes where producer = $1 and key = $2",
        write.producer.0,
        write.key,
    )
    .fetch_optional(tx)
    .await?;
    Ok(cells)
}

fn answer_again(write: &StockWrite, earlier: &WriteCells) -> Result<StockWriteResult, StoreError> {
    if earlier.fingerprint != write.fingerprint.0 || earlier.sku != write.sku.as_str() {
        return Ok(StockWriteResult::KeyReused);
    }
    let key = format!("{}/{}", write.producer, write.key);
    let row = StockRow {
        sku: Row::new("stock_writes", &key).sku("sku", &earlier.sku)?,
        level: StockLevel {
            on_hand: earlier.on_hand_after,
            reserved: earlier.reserved_after,
        },
        updated_at: earlier.written_at,
    };
    Ok(StockWriteResult::Written {
        row,
        replayed: true,
    })
}

/// Records the write, unless its key is taken. Waits for a transaction in flight that holds the same key.
async fn record(
    tx: &mut PgConnection,
    write: &StockWrite,
    change: Change,
    before: StockLevel,
    after: StockLevel,
) -> Result<Option<Timestamp>, StoreError> {
    let written_at = sqlx::query_scalar!(
        "insert into stock_writes (write_id, sku, producer, key, fingerprint, kind,
             on_hand, on_hand_after, reserved_after, written_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
         on conflict (producer, key) do nothing
         returning written_at",
        write.write_id,
        write.sku.as_str(),
        write.producer.0,
        write.key,
        write.fingerprint.0.as_slice(),
        change.kind(),
        after.on_hand - before.on_hand,
        after.on_hand,
        after.reserved,
    )
    .fetch_optional(tx)
    .await?;
    Ok(written_at)
}

async fn update(
    tx: &mut PgConnection,
    sku: &Sku,
    level: StockLevel,
    updated_at: Timestamp,
) -> Result<(), StoreError> {
    let actual = sqlx::query!(
        "update stock set on_hand = $2, reserved = $3, updated_at = $4 where sku = $1",
        sku.as_str(),
        level.on_hand,
        level.reserved,
        updated_at,
    )
    .execute(tx)
    .await?
    .rows_affected();
    StoreError::expect_rows("stock", 1, actual)
}

impl TryFrom<StockCells> for StockRow {
    type Error = StoreError;

    fn try_from(cells: StockCells) -> Result<Self, StoreError> {
        let row = Row::new("stock", &cells.sku);
        Ok(Self {
            sku: row.sku("sku", &cells.sku)?,
            level: StockLevel {
                on_hand: cells.on_hand,
                reserved: cells.reserved,
            },
            updated_at: cells.updated_at,
        })
    }
}
