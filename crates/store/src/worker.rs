//! The heartbeats of workers. Times are compared here, on the database's clock, and nowhere else.

use std::time::Duration;

use orderly_protocol::{ShardId, Timestamp};

use crate::store::bounded;
use crate::{Store, StoreError, WorkerDrain};

/// A worker that was not heard of for so long owns nothing: five heartbeats, so that a slow one moves no shard. The broker
/// lets its standby go on much sooner, the moment its connection is gone.
pub(crate) const LIVE: Duration = Duration::from_secs(5);

/// Rows of workers that died without a word are kept for this long, for whoever asks what happened.
const KEPT: Duration = Duration::from_hours(1);

/// The drain of a worker that is not listed is kept for this long: one that waits for its broker comes back, and is still to be
/// stopped.
const DRAIN_KEPT: Duration = Duration::from_hours(7 * 24);

/// A worker as its last heartbeat told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWorker {
    /// Its name, unique to one process.
    pub worker: String,
    /// Shards that it will own at the most; none: any number.
    pub capacity: Option<i32>,
    /// Routing keys of the shards that it consumes.
    pub subscribed: Vec<String>,
    /// Routing keys of the shards that it leaves to others for now.
    pub declined: Vec<String>,
    /// Whether it is drained. Answered by the database; what a heartbeat says of its own worker counts for nothing.
    pub draining: bool,
}

/// What a worker does, as its heartbeat tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerLoad {
    /// Messages that it was done with, over the last seconds.
    pub messages_per_second: f64,
    /// Share of that time in which it had a batch under way, from 0 to 1.
    pub busy: f64,
    /// Orders with commands that it has taken up and not committed.
    pub orders_in_hand: i32,
    /// Age of the oldest of these commands; 0 if there are none.
    pub oldest_age_seconds: f64,
}

/// What all workers that are alive do together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetLoad {
    /// How many they are, without those that are drained: they are about to be stopped.
    pub workers: i64,
    /// The sum of theirs.
    pub messages_per_second: f64,
    /// The sum of theirs, each from 0 to 1.
    pub busy: f64,
    /// The sum of theirs. An order is on one shard, and so with one worker.
    pub orders_in_hand: i64,
    /// The greatest of theirs.
    pub oldest_age_seconds: f64,
}

/// A shard as people want to see it.
#[derive(Clone, Debug)]
pub struct ShardRow {
    /// Which.
    pub shard: ShardId,
    /// Who claimed it last.
    pub owner: Option<String>,
    /// Whether that worker is alive and consumes it.
    pub owner_alive: bool,
    /// Others alive that consume it.
    pub standby: Vec<String>,
    /// Number of claims so far.
    pub epoch: i64,
    /// When it was claimed last.
    pub claimed_at: Option<Timestamp>,
    /// Seconds since then, by the database's clock.
    pub claimed_seconds: Option<i64>,
    /// Whether it applies commands, or why not.
    pub standing: ShardStanding,
}

/// Whether a shard applies commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardStanding {
    /// It does, if somebody consumes it.
    Served,
    /// Nobody may consume it for now.
    Paused,
    /// A shard of an earlier generation is not drained yet.
    Waiting,
    /// It met both markers of the resize that ended its generation.
    Drained,
}

/// A worker as people want to see it.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// Its name.
    pub worker: String,
    /// Whether it was heard of within the last 5 s.
    pub alive: bool,
    /// Shards that it claimed last.
    pub owned: i64,
    /// Routing keys of the shards that it consumes.
    pub subscribed: Vec<String>,
    /// Shards that it will own at the most; none: any number.
    pub capacity: Option<i32>,
    /// Its first heartbeat.
    pub started_at: Timestamp,
    /// Its last one.
    pub seen_at: Timestamp,
    /// Of its program; like what follows none until it has introduced itself.
    pub version: Option<String>,
    /// Nodes of the broker that it was told of.
    pub broker_nodes: Option<i32>,
    /// How far its clock was ahead of the database's when its session began.
    pub clock_skew_seconds: Option<f64>,
    /// Who drains it.
    pub drain: Option<WorkerDrain>,
}

