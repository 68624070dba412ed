//! `GET /v1/shards`: every shard that is served, and every worker that is there.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::timestamp;
use orderly_store::{ShardRow, ShardStanding, Store, WorkerRow};
use serde::Serialize;

use super::Depths;
use super::pause::PauseResource;
use super::resize::ResizeResource;
use crate::failure::database;
use crate::workers::DrainResource;

/// What is there now.
#[derive(Serialize)]
pub(crate) struct Listed {
    /// The generation that takes new commands.
    generation: Option<i32>,
    /// The resize that is under way.
    resize: Option<ResizeResource>,
    /// That one, or else the one that ended last.
    last_resize: Option<ResizeResource>,
    /// Every pause that holds.
    pauses: Vec<PauseResource>,
    shards: Vec<ShardResource>,
    workers: Vec<WorkerResource>,
}

#[derive(Serialize)]
struct ShardResource {
    /// Its routing key, as `g1.003`.
    shard: String,
    /// - `paused`: nobody consumes it, because somebody said so.
    /// - `drained`: its generation has ended; what still arrives is forwarded.
    /// - `waiting`: its generation begins when the one before it is drained.
    /// - `owned`: its owner is alive.
    /// - `ready`: somebody consumes it, and will own it with the next command.
    /// - `unserved`: nobody consumes it; commands wait.
    state: &'static str,
    /// Who claimed it last.
    owner: Option<String>,
    /// Others that consume it, and go on the moment the owner is gone.
    standby: Vec<String>,
    /// Number of claims so far.
    epoch: i64,
    claimed_at: Option<String>,
    /// Seconds since then, by the database's clock.
    claimed_seconds: Option<i64>,
    /// Messages that wait in its queue; null while the broker does not answer.
    depth: Option<u32>,
}

#[derive(Serialize)]
struct WorkerResource {
    worker: String,
    /// Whether it was heard of within 5 s.
    alive: bool,
    /// Shards that it claimed last.
    owned: i64,
    /// Shards that it consumes: as the owner, or standing by.
    consumed: usize,
    /// Which.
    shards: Vec<String>,
    /// Shards that it will own at the most; null: any number.
    max_shards: Option<i32>,
    /// Who drains it, so that it can be stopped.
    draining: Option<DrainResource>,
    started_at: String,
    seen_at: String,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    State(depths): State<Depths>,
    _: Authorized<scope::OpsRead>,
) -> Result<Json<Listed>, ProblemResponse> {
    let layout = store.current_layout().await.map_err(database)?;
    let rows = store.shards().await.map_err(database)?;
    let workers = store.workers().await.map_err(database)?;
    let depths = depths.of(rows.iter().map(|row| row.shard).collect()).await;
    let resource = |row: ShardRow| {
        let depth = depths.get(&row.shard).copied();
        ShardResource::new(row, depth)
    };
    let last = store.last_resize().await.map_err(database)?;
    let open = last.clone().filter(|last| last.finished_at.is_none());
    let pauses = store.pauses().await.map_err(database)?;
    Ok(Json(Listed {
        generation: layout.map(|layout| layout.generation),
        resize: open.map(ResizeResource::from),
        last_resize: last.map(ResizeResource::from),
        pauses: pauses.into_iter().map(PauseResource::from).collect(),
        shards: rows.into_iter().map(resource).collect(),
        workers: workers.into_iter().map(WorkerResource::from).collect(),
    }))
}

impl ShardResource {
    fn new(row: ShardRow, depth: Option<u32>) -> Self {
        let state = match row.standing {
            ShardStanding::Paused => "paused",
            ShardStanding::Drained => "drained",
            ShardStanding::Waiting => "waiting",
            ShardStanding::Served if row.owner_alive => "owned",
            ShardStanding::Served if row.standby.is_empty() => "unserved",
            ShardStanding::Served => "ready",
        };
        Self {
            shard: row.shard.to_string(),
            state,
            owner: row.owner,
            standby: row.standby,
            epoch: row.epoch,
            claimed_at: row.claimed_at.map(timestamp::format),
            claimed_seconds: row.claimed_seconds,
            depth,
        }
    }
}

impl From<WorkerRow> for WorkerResource {
    fn from(row: WorkerRow) -> Self {
        Self {
            worker: row.worker,
            alive: row.alive,
            owned: row.owned,
            consumed: row.subscribed.len(),
            shards: row.subscribed,
            max_shards: row.capacity,
            draining: row.drain.map(DrainResource::from),
            started_at: timestamp::format(row.started_at),
            seen_at: timestamp::format(row.seen_at),
        }
    }
}
