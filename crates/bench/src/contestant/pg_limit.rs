//! What Postgres itself can do: the rows of Orderly's batches, in as few round trips as a driver can make of them, with
//! nothing decided and nothing sent anywhere.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use orderly_protocol::{event_data, order_state};
use time::OffsetDateTime;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::clock::{Clock, nanos};
use crate::db::{self, Parameter};
use crate::random::Random;
use crate::rows::{Events, Orders, Outcomes, Writer};
use crate::seed;

/// Commands of a batch: the cap that the worker has.
const BATCH: usize = 256;

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Commands committed in the measured time, a second.
    pub(crate) per_second: f64,
    /// Commands committed in all.
    pub(crate) commands: u64,
}

/// How much to write, and where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) database_url: String,
    pub(crate) orders: std::sync::Arc<[Uuid]>,
    /// Each has a shard and a share of the orders of its own.
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Adds what a topology would have made: a generation and its shards, claimed.
pub(crate) async fn prepare(client: &Client) -> Result<()> {
    let rows = "insert into generations (generation, shard_count, prefetch, state) values (1, 16, 32, 'current');
         insert into shards (generation, shard, epoch, owner, claimed_at)
         select 1, shard, 1, 'bench', now() from generate_series(0, 15) as shard";
    Ok(client.batch_execute(rows).await?)
}

