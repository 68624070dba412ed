//! The schema holds the invariants by itself, whatever the code does.

use orderly_store::{FaultClass, StoreError};

use crate::database::Database;

/// Rows that every refused statement varies by one fault.
const GOOD_ROWS: &str = "
    insert into orders values
        ('00000000-0000-0000-0000-000000000001', 1, 'paid', false, 'c1', 'EUR', 1000, 1000, 0, 0, '{}', now(), now());
    insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at) values
        ('00000000-0000-0000-0000-000000000001', 1, gen_random_uuid(), gen_random_uuid(), 'placed', '{}', now());
    insert into commands values
        ('00000000-0000-0000-0000-0000000000c1', gen_random_uuid(), gen_random_uuid(), 'place', sha256(''), 'applied',
         1, null, now(), now());
    insert into stock values ('MUG', 10, 4, now());
    insert into generations (generation, shard_count, prefetch, state) values (1, 1, 32, 'current');
    insert into shards (generation, shard) values (1, 0);
    insert into lanes values ('00000000-0000-0000-0000-000000000001', 'unknown_type', 'd', now());
    insert into stock_writes values
        (gen_random_uuid(), 'MUG', '00000000-0000-0000-0000-0000000000aa', 'k', sha256(''), 'set', 10, 10, 0, now());
";

const REFUSED: &[(&str, &str)] = &[
    ("stock_never_oversold", "update stock set reserved = 11"),
    ("stock_never_oversold", "update stock set reserved = -1"),
    ("stock_never_oversold", "update stock set on_hand = 3"),
    (
        "stock_on_hand_exact_in_json",
        "update stock set on_hand = 9007199254740992",
    ),
    (
        "orders_money_conserved",
        "update orders set refunded_minor = 600, refund_pending_minor = 401",
    ),
    ("orders_money_conserved", "update orders set refunded_minor = -1"),
    (
        "orders_money_conserved",
        "update orders set refund_pending_minor = -1",
    ),
    (
        "orders_total_not_negative",
        "update orders set total_minor = -1",
    ),
    ("orders_status", "update orders set status = 'lost'"),
    ("orders_version_positive", "update orders set version = 0"),
    (
        "events_pkey",
        "insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at)
         values ('00000000-0000-0000-0000-000000000001', 1, gen_random_uuid(), gen_random_uuid(), 'paid', '{}', now())",
    ),
    ("commands_outcome", "update commands set outcome = 'lost'"),
    (
        "commands_rejection_when_not_applied",
        "update commands set outcome = 'rejected'",
    ),
    (
        "commands_rejection_when_not_applied",
        "update commands set rejection = '{}'",
    ),
    (
        "commands_applied_has_version",
        "update commands set version = 0",
    ),
    (
        "commands_fingerprint_is_sha256",
        "update commands set fingerprint = '\\x00'",
    ),
    (
        "commands_pkey",
        "insert into commands select * from commands",
    ),
    (
        "generations_one_current",
        "insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'current')",
    ),
    (
        "generations_shard_count",
        "update generations set shard_count = 1000",
    ),
    (
        "shards_claimed_by_someone",
        "update shards set epoch = 1",
    ),
    (
        "shards_marked_before_drained",
        "update shards set drained_at = now()",
    ),
    (
        "resizes_one_open",
        "insert into generations (generation, shard_count, prefetch, state)
             values (2, 1, 32, 'prepared'), (3, 1, 32, 'prepared');
         insert into resizes (from_generation, to_generation, requested_by, reason)
             values (1, 2, 'a', 'b'), (1, 3, 'a', 'b')",
    ),
    (
        "resizes_finished",
        "insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'prepared');
         insert into resizes (from_generation, to_generation, step, requested_by, reason)
             values (1, 2, 'done', 'a', 'b')",
    ),
    (
        "pauses_once",
        "insert into pauses (paused_by, reason) values ('a', 'b'), ('c', 'd')",
    ),
    (
        "pauses_one_or_all",
        "insert into pauses (generation, paused_by, reason) values (1, 'a', 'b')",
    ),
    (
        "shards_generation_fkey",
        "insert into shards (generation, shard) values (9, 0)",
    ),
    (
        "lane_entries_lane_fkey",
        "insert into lane_entries values
         (gen_random_uuid(), 1, gen_random_uuid(), gen_random_uuid(), 'x', sha256(''), '', now(), now())",
    ),
    (
        "lanes_paused_by_someone",
        "update lanes set reason = 'paused'",
    ),
    (
        "lanes_pause_whole",
        "update lanes set pause_id = gen_random_uuid()",
    ),
    (
        "lanes_pause_whole",
        "update lanes set paused_until = now()",
    ),
    (
        "lanes_released_by_someone",
        "update lanes set reason = 'releasing'",
    ),
    (
        "lanes_released_by_someone",
        "update lanes set releasing = gen_random_uuid(), discard_through = 1",
    ),
    (
        "controls_decided_not_negative",
        "insert into controls values (gen_random_uuid(), gen_random_uuid(), 'k', 'r', null, null, -1, 0, 0)",
    ),
    (
        "stock_writes_once_per_key",
        "insert into stock_writes select gen_random_uuid(), 'CUP', producer, key, fingerprint, kind,
             on_hand, on_hand_after, reserved_after, written_at from stock_writes",
    ),
    (
        "stock_movements_move",
        "insert into stock_movements values (gen_random_uuid(), 1, 'MUG', 0, 0)",
    ),
];

