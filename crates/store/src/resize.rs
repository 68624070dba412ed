//! Changing the number of shards: the row that every step begins with, and what must hold for the next one.
//!
//! Owns the conditional updates. Who coordinates, and what is asked of the broker between two of them, is crate worker's.

use orderly_protocol::Timestamp;
use serde_json::json;
use sqlx::PgConnection;

use crate::audit::append;
use crate::cell::Row as Cell;
use crate::store::bounded;
use crate::{Actor, AuditEntry, Store, StoreError};

mod step;

use step::change_state;

/// How far a resize has come. Each is the intent to do what its name says, committed before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResizeStep {
    /// Somebody asked for it.
    Requested,
    /// The queues of the new generation are declared and bound.
    Declaring,
    /// They are there, and too young for traffic.
    Settling,
    /// The old queues are unbound: whoever publishes to them is returned his message. From here on there is no way back.
    Unbinding,
    /// The new generation is current; what may still be on its way to the old queues is waited out.
    Flipped,
    /// Marker 1 goes to every old queue.
    Marking,
    /// Marker 2 does: what meets it has nothing behind it.
    Draining,
    /// Every shard of the old generation is drained.
    Done,
    /// Taken back before [`ResizeStep::Unbinding`].
    Aborted,
}

impl ResizeStep {
    /// Every step.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Declaring,
        Self::Settling,
        Self::Unbinding,
        Self::Flipped,
        Self::Marking,
        Self::Draining,
        Self::Done,
        Self::Aborted,
    ];

    /// Its name, as the row has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Declaring => "declaring",
            Self::Settling => "settling",
            Self::Unbinding => "unbinding",
            Self::Flipped => "flipped",
            Self::Marking => "marking",
            Self::Draining => "draining",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// A change of the number of shards.
#[derive(Clone, Debug)]
pub struct Resize {
    /// Its number.
    pub id: i32,
    /// The generation that ends.
    pub from_generation: i32,
    /// Number of its shards.
    pub from_count: i32,
    /// The generation that begins.
    pub to_generation: i32,
    /// Number of its shards.
    pub to_count: i32,
    /// How far it has come.
    pub step: ResizeStep,
    /// Who asked for it.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// The worker that took the last step.
    pub coordinator: Option<String>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Seconds since the new queues were declared, by the database's clock.
    pub declared_seconds: Option<f64>,
    /// Shards of the old generation that met marker 1.
    pub marked: i64,
    /// Those that met marker 2.
    pub drained: i64,
}

/// Why a resize was not begun.
#[derive(Clone, Debug)]
pub enum ResizeRefusal {
    /// Another one is open.
    UnderWay(Box<Resize>),
    /// There are so many shards already.
    SameCount,
    /// No generation takes commands.
    NoGeneration,
    /// A paused shard cannot be drained.
    Paused,
}

/// Unread columns of [`Resize`].
struct Cells {
    resize_id: i32,
    from_generation: i32,
    from_count: i32,
    to_generation: i32,
    to_count: i32,
    step: String,
    requested_by: String,
    reason: String,
    coordinator: Option<String>,
    requested_at: Timestamp,
    finished_at: Option<Timestamp>,
    declared_seconds: Option<f64>,
    marked: i64,
    drained: i64,
}

impl TryFrom<Cells> for Resize {
    type Error = StoreError;

    fn try_from(cells: Cells) -> Result<Self, StoreError> {
        let step = ResizeStep::parse(&cells.step).ok_or_else(|| {
            Cell::new("resizes", &cells.resize_id).bad("step", "a step of a resize")
        })?;
        Ok(Self {
            id: cells.resize_id,
            from_generation: cells.from_generation,
            from_count: cells.from_count,
            to_generation: cells.to_generation,
            to_count: cells.to_count,
            step,
            requested_by: cells.requested_by,
            reason: cells.reason,
            coordinator: cells.coordinator,
            requested_at: cells.requested_at,
            finished_at: cells.finished_at,
            declared_seconds: cells.declared_seconds,
            marked: cells.marked,
            drained: cells.drained,
        })
    }
}