/// Writes batches on every connection until the time is over.
pub(crate) async fn run(plan: &Plan, clock: Clock) -> Result<Written> {
    let from = clock.now() + nanos(plan.warm_up);
    let until = from + nanos(plan.measured);
    let share = plan.orders.len().div_ceil(plan.connections);
    let mut tasks = Vec::new();
    for (shard, orders) in (0..).zip(plan.orders.chunks(share)) {
        let mut batches = Batches::open(&plan.database_url, shard, orders).await?;
        tasks.push(tokio::spawn(async move {
            let (mut all, mut counted) = (0_u64, 0_u64);
            while clock.now() < until {
                batches.write().await?;
                let now = clock.now();
                all += BATCH as u64;
                if (from..until).contains(&now) {
                    counted += BATCH as u64;
                }
            }
            Ok::<_, anyhow::Error>((all, counted))
        }));
    }
    let (mut commands, mut counted) = (0, 0);
    for task in tasks {
        let (all, in_time) = task.await.context("a writer panicked")??;
        commands += all;
        counted += in_time;
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_second = counted as f64 / plan.measured.as_secs_f64();
    Ok(Written {
        per_second,
        commands,
    })
}

/// Commands = events = sum of versions, less what was there before.
pub(crate) async fn check(client: &Client, commands: u64, seeded: usize) -> Result<()> {
    let row = client
        .query_one(
            "select (select count(*) from commands), (select count(*) from events),
                    (select sum(version)::bigint from orders)",
            &[],
        )
        .await?;
    let found: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
    let expected = i64::try_from(commands + seeded as u64)?;
    if found != [expected; 3] {
        bail!("{expected} commands were written; there are {found:?} commands, events, versions");
    }
    Ok(())
}

/// One connection with its shard and orders.
struct Batches {
    client: Client,
    writer: Writer,
    begin: Statement,
    fence: Statement,
    dedupe: Statement,
    load: Statement,
    commit: Statement,
    shard: i32,
    orders: Vec<Slot>,
    next: usize,
    ids: Random,
}

/// An order and what is written of it. The texts have the size of real ones; nobody reads them.
struct Slot {
    order_id: Uuid,
    version: i64,
    state: String,
    data: String,
    total_minor: i64,
}

impl Batches {
    async fn open(database_url: &str, shard: i32, orders: &[Uuid]) -> Result<Self> {
        let client = db::connect_measured(database_url).await?;
        let fence = "select clock_timestamp(), pg_backend_pid() from shards
             where generation = 1 and shard = $1 and owner = 'bench' and epoch = 1
               and drained_at is null
             for share";
        let dedupe =
            "select command_id, fingerprint, outcome, version, rejection ->> 'code' as code
             from commands where command_id = any($1)
             union all
             select command_id, fingerprint, null, null, null
             from lane_entries where command_id = any($1)";
        let load = "select wanted.order_id, orders.version, orders.state::text,
                    case when lanes.order_id is not null then
                        coalesce((select max(position) from lane_entries
                                  where lane_entries.order_id = lanes.order_id), 0)
                    end as lane_tail
             from unnest($1::uuid[]) as wanted (order_id)
             left join orders on orders.order_id = wanted.order_id
             left join lanes on lanes.order_id = wanted.order_id";
        Ok(Self {
            writer: Writer::prepare(&client).await?,
            begin: client.prepare("begin").await?,
            fence: client.prepare(fence).await?,
            dedupe: client.prepare(dedupe).await?,
            load: client.prepare(load).await?,
            commit: client.prepare("commit").await?,
            client,
            shard,
            orders: orders.iter().map(|order_id| Slot::new(*order_id)).collect(),
            next: 0,
            // Each shard's own, in a database of this run's own: no id comes twice.
            ids: Random::new(u64::from(shard.cast_unsigned())),
        })
    }

    /// One batch: what a worker reads in one pipelined round trip, what it writes in another.
    async fn write(&mut self) -> Result<()> {
        let commands: Vec<(Uuid, usize)> = (0..BATCH)
            .map(|_| {
                let order = self.next;
                self.next = (order + 1) % self.orders.len();
                let id = u128::from(self.ids.next()) << 64 | u128::from(self.ids.next());
                (Uuid::from_u128(id), order)
            })
            .collect();
        let ids: Vec<Uuid> = commands.iter().map(|(id, _)| *id).collect();
        let touched: Vec<usize> = (0..self.orders.len().min(BATCH))
            .map(|offset| commands[offset].1)
            .collect();
        let wanted: Vec<Uuid> = touched
            .iter()
            .map(|order| self.orders[*order].order_id)
            .collect();
        let client = &self.client;
        let by_shard: [Parameter<'_>; 1] = [&self.shard];
        let by_id: [Parameter<'_>; 1] = [&ids];
        let by_order: [Parameter<'_>; 1] = [&wanted];
        let (begun, fence, known, loaded) = tokio::join!(
            client.execute(&self.begin, &[]),
            client.query_one(&self.fence, &by_shard),
            client.query(&self.dedupe, &by_id),
            client.query(&self.load, &by_order),
        );
        begun?;
        let at: OffsetDateTime = fence?.get(0);
        ensure!(
            known?.is_empty() && loaded?.len() == wanted.len(),
            "the batch was not loaded"
        );

        let before: Vec<i64> = touched
            .iter()
            .map(|order| self.orders[*order].version)
            .collect();
        let places: Vec<i64> = commands
            .iter()
            .map(|(_, order)| {
                self.orders[*order].version += 1;
                self.orders[*order].version
            })
            .collect();
        let (mut outcomes, mut events, mut rows) =
            (Outcomes::default(), Events::default(), Orders::default());
        for ((id, order), version) in commands.iter().zip(&places) {
            let slot = &self.orders[*order];
            outcomes.push(*id, slot.order_id, *version, "annotate", at);
            events.push(*id, slot.order_id, *version, ("annotated", &slot.data), at);
        }
        for (order, loaded) in touched.iter().zip(before) {
            let slot = &self.orders[*order];
            rows.order_id.push(slot.order_id);
            rows.loaded.push(loaded);
            rows.version.push(slot.version);
            rows.total_minor.push(slot.total_minor);
            rows.state.push(&slot.state);
        }
        let (outcomes, events, orders, committed) = tokio::join!(
            self.writer.insert_outcomes(client, &outcomes, at),
            self.writer.insert_events(client, &events),
            self.writer.update_orders(client, &rows, at),
            client.execute(&self.commit, &[]),
        );
        outcomes?;
        events?;
        orders?;
        committed?;
        Ok(())
    }
}

impl Slot {
    fn new(order_id: Uuid) -> Self {
        let (_, placed) = seed::placed(order_id);
        let (event, after) = seed::annotated(&placed);
        Self {
            order_id,
            version: 1,
            state: order_state(&after),
            data: event_data(&after, &event).get().to_owned(),
            total_minor: after.total_minor(),
        }
    }
}