#[tokio::test]
async fn migrating_a_migrated_database_changes_nothing() {
    let database = Database::fresh().await;
    let applied = "select count(*) from _sqlx_migrations where success";
    let before = database.count(applied).await;
    assert!(before > 0);
    database.store.migrate().await.unwrap();
    assert_eq!(database.count(applied).await, before);
}

/// Each migration with the beginning of its checksum. A database knows those that it went through, and refuses a build in which
/// one of them is another: a new rule is a new file, and a new line here.
const MIGRATIONS: &str = "\
1 7c347c8f74f6c216
2 231138970b2dfaa6
3 42b6f5e8d1522e7e
4 be0c94201d29a316
5 a61c8907b96efbc3
6 fd191479f1f0e86a
7 b51b8737044d4d1f
8 3afd13d72eb14e99
9 df0af2ebe3f7dafa
10 403d628a84c52445
11 7605e2838d67c20c
12 7cf9dc1afed4dac9
13 b209e368c45a53dd
14 754fb076bf829f29
15 8ae2e96059cdc22e
16 3640362edbbcd450
17 e43e2c2c44657c78
18 fdd2ad968e791563
19 21efbb48ac9698c1
20 7ad07bb9a88b2056";

#[tokio::test]
async fn a_migration_is_never_edited() {
    let database = Database::fresh().await;
    let applied: String = sqlx::query_scalar(
        "select string_agg(version || ' ' || left(encode(checksum, 'hex'), 16), e'\\n' order by version) from _sqlx_migrations",
    )
    .fetch_one(&database.raw)
    .await
    .map_err(StoreError::from)
    .unwrap();
    assert_eq!(applied, MIGRATIONS);
}

#[tokio::test]
async fn constraints_refuse_what_may_never_be() {
    let database = Database::fresh().await;
    database.run(GOOD_ROWS).await.unwrap();
    for (constraint, statement) in REFUSED {
        let fault = database.run(statement).await.expect_err(statement);
        assert_eq!(fault.constraint(), Some(*constraint), "{statement}");
        if *constraint != "commands_pkey" {
            assert_eq!(fault.class(), FaultClass::Data, "{statement}");
        }
    }
}

#[tokio::test]
async fn events_can_only_be_appended() {
    let database = Database::fresh().await;
    database.run(GOOD_ROWS).await.unwrap();
    for statement in [
        "update events set type = 'paid'",
        "delete from events",
        "truncate events",
    ] {
        let fault = database.run(statement).await.expect_err(statement);
        assert_eq!(fault.sqlstate(), Some("23001"), "{statement}");
    }
    assert_eq!(database.count("select count(*) from events").await, 1);
}

#[tokio::test]
async fn every_table_and_doubtful_column_is_explained() {
    let database = Database::fresh().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_sqlx_migrations'
           and obj_description(oid, 'pg_class') is null",
    )
    .fetch_all(&database.raw)
    .await
    .map_err(StoreError::from)
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn no_index_of_orders_has_a_column_that_commands_change() {
    let database = Database::fresh().await;
    let mut indexed: Vec<String> = sqlx::query_scalar(
        "select distinct attname::text from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
         where indrelid = 'orders'::regclass order by 1",
    )
    .fetch_all(&database.raw)
    .await
    .map_err(StoreError::from)
    .unwrap();
    indexed.sort();
    // Another one here would end the heap-only updates of the hot path.
    assert_eq!(indexed, ["created_at", "customer_id", "order_id"]);
}