impl Store {
    /// The resize that is open, or else the one that ended last.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn last_resize(&self) -> Result<Option<Resize>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                Cells,
                r#"select resize_id, from_generation, ending.shard_count as from_count,
                          to_generation, beginning.shard_count as to_count, step, requested_by,
                          reason, coordinator, requested_at, finished_at,
                          extract(epoch from clock_timestamp() - declared_at)::float8
                              as declared_seconds,
                          (select count(marked_at) from shards
                           where generation = from_generation) as "marked!",
                          (select count(drained_at) from shards
                           where generation = from_generation) as "drained!"
                   from resizes
                   join generations as ending on ending.generation = from_generation
                   join generations as beginning on beginning.generation = to_generation
                   order by resize_id desc
                   limit 1"#,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        cells.map(Resize::try_from).transpose()
    }

    /// The resize that is open.
    ///
    /// # Errors
    /// As for [`Store::last_resize`].
    pub async fn open_resize(&self) -> Result<Option<Resize>, StoreError> {
        let last = self.last_resize().await?;
        Ok(last.filter(|resize| resize.finished_at.is_none()))
    }

    /// Asks for `shard_count` shards: a new generation, with the prefetch of the one that is current. A number that was used once
    /// is never used again.
    ///
    /// # Errors
    /// Any fault of the database, and a count that its constraints refuse.
    pub async fn request_resize(
        &self,
        shard_count: i32,
        actor: &Actor,
    ) -> Result<Result<Resize, ResizeRefusal>, StoreError> {
        let begun = bounded(self.begin_resize(shard_count, actor)).await?;
        let last = self.last_resize().await?;
        Ok(match (begun, last) {
            (Begun::Yes, Some(resize)) => Ok(resize),
            (Begun::NotBeside, Some(resize)) => Err(ResizeRefusal::UnderWay(Box::new(resize))),
            (Begun::SameCount, _) => Err(ResizeRefusal::SameCount),
            (Begun::NoGeneration, _) => Err(ResizeRefusal::NoGeneration),
            (Begun::Paused, _) => Err(ResizeRefusal::Paused),
            (Begun::Yes | Begun::NotBeside, None) => {
                return Err(StoreError::RowCount {
                    table: "resizes",
                    expected: 1,
                    actual: 0,
                });
            }
        })
    }

    async fn begin_resize(&self, shard_count: i32, actor: &Actor) -> Result<Begun, StoreError> {
        let mut tx = self.pool().begin().await?;
        // Locked: of two who ask at once the second sees what the first one did, and nobody asks while a flip is under way.
        let current = sqlx::query!(
            "select generation, shard_count, prefetch from generations
             where state = 'current'
             for update",
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(current) = current else {
            return Ok(Begun::NoGeneration);
        };
        let open = sqlx::query_scalar!(
            r#"select exists (select from resizes where finished_at is null) as "open!""#,
        )
        .fetch_one(&mut *tx)
        .await?;
        if open {
            return Ok(Begun::NotBeside);
        }
        if current.shard_count == shard_count {
            return Ok(Begun::SameCount);
        }
        if is_anything_paused(&mut tx).await? {
            return Ok(Begun::Paused);
        }
        let beginning = sqlx::query_scalar!(
            "insert into generations (generation, shard_count, prefetch, state)
             select max(generation) + 1, $1, $2, 'prepared' from generations
             returning generation",
            shard_count,
            current.prefetch,
        )
        .fetch_one(&mut *tx)
        .await?;
        insert_shards(&mut tx, beginning, shard_count).await?;
        sqlx::query!(
            "insert into resizes (from_generation, to_generation, requested_by, reason)
             values ($1, $2, $3, $4)",
            current.generation,
            beginning,
            actor.label(),
            actor.reason.as_deref().unwrap_or_default(),
        )
        .execute(&mut *tx)
        .await?;
        let entry = AuditEntry::new(actor, "shards.resize", format!("generation/{beginning}"))
            .before(json!({"shards": current.shard_count}))
            .after(json!({"shards": shard_count}));
        append(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(Begun::Yes)
    }

    /// Takes the open resize back. None: there is none, or it has passed the point of no return.
    ///
    /// # Errors
    /// Any fault of the database, and a generation that is not in the state that the step says.
    pub async fn abort_resize(&self, actor: &Actor) -> Result<Option<Resize>, StoreError> {
        let aborted = bounded(async {
            let mut tx = self.pool().begin().await?;
            let generation = sqlx::query_scalar!(
                "update resizes
                 set step = 'aborted', finished_at = clock_timestamp()
                 where step in ('requested', 'declaring', 'settling')
                 returning to_generation",
            )
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(generation) = generation {
                change_state(&mut tx, generation, "prepared", "aborted").await?;
                let target = format!("generation/{generation}");
                append(&mut tx, &AuditEntry::new(actor, "shards.abort", target)).await?;
                tx.commit().await?;
            }
            Ok::<_, StoreError>(generation)
        })
        .await?;
        match aborted {
            Some(_) => self.last_resize().await,
            None => Ok(None),
        }
    }
}

/// What became of a request.
enum Begun {
    Yes,
    NotBeside,
    SameCount,
    NoGeneration,
    Paused,
}

/// The rows of a new generation's shards.
pub(crate) async fn insert_shards(
    tx: &mut PgConnection,
    generation: i32,
    shard_count: i32,
) -> Result<(), StoreError> {
    let shards = sqlx::query!(
        "insert into shards (generation, shard)
         select $1, shard from generate_series(0, $2 - 1) as shard",
        generation,
        shard_count,
    )
    .execute(tx)
    .await?
    .rows_affected();
    let expected = usize::try_from(shard_count).unwrap_or_default();
    StoreError::expect_rows("shards", expected, shards)
}

async fn is_anything_paused(tx: &mut PgConnection) -> Result<bool, StoreError> {
    let paused = sqlx::query_scalar!(
        r#"select exists (
               select from pauses
               where expires_at is null or expires_at > clock_timestamp()) as "paused!""#,
    );
    Ok(paused.fetch_one(tx).await?)
}
