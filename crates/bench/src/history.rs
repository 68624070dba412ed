//! Reads what the database holds of the orders of one load, for the judge.

use anyhow::Result;
use orderly_domain::CommandId;
use orderly_protocol::ControlKind;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::judge::{EventRow, OutcomeRow};

/// The version of each order's row, in the order asked; 0 without a row.
pub(crate) async fn versions(client: &Client, orders: &[Uuid]) -> Result<Vec<(Uuid, i64)>> {
    let rows = client
        .query(
            "select wanted.order_id, coalesce(orders.version, 0)
             from unnest($1::uuid[]) with ordinality as wanted (order_id, place)
             left join orders on orders.order_id = wanted.order_id
             order by place",
            &[&orders],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Every outcome of these orders, but for control commands: they make no event.
pub(crate) async fn outcomes(client: &Client, orders: &[Uuid]) -> Result<Vec<OutcomeRow>> {
    let rows = client
        .query(
            "select command_id, order_id, outcome = 'applied', version
             from commands where order_id = any($1) and type <> all($2)",
            &[
                &orders,
                &ControlKind::ALL.map(ControlKind::as_str).as_slice(),
            ],
        )
        .await?;
    let outcome = |row: &tokio_postgres::Row| OutcomeRow {
        command_id: CommandId(row.get(0)),
        order_id: row.get(1),
        applied: row.get(2),
        version: row.get(3),
    };
    Ok(rows.iter().map(outcome).collect())
}

/// Every event of these orders.
pub(crate) async fn events(client: &Client, orders: &[Uuid]) -> Result<Vec<EventRow>> {
    let rows = client
        .query(
            "select order_id, version, command_id from events where order_id = any($1)",
            &[&orders],
        )
        .await?;
    let event = |row: &tokio_postgres::Row| EventRow {
        order_id: row.get(0),
        version: row.get(1),
        command_id: CommandId(row.get(2)),
    };
    Ok(rows.iter().map(event).collect())
}
