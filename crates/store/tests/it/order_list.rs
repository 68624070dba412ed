//! The list of orders: every order on one page, whatever happens between the pages.

use orderly_domain::{Sku, Status};
use orderly_store::{OrderFilter, OrderPlace};

use crate::database::{Database, eventually};

/// Orders `from` to `to`: order n is placed n seconds after the first of January, but three at a time share a time. Every
/// fourth one is paid, the others are placed; customers a, b and c take turns; every sixth one has taken a LAMP.
fn orders(from: u32, to: u32) -> String {
    format!(
        "insert into orders
             select lpad(to_hex(n), 32, '0')::uuid, 1, case when n % 4 = 0 then 'paid' else 'placed' end, false,
                    chr(97 + n % 3), 'EUR', n, case when n % 4 = 0 then n else 0 end, 0, 0, '{{}}',
                    '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => n - n % 3), now()
             from generate_series({from}, {to}) as n;
         insert into stock_movements
             select lpad(to_hex(n), 32, '0')::uuid, version, 'LAMP', 0, 1
             from generate_series({from}, {to}) as n, generate_series(1, 2) as version where n % 6 = 0;"
    )
}

/// The numbers of all orders that pass, page by page; `between` runs after each page.
async fn pages(
    database: &Database,
    filter: &OrderFilter,
    limit: u32,
    mut between: impl AsyncFnMut(usize),
) -> Vec<i64> {
    let (mut numbers, mut after, mut page) = (Vec::new(), None::<OrderPlace>, 0);
    loop {
        let read = database.store.list_orders(filter, after, limit).await;
        let read = read.expect("the page is read");
        assert!(read.orders.len() <= limit as usize);
        numbers.extend(read.orders.iter().map(|order| order.total_minor));
        page += 1;
        between(page).await;
        after = read.next;
        if after.is_none() {
            return numbers;
        }
    }
}

fn expected(to: i64, passes: impl Fn(&i64) -> bool) -> Vec<i64> {
    (1..=to).rev().filter(passes).collect()
}

async fn all_pages(database: &Database, filter: &OrderFilter, limit: u32) -> Vec<i64> {
    pages(database, filter, limit, async |_| {}).await
}

#[tokio::test]
async fn every_order_is_on_one_page_newest_first() {
    let database = Database::fresh().await;
    let everything = OrderFilter::default();
    assert_eq!(all_pages(&database, &everything, 10).await, [0; 0]);
    database.run(&orders(1, 100)).await.unwrap();
    for limit in [1, 7, 10, 99, 100, 101] {
        assert_eq!(
            all_pages(&database, &everything, limit).await,
            expected(100, |_| true),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn orders_placed_and_changed_between_pages_neither_hide_nor_repeat_others() {
    let database = Database::fresh().await;
    database.run(&orders(1, 100)).await.unwrap();
    let raw = &database;
    let numbers = pages(&database, &OrderFilter::default(), 7, async |page| {
        // Newer ones, an older one whose transaction took long, and a change of all.
        let (newer, late) = (1_000 + 10 * page, 40 + page);
        let sql = format!(
            "{}; insert into orders select gen_random_uuid(), 1, 'placed', false, 'a', 'EUR', -0, 0, 0, 0, '{{}}',
                 '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => {late}.5), now();
             update orders set version = version + 1, updated_at = now()",
            orders(u32::try_from(newer).unwrap(), u32::try_from(newer + 5).unwrap()),
        );
        raw.run(&sql).await.unwrap();
    })
    .await;
    let old: Vec<i64> = numbers
        .into_iter()
        .filter(|number| (1..=100).contains(number))
        .collect();
    assert_eq!(old, expected(100, |_| true));
}

#[tokio::test]
async fn filters_narrow_each_other() {
    let database = Database::fresh().await;
    database.run(&orders(1, 120)).await.unwrap();
    let paid = OrderFilter {
        status: Some(Status::Paid),
        ..OrderFilter::default()
    };
    let of_b = OrderFilter {
        customer_id: Some("b".to_owned()),
        ..OrderFilter::default()
    };
    let lamps = OrderFilter {
        sku: Sku::new("LAMP"),
        ..OrderFilter::default()
    };
    assert_eq!(
        all_pages(&database, &paid, 7).await,
        expected(120, |n| n % 4 == 0)
    );
    assert_eq!(
        all_pages(&database, &of_b, 7).await,
        expected(120, |n| n % 3 == 1)
    );
    assert_eq!(
        all_pages(&database, &lamps, 7).await,
        expected(120, |n| n % 6 == 0)
    );
    let paid_lamps = OrderFilter {
        sku: lamps.sku.clone(),
        ..paid.clone()
    };
    assert_eq!(
        all_pages(&database, &paid_lamps, 2).await,
        expected(120, |n| n % 12 == 0)
    );
    let all_three = OrderFilter {
        customer_id: Some("a".to_owned()),
        ..paid_lamps
    };
    assert_eq!(
        all_pages(&database, &all_three, 2).await,
        expected(120, |n| n % 12 == 0)
    );
    let none = OrderFilter {
        sku: Sku::new("MUG"),
        ..of_b
    };
    assert_eq!(all_pages(&database, &none, 7).await, [0; 0]);
}

#[tokio::test]
async fn one_page_looks_at_a_bounded_number_of_orders_and_the_next_goes_on_there() {
    let database = Database::fresh().await;
    database.run(&orders(1, 25_000)).await.unwrap();
    database
        .run("update orders set status = 'returned' where total_minor in (5, 15000, 15001, 20000)")
        .await
        .unwrap();
    let returned = OrderFilter {
        status: Some(Status::Returned),
        ..OrderFilter::default()
    };
    let mut lengths = Vec::new();
    let mut after = None;
    loop {
        let page = database.store.list_orders(&returned, after, 10).await;
        let page = page.unwrap();
        lengths.push(page.orders.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // 15,001 is the last one that the first page looks at.
    assert_eq!(lengths, [2, 1, 1]);
    assert_eq!(
        all_pages(&database, &returned, 1).await,
        [20_000, 15_001, 15_000, 5]
    );
    let of_a = OrderFilter {
        customer_id: Some("a".to_owned()),
        ..returned
    };
    assert_eq!(all_pages(&database, &of_a, 10).await, [15_000]);
}

#[tokio::test]
async fn a_page_is_read_along_an_index() {
    let database = Database::fresh().await;
    database.run(&orders(1, 5_000)).await.unwrap();
    database.run("analyze orders").await.unwrap();
    let of_b = OrderFilter {
        customer_id: Some("b".to_owned()),
        ..OrderFilter::default()
    };
    // Postgres plans five times anew before it may settle for a generic plan.
    let reads = 10;
    for _ in 0..reads {
        for filter in [&OrderFilter::default(), &of_b] {
            let first = database.store.list_orders(filter, None, 5).await.unwrap();
            database
                .store
                .list_orders(filter, first.next, 5)
                .await
                .unwrap();
        }
    }
    // A session counts for others when it ends.
    database.store.close().await;
    let counted = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where indexrelname like 'orders_newest%'";
    let all_counted = async || database.count(counted).await >= reads * 2 * 2 * 6;
    eventually("the reads are counted", all_counted).await;
    let along = database.count(counted).await;
    assert!(along < reads * 2 * 2 * 20, "{along} entries for pages of 5");
    let past = "select seq_tup_read from pg_stat_user_tables where relname = 'orders'";
    assert_eq!(database.count(past).await, 0);
}