impl Store {
    /// Every shard of the generations that are served, in order.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn shards(&self) -> Result<Vec<ShardRow>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                r#"with live as (
                     select worker, unnest(subscribed) as key from workers
                     where seen_at > clock_timestamp() - make_interval(secs => $1)
                 ), served as (
                     select shards.*, format('g%s.%s', generation, lpad(shard::text, 3, '0')) as key
                     from shards join generations using (generation)
                     where generations.state in ('current', 'draining')
                 )
                 select generation as "generation!", shard as "shard!", owner, epoch as "epoch!",
                        claimed_at,
                        extract(epoch from clock_timestamp() - claimed_at)::bigint as claimed_seconds,
                        exists (select from live
                                where live.worker = owner and live.key = served.key) as "owner_alive!",
                        array(select worker from live
                              where live.key = served.key and live.worker is distinct from owner
                              order by worker) as "standby!",
                        drained_at is not null as "is_drained!",
                        exists (select from pauses
                                where (pauses.generation is null
                                       or (pauses.generation, pauses.shard)
                                          = (served.generation, served.shard))
                                  and (expires_at is null or expires_at > clock_timestamp())
                               ) as "is_paused!",
                        exists (select from served as earlier
                                where earlier.generation < served.generation
                                  and earlier.drained_at is null) as "must_wait!"
                 from served
                 order by generation, shard"#,
                LIVE.as_secs_f64(),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let shards = rows.into_iter().map(|row| ShardRow {
            shard: ShardId {
                generation: row.generation,
                shard: row.shard,
            },
            owner: row.owner,
            owner_alive: row.owner_alive,
            standby: row.standby,
            epoch: row.epoch,
            claimed_at: row.claimed_at,
            claimed_seconds: row.claimed_seconds,
            standing: if row.is_paused {
                ShardStanding::Paused
            } else if row.is_drained {
                ShardStanding::Drained
            } else if row.must_wait {
                ShardStanding::Waiting
            } else {
                ShardStanding::Served
            },
        });
        Ok(shards.collect())
    }

    /// Every worker that is listed, the longest there first.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                r#"select worker, seen_at > clock_timestamp() - make_interval(secs => $1) as "alive!",
                      (select count(*) from shards where owner = worker) as "owned!",
                      subscribed, capacity, started_at, seen_at, version, broker_nodes, clock_skew_seconds,
                      drained_by as "drained_by?", reason as "reason?", drained_at as "drained_at?"
                   from workers left join drains using (worker)
                   order by started_at, worker"#,
                LIVE.as_secs_f64(),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let workers = rows.into_iter().map(|row| {
            let who = row.drained_by.zip(row.reason).zip(row.drained_at);
            WorkerRow {
                worker: row.worker,
                alive: row.alive,
                owned: row.owned,
                subscribed: row.subscribed,
                capacity: row.capacity,
                started_at: row.started_at,
                seen_at: row.seen_at,
                version: row.version,
                broker_nodes: row.broker_nodes,
                clock_skew_seconds: row.clock_skew_seconds,
                drain: who.map(|((drained_by, reason), drained_at)| WorkerDrain {
                    drained_by,
                    reason,
                    drained_at,
                }),
            }
        });
        Ok(workers.collect())
    }

    /// Tells that `me` is alive and what it does, and answers who is alive: `me`, then the others that told so within the last 5 s.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn heartbeat(
        &self,
        me: &LiveWorker,
        load: WorkerLoad,
    ) -> Result<Vec<LiveWorker>, StoreError> {
        // The row that this statement writes is not among those that it reads.
        bounded(
            sqlx::query_as!(
                LiveWorker,
                r#"with me as (
                     insert into workers (worker, capacity, subscribed, declined, messages_per_second,
                                          busy, orders_in_hand, oldest_age_seconds)
                     values ($1, $2, $3, $4, $6, $7, $8, $9)
                     on conflict (worker) do update
                     set capacity = excluded.capacity, subscribed = excluded.subscribed,
                         declined = excluded.declined, seen_at = clock_timestamp(),
                         messages_per_second = excluded.messages_per_second, busy = excluded.busy,
                         orders_in_hand = excluded.orders_in_hand,
                         oldest_age_seconds = excluded.oldest_age_seconds
                     returning worker, capacity, subscribed, declined
                 ), alive as (
                     select worker, capacity, subscribed, declined from me
                     union all
                     select worker, capacity, subscribed, declined from workers
                     where worker <> $1
                       and seen_at > clock_timestamp() - make_interval(secs => $5)
                 )
                 select worker as "worker!", capacity, subscribed as "subscribed!",
                        declined as "declined!",
                        exists (select from drains
                                where drains.worker = alive.worker) as "draining!"
                 from alive
                 order by worker <> $1, worker"#,
                me.worker,
                me.capacity,
                &me.subscribed,
                &me.declined,
                LIVE.as_secs_f64(),
                load.messages_per_second,
                load.busy,
                load.orders_in_hand,
                load.oldest_age_seconds,
            )
            .fetch_all(self.pool()),
        )
        .await
    }

    /// Tells what `worker`, which has told that it is alive, is: shown to people, and to nobody else.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn introduce(
        &self,
        worker: &str,
        version: &str,
        broker_nodes: usize,
    ) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "update workers
                 set version = $2, broker_nodes = $3,
                     clock_skew_seconds = extract(epoch from $4 - clock_timestamp())
                 where worker = $1",
                worker,
                version,
                i32::try_from(broker_nodes).unwrap_or(i32::MAX),
                Timestamp::now_utc(),
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }

    /// What the workers do that were heard of within the last 5 s.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn fleet_load(&self) -> Result<FleetLoad, StoreError> {
        bounded(
            sqlx::query_as!(
                FleetLoad,
                r#"select count(*) filter (where not exists (
                              select from drains where drains.worker = workers.worker)) as "workers!",
                          coalesce(sum(messages_per_second), 0) as "messages_per_second!",
                          coalesce(sum(busy), 0) as "busy!",
                          coalesce(sum(orders_in_hand), 0) as "orders_in_hand!",
                          coalesce(max(oldest_age_seconds), 0) as "oldest_age_seconds!"
                   from workers
                   where seen_at > clock_timestamp() - make_interval(secs => $1)"#,
                LIVE.as_secs_f64(),
            )
            .fetch_one(self.pool()),
        )
        .await
    }

    /// Takes `worker` off the list, so that nobody waits for it, and with it those that died long ago. What drained them goes later.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "with gone as (
                     delete from workers
                     where worker = $1 or seen_at < clock_timestamp() - make_interval(secs => $2))
                 delete from drains
                 where drained_at < clock_timestamp() - make_interval(secs => $3)
                   and not exists (select from workers where workers.worker = drains.worker)",
                worker,
                KEPT.as_secs_f64(),
                DRAIN_KEPT.as_secs_f64(),
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }

    /// The shards that somebody else than `me` claimed last and that are not drained, with their epochs.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn epochs_of_others(&self, me: &str) -> Result<Vec<(ShardId, i64)>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                "select generation, shard, epoch from shards
                 where drained_at is null and owner <> $1",
                me,
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let epochs = rows.into_iter().map(|row| {
            let shard = ShardId {
                generation: row.generation,
                shard: row.shard,
            };
            (shard, row.epoch)
        });
        Ok(epochs.collect())
    }
}
