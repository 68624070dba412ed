//! A million orders and ten million events, made in bulk by SQL. Takes some 12 GB of disk and several minutes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use orderly_protocol::{event_data, order_state};
use tokio_postgres::Client;
use uuid::Uuid;

use super::UNIFORM_ORDERS;
use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::{db, seed};

/// Orders.
const ORDERS: i64 = 1_000_000;
/// Version of each, and so its number of events.
pub(super) const VERSION: i64 = 10;
/// Orders of one statement.
const AT_ONCE: i64 = 50_000;
/// Candidates for loads, spread over all: each load takes some that none has touched.
const CANDIDATES: i64 = 50_000;

/// Makes the deployment and gives candidates.
pub(crate) async fn prepare(bench: &Bench) -> Result<(Deployment, Arc<[Uuid]>)> {
    let begun = Instant::now();
    let program = bench
        .deployer
        .prepare(&bench.servers, "orderly_big")
        .await?;
    let client = db::connect(&program.database_url).await?;
    client.batch_execute("set synchronous_commit = off").await?;
    let mut from = 0;
    while from < ORDERS {
        fill(&client, from, (from + AT_ONCE).min(ORDERS)).await?;
        from += AT_ONCE;
        eprintln!("{from} orders after {:.0} s", begun.elapsed().as_secs_f64());
    }
    client.batch_execute("vacuum analyze").await?;
    let rows = client
        .query(
            "select md5('order ' || number * $1::bigint)::uuid from generate_series(0, $2::bigint - 1) as number",
            &[&(ORDERS / CANDIDATES), &CANDIDATES],
        )
        .await?;
    let candidates = rows.iter().map(|row| row.get(0)).collect();
    let deployment = bench.deployer.start(program, &bench.roles).await?;
    deployment.stock().await?;
    Ok((deployment, candidates))
}

/// Orders `from` to `until`, each with its events and outcomes.
async fn fill(client: &Client, from: i64, until: i64) -> Result<()> {
    let blank = Uuid::nil();
    let (placed, order) = seed::placed(blank);
    let (noted, after) = seed::annotated(&order);
    let first = event_data(&order, &placed).get().to_owned();
    let later = event_data(&after, &noted).get().to_owned();
    let state = order_state(&after);
    let id = blank.to_string();
    // Texts with the ids and versions put in: the whole is read by the worker as its own.
    let version = format!("\"version\":{}", after.version.0);
    let total = order.total_minor();
    client
        .execute(
            "insert into orders (order_id, version, status, held, customer_id, currency, total_minor,
                                 captured_minor, refunded_minor, refund_pending_minor, state,
                                 created_at, updated_at)
             select id, $3::bigint, 'placed', false, 'bench-customer', 'EUR', $4::bigint, 0, 0, 0,
                    replace(replace($5::text, $6, id::text), $7, '\"version\":' || $3::bigint)::jsonb,
                    now(), now()
             from generate_series($1::bigint, $2::bigint - 1) as number,
                  lateral (select md5('order ' || number)::uuid as id) as named",
            &[&from, &until, &VERSION, &total, &state, &id, &version],
        )
        .await?;
    client
        .execute(
            "insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at)
             select id, version, command_id, command_id,
                    case version when 1 then 'placed' else 'annotated' end,
                    replace(replace(case version when 1 then $4::text else $5 end, $6, id::text),
                            $7, '\"version\":' || version)::jsonb,
                    now()
             from generate_series($1::bigint, $2::bigint - 1) as number,
                  generate_series(1, $3::bigint) as version,
                  lateral (select md5('order ' || number)::uuid as id,
                                  md5('command ' || number || ' ' || version)::uuid as command_id) as named",
            &[&from, &until, &VERSION, &first, &later, &id, &version],
        )
        .await?;
    client
        .execute(
            "insert into commands (command_id, order_id, producer, type, fingerprint, outcome, version,
                                   accepted_at, decided_at)
             select command_id, id, '00000000-0000-0000-0000-000000000000',
                    case version when 1 then 'place' else 'annotate' end,
                    sha256(command_id::text::bytea), 'applied', version, now(), now()
             from generate_series($1::bigint, $2::bigint - 1) as number,
                  generate_series(1, $3::bigint) as version,
                  lateral (select md5('order ' || number)::uuid as id,
                                  md5('command ' || number || ' ' || version)::uuid as command_id) as named
             order by command_id",
            &[&from, &until, &VERSION],
        )
        .await?;
    Ok(())
}

/// Some orders that no load has touched, as many as a uniform load takes.
pub(super) async fn untouched(client: &Client, candidates: &[Uuid]) -> Result<Arc<[Uuid]>> {
    let limit = i64::try_from(UNIFORM_ORDERS)?;
    let rows = client
        .query(
            "select order_id from orders where order_id = any($1) and version = $2
             order by random() limit $3",
            &[&candidates, &VERSION, &limit],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
