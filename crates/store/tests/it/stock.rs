//! Stock writes: once per key, by the rules, under the lock.

use orderly_domain::{ProducerId, Sku, StockLevel, StockWriteError};
use orderly_protocol::Fingerprint;
use orderly_store::{StockWrite, StockWriteResult};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::database::{Database, actor};

const SHOP: ProducerId = ProducerId(Uuid::from_u128(7));

fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a SKU")
}

fn write(sku_text: &str, key: &str) -> StockWrite {
    StockWrite {
        write_id: Uuid::now_v7(),
        sku: sku(sku_text),
        producer: SHOP,
        key: key.to_owned(),
        fingerprint: Fingerprint([1; 32]),
    }
}

fn level(on_hand: i64, reserved: i64) -> StockLevel {
    StockLevel { on_hand, reserved }
}

fn written(result: StockWriteResult) -> (StockLevel, bool) {
    match result {
        StockWriteResult::Written { row, replayed } => (row.level, replayed),
        other => panic!("not written: {other:?}"),
    }
}

#[tokio::test]
async fn sixteen_calls_with_one_key_have_one_effect() {
    let database = Database::fresh().await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let store = database.store.clone();
        calls.spawn(async move {
            store
                .adjust_stock(&write("MUG", "delivery-1"), 5, &actor())
                .await
        });
    }
    let results = calls.join_all().await;
    let results: Vec<_> = results.into_iter().map(|r| written(r.unwrap())).collect();
    assert!(results.iter().all(|(level, _)| *level == self::level(5, 0)));
    assert_eq!(results.iter().filter(|(_, replayed)| !replayed).count(), 1);
    assert_eq!(database.count("select count(*) from stock_writes").await, 1);
    let stock = database.store.stock(&sku("MUG")).await.unwrap().unwrap();
    assert_eq!(stock.level, level(5, 0));
}

#[tokio::test]
async fn sixteen_adjustments_all_count() {
    let database = Database::fresh().await;
    let mut calls = JoinSet::new();
    for i in 0..16_i64 {
        let store = database.store.clone();
        calls.spawn(async move {
            store
                .adjust_stock(&write("MUG", &format!("k{i}")), i, &actor())
                .await
        });
    }
    for result in calls.join_all().await {
        assert!(!written(result.unwrap()).1);
    }
    let stock = database.store.stock(&sku("MUG")).await.unwrap().unwrap();
    assert_eq!(stock.level, level((0..16).sum(), 0));
    assert_eq!(
        database
            .count("select sum(on_hand)::bigint from stock_writes")
            .await,
        stock.level.on_hand,
        "the ledger sums to the stock"
    );
}

#[tokio::test]
async fn taking_the_last_piece_twice_at_once_succeeds_once() {
    let database = Database::fresh().await;
    database
        .store
        .set_stock(&write("MUG", "seed"), 1, &actor())
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    for i in 0..8 {
        let store = database.store.clone();
        calls.spawn(async move {
            store
                .adjust_stock(&write("MUG", &format!("k{i}")), -1, &actor())
                .await
        });
    }
    let results = calls.join_all().await;
    let taken = results
        .into_iter()
        .filter(|r| matches!(r, Ok(StockWriteResult::Written { .. })))
        .count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn one_key_for_two_skus_at_once_writes_one_of_them() {
    let database = Database::fresh().await;
    let mut calls = JoinSet::new();
    for i in 0..16 {
        let store = database.store.clone();
        calls.spawn(async move {
            store
                .set_stock(&write(&format!("SKU{i}"), "key"), 3, &actor())
                .await
        });
    }
    let results = calls.join_all().await;
    let (written, reused): (Vec<_>, Vec<_>) = results
        .into_iter()
        .map(Result::unwrap)
        .partition(|result| matches!(result, StockWriteResult::Written { .. }));
    assert_eq!(written.len(), 1);
    assert!(reused.iter().all(|r| *r == StockWriteResult::KeyReused));
    assert_eq!(database.count("select count(*) from stock").await, 1);
}

#[tokio::test]
async fn a_replayed_write_answers_with_the_level_it_left() {
    let database = Database::fresh().await;
    let first = write("MUG", "first");
    database
        .store
        .set_stock(&first, 10, &actor())
        .await
        .unwrap();
    database
        .store
        .adjust_stock(&write("MUG", "second"), 7, &actor())
        .await
        .unwrap();
    let again = database
        .store
        .set_stock(&first, 10, &actor())
        .await
        .unwrap();
    assert_eq!(written(again), (level(10, 0), true));
    let stock = database.store.stock(&sku("MUG")).await.unwrap().unwrap();
    assert_eq!(stock.level, level(17, 0));
}

#[tokio::test]
async fn a_replayed_write_is_not_judged_again() {
    let database = Database::fresh().await;
    database
        .store
        .set_stock(&write("MUG", "seed"), 5, &actor())
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let store = database.store.clone();
        calls.spawn(async move {
            store
                .adjust_stock(&write("MUG", "last five"), -5, &actor())
                .await
        });
    }
    for result in calls.join_all().await {
        assert_eq!(written(result.unwrap()).0, level(0, 0), "there were five");
    }
}

