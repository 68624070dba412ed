//! The snapshot shows every row once, as of one moment.

use orderly_domain::Version;
use orderly_store::{Snapshot, StoreError};

use crate::database::Database;

/// More than two pages of each table, with keys that share their first part across the borders of pages.
const ROWS: &str = "
    insert into orders
        select lpad(to_hex(n), 32, '0')::uuid, 3, 'paid', false, 'c1', 'EUR', 1000, 1000, 0, 0, '{}', now(), now()
        from generate_series(0, 2499) as n;
    insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at)
        select lpad(to_hex(n), 32, '0')::uuid, version, gen_random_uuid(), gen_random_uuid(), 'placed', '{}', now()
        from generate_series(0, 849) as n, generate_series(1, 3) as version;
    insert into commands
        select gen_random_uuid(), lpad(to_hex(n % 3), 32, '0')::uuid, gen_random_uuid(), 'place', sha256(''), 'applied',
               1, null, now(), now()
        from generate_series(1, 2500) as n;
    insert into stock_movements
        select lpad(to_hex(n), 32, '0')::uuid, 1, sku, 0, 1
        from generate_series(0, 849) as n, unnest(array['A', 'B', 'C']) as sku;
    insert into stock select 'SKU' || n, 1, 0, now() from generate_series(1, 2500) as n;
    insert into stock_writes
        select gen_random_uuid(), 'SKU' || n, gen_random_uuid(), 'k', sha256(''), 'set', 1, 1, 0, now()
        from generate_series(1, 2500) as n;
";

struct Read {
    orders: usize,
    events: usize,
    outcomes: usize,
    movements: usize,
    stock: usize,
    stock_writes: usize,
}

/// Walks every table to its end; fails if a page repeats a row or breaks the order.
async fn read_all(snapshot: &mut Snapshot) -> Result<Read, StoreError> {
    let mut orders = Vec::new();
    let mut events = Vec::new();
    let mut outcomes = Vec::new();
    let mut movements = Vec::new();
    let mut stock = Vec::new();
    let mut stock_writes = Vec::new();
    // All tables side by side, as verify walks them.
    loop {
        let before = orders.len()
            + events.len()
            + outcomes.len()
            + movements.len()
            + stock.len()
            + stock_writes.len();
        let after = orders.last().copied();
        orders.extend(
            snapshot
                .orders(after)
                .await?
                .iter()
                .map(|o| (o.order_id, o.version)),
        );
        let after = events.last().copied();
        events.extend(
            snapshot
                .events(after)
                .await?
                .iter()
                .map(|e| (e.order_id, e.version)),
        );
        let after = outcomes.last().copied();
        outcomes.extend(
            snapshot
                .outcomes(after)
                .await?
                .iter()
                .map(|o| (o.order_id, o.command_id)),
        );
        let page = snapshot.movements(movements.last()).await?;
        movements.extend(page);
        let after = stock.last().cloned();
        stock.extend(
            snapshot
                .stock(after.as_ref())
                .await?
                .into_iter()
                .map(|s| s.sku),
        );
        let after = stock_writes.last().copied();
        stock_writes.extend(
            snapshot
                .stock_writes(after)
                .await?
                .iter()
                .map(|w| w.write_id),
        );
        let now = orders.len()
            + events.len()
            + outcomes.len()
            + movements.len()
            + stock.len()
            + stock_writes.len();
        if now == before {
            break;
        }
    }
    assert!(orders.is_sorted_by(|a, b| a < b));
    assert!(events.is_sorted_by(|a, b| a < b));
    assert!(outcomes.is_sorted_by(|a, b| a < b));
    assert!(movements.is_sorted_by(|a, b| {
        (a.order_id, a.version, &a.movement.sku) < (b.order_id, b.version, &b.movement.sku)
    }));
    assert!(stock.is_sorted_by(|a, b| a < b));
    assert!(stock_writes.is_sorted_by(|a, b| a < b));
    Ok(Read {
        orders: orders.len(),
        events: events.len(),
        outcomes: outcomes.len(),
        movements: movements.len(),
        stock: stock.len(),
        stock_writes: stock_writes.len(),
    })
}

#[tokio::test]
async fn pages_cover_every_row_once_in_key_order() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    let read = read_all(&mut database.store.snapshot().await.unwrap())
        .await
        .unwrap();
    assert_eq!(read.orders, 2500, "the nil UUID included");
    assert_eq!(read.events, 2550);
    assert_eq!(read.outcomes, 2500);
    assert_eq!(read.movements, 2550);
    assert_eq!(read.stock, 2500);
    assert_eq!(read.stock_writes, 2500);
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_was_written_after_its_first_page() {
    let database = Database::fresh().await;
    let mut snapshot = database.store.snapshot().await.unwrap();
    assert!(snapshot.orders(None).await.unwrap().is_empty());
    database.run(ROWS).await.unwrap();
    let read = read_all(&mut snapshot).await.unwrap();
    assert_eq!(read.orders + read.events + read.outcomes, 0);
    assert_eq!(read.movements + read.stock + read.stock_writes, 0);
}

#[tokio::test]
async fn a_projected_order_carries_its_columns() {
    let database = Database::fresh().await;
    database
        .run(
            r#"insert into orders values ('00000000-0000-0000-0000-000000000001', 9, 'shipped', true, 'c7', 'GBP',
               1000, 900, 100, 50, '{"a": 1}', now(), now())"#,
        )
        .await
        .unwrap();
    let order = database
        .store
        .snapshot()
        .await
        .unwrap()
        .orders(None)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(order.version, Version(9));
    assert_eq!((order.status.as_str(), order.held), ("shipped", true));
    assert_eq!(
        (order.customer_id.as_str(), order.currency.as_str()),
        ("c7", "GBP")
    );
    assert_eq!((order.total_minor, order.captured_minor), (1000, 900));
    assert_eq!(
        (order.refunded_minor, order.refund_pending_minor),
        (100, 50)
    );
    assert_eq!(order.state, r#"{"a": 1}"#);
}
