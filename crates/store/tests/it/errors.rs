//! Real faults of a real Postgres fall into the class that says what to do.

use std::time::{Duration, Instant};

use orderly_domain::{CommandId, OrderId, Version};
use orderly_store::{FaultClass, SessionProfile, Store, StoreError, StoreOptions};
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::database::Database;

const TWO_ROWS: &str = "insert into stock values ('A', 1, 0, now()), ('B', 1, 0, now())";

async fn session(database: &Database) -> PgConnection {
    PgConnection::connect(&database.env.database_url)
        .await
        .expect("a plain session opens")
}

fn fault(result: Result<sqlx::postgres::PgQueryResult, sqlx::Error>) -> Option<StoreError> {
    result.err().map(StoreError::from)
}

#[tokio::test]
async fn a_deadlock_is_transient() {
    let database = Database::fresh().await;
    database.run(TWO_ROWS).await.unwrap();
    let (mut one, mut two) = (session(&database).await, session(&database).await);
    for session in [&mut one, &mut two] {
        session
            .execute("set deadlock_timeout = '50ms'; begin")
            .await
            .unwrap();
    }
    one.execute("update stock set on_hand = 2 where sku = 'A'")
        .await
        .unwrap();
    two.execute("update stock set on_hand = 2 where sku = 'B'")
        .await
        .unwrap();
    let (first, second) = tokio::join!(
        async {
            let result = one
                .execute("update stock set on_hand = 3 where sku = 'B'")
                .await;
            // Ends the wait of the other, whoever was chosen.
            one.execute("rollback").await.unwrap();
            fault(result)
        },
        async {
            let result = two
                .execute("update stock set on_hand = 3 where sku = 'A'")
                .await;
            two.execute("rollback").await.unwrap();
            fault(result)
        },
    );
    let faults: Vec<_> = first.into_iter().chain(second).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].sqlstate(), Some("40P01"));
    assert!(faults[0].is_transient());
}

#[tokio::test]
async fn a_serialization_failure_is_transient() {
    let database = Database::fresh().await;
    database.run(TWO_ROWS).await.unwrap();
    let mut session = session(&database).await;
    session
        .execute("begin isolation level repeatable read; select from stock")
        .await
        .unwrap();
    database.run("update stock set on_hand = 2").await.unwrap();
    let fault = fault(session.execute("update stock set on_hand = 3").await).unwrap();
    assert_eq!(fault.sqlstate(), Some("40001"));
    assert!(fault.is_transient());
}

#[tokio::test]
async fn waiting_too_long_for_a_lock_is_transient() {
    let database = Database::fresh().await;
    database.run(TWO_ROWS).await.unwrap();
    let mut holder = session(&database).await;
    holder
        .execute("begin; update stock set on_hand = 2")
        .await
        .unwrap();
    let mut waiter = session(&database).await;
    waiter.execute("set lock_timeout = '20ms'").await.unwrap();
    let fault = fault(waiter.execute("update stock set on_hand = 3").await).unwrap();
    assert_eq!(fault.sqlstate(), Some("55P03"));
    assert!(fault.is_transient());
}

#[tokio::test]
async fn a_statement_out_of_time_is_systemic() {
    let database = Database::fresh().await;
    let mut session = session(&database).await;
    session
        .execute("set statement_timeout = '20ms'")
        .await
        .unwrap();
    let fault = fault(session.execute("select pg_sleep(60)").await).unwrap();
    assert_eq!(fault.sqlstate(), Some("57014"));
    assert_eq!(fault.class(), FaultClass::Systemic);
}

#[tokio::test]
async fn a_killed_session_is_systemic_and_the_next_call_succeeds() {
    let database = Database::fresh().await;
    let mut snapshot = database.store.snapshot().await.unwrap();
    snapshot.orders(None).await.unwrap();
    database
        .run(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity
             where datname = current_database() and application_name = 'orderly-store-tests'",
        )
        .await
        .unwrap();
    let fault = snapshot.orders(None).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::Systemic, "{fault:?}");
    // Every idle session was killed as well; the pool tests before use and opens a new one.
    database.store.now().await.unwrap();
}

#[tokio::test]
async fn broken_rules_and_unstorable_text_are_faults_of_the_data() {
    let database = Database::fresh().await;
    database.run(TWO_ROWS).await.unwrap();
    for (sqlstate, statement) in [
        ("23514", "update stock set reserved = 2"),
        ("23502", "insert into stock values ('C', null, 0, now())"),
        (
            "22003",
            "update stock set on_hand = on_hand * 9223372036854775807 * 2",
        ),
        ("22P05", r#"select '"\u0000"'::jsonb ->> 0"#),
    ] {
        let fault = database.run(statement).await.expect_err(statement);
        assert_eq!(fault.sqlstate(), Some(sqlstate), "{statement}");
        assert_eq!(fault.class(), FaultClass::Data, "{statement}");
    }
}

#[tokio::test]
async fn an_id_that_another_shard_decided_first_is_transient() {
    let database = Database::fresh().await;
    let decide = "insert into commands values
        ('00000000-0000-0000-0000-0000000000c1', gen_random_uuid(), gen_random_uuid(), 'place', sha256(''), 'applied',
         1, null, now(), now())";
    database.run(decide).await.unwrap();
    let fault = database.run(decide).await.unwrap_err();
    assert_eq!(fault.constraint(), Some("commands_pkey"));
    assert!(
        fault.is_transient(),
        "dedupe finds the outcome when the batch runs again"
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_systemic_within_its_limit() {
    let options = StoreOptions {
        application_name: "orderly-store-tests".to_owned(),
        max_connections: 1,
        profile: SessionProfile::General,
    };
    let begun = Instant::now();
    // Port 1 refuses.
    let fault = Store::connect("postgres://nobody@127.0.0.1:1/none", &options)
        .await
        .unwrap_err();
    assert_eq!(fault.class(), FaultClass::Systemic);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn bad_cells_are_named() {
    let database = Database::fresh().await;
    let id = Uuid::from_u128(0xc1);
    database
        .run(
            "insert into commands values
             ('00000000-0000-0000-0000-0000000000c1', gen_random_uuid(), gen_random_uuid(), 'place', sha256(''),
              'rejected', 0, '[1]', now(), now());
             alter table events drop constraint events_version_positive;
             insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at)
             values ('00000000-0000-0000-0000-0000000000c1', -1, gen_random_uuid(), gen_random_uuid(), 'x', '{}', now());
             insert into stock values ('two words', 0, 0, now());",
        )
        .await
        .unwrap();
    let outcome = database.store.outcome(CommandId(id)).await.unwrap_err();
    assert_eq!(
        outcome.to_string(),
        format!("commands.rejection of row {id} is not a rejection")
    );
    assert_eq!(outcome.class(), FaultClass::Data);

    let stock = database.store.list_stock(None, 10).await.unwrap_err();
    assert_eq!(stock.to_string(), "stock.sku of row two words is not a SKU");

    let mut snapshot = database.store.snapshot().await.unwrap();
    let events = snapshot
        .events(Some((OrderId(Uuid::nil()), Version::NONE)))
        .await
        .unwrap_err();
    assert_eq!(
        events.to_string(),
        format!("events.version of row {id}.-1 is not a version")
    );
}