#[tokio::test]
async fn a_key_under_another_request_writes_nothing() {
    let database = Database::fresh().await;
    database
        .store
        .set_stock(&write("MUG", "key"), 10, &actor())
        .await
        .unwrap();
    let other = StockWrite {
        fingerprint: Fingerprint([2; 32]),
        ..write("MUG", "key")
    };
    let result = database
        .store
        .set_stock(&other, 20, &actor())
        .await
        .unwrap();
    assert_eq!(result, StockWriteResult::KeyReused);
    let stock = database.store.stock(&sku("MUG")).await.unwrap().unwrap();
    assert_eq!(stock.level, level(10, 0));

    let elsewhere = StockWrite {
        producer: ProducerId(Uuid::from_u128(8)),
        ..write("MUG", "key")
    };
    let result = database
        .store
        .set_stock(&elsewhere, 20, &actor())
        .await
        .unwrap();
    assert_eq!(
        written(result),
        (level(20, 0), false),
        "keys belong to their producer"
    );
}

#[tokio::test]
async fn stock_never_falls_below_what_is_reserved() {
    let database = Database::fresh().await;
    database
        .run("insert into stock values ('MUG', 10, 4, now())")
        .await
        .unwrap();
    let refused = StockWriteResult::Refused(StockWriteError::BelowReserved { reserved: 4 });
    let store = &database.store;
    assert_eq!(
        store
            .set_stock(&write("MUG", "a"), 3, &actor())
            .await
            .unwrap(),
        refused
    );
    assert_eq!(
        store
            .adjust_stock(&write("MUG", "b"), -7, &actor())
            .await
            .unwrap(),
        refused
    );
    // The key of a refused write is free: the same call may succeed later.
    assert_eq!(
        written(
            store
                .set_stock(&write("MUG", "a"), 4, &actor())
                .await
                .unwrap()
        )
        .0,
        level(4, 4)
    );
}

#[tokio::test]
async fn a_refused_write_leaves_no_sku_behind() {
    let database = Database::fresh().await;
    let result = database
        .store
        .adjust_stock(&write("MUG", "a"), -1, &actor())
        .await
        .unwrap();
    assert!(matches!(result, StockWriteResult::Refused(_)));
    assert_eq!(database.store.stock(&sku("MUG")).await.unwrap(), None);
}

#[tokio::test]
async fn stock_is_listed_in_sku_order_page_by_page() {
    let database = Database::fresh().await;
    for name in ["b", "B", "a", "Ä", "1"] {
        database
            .store
            .set_stock(&write(name, name), 1, &actor())
            .await
            .unwrap();
    }
    let mut listed = Vec::new();
    loop {
        let after = listed.last().map(|name: &String| sku(name));
        let page = database.store.list_stock(after.as_ref(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|row| row.sku.to_string()));
    }
    assert_eq!(
        listed,
        ["1", "B", "a", "b", "Ä"],
        "by bytes, whatever the locale"
    );
}
