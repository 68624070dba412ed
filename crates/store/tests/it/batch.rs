//! The batch transaction: what it writes is what is read, and what it must refuse ends it whole.

use orderly_domain::{CommandId, OrderId, ProducerId, Sku, StockLevel, StockMovement, Version};
use orderly_protocol::{Fingerprint, Outcome, RecordedEvent, RejectionBody, ShardId, Timestamp};
use orderly_store::{
    AuditEntry, BatchTransaction, Conflict, DeadLetter, FaultClass, Fence, NewEvent, NewOutcome,
    OrderWrite, Parked, ParkedReason, ResolutionKind, SessionProfile, StockWriteRow, Store, Writes,
};
use uuid::Uuid;

use crate::database::{Database, actor, eventually};

pub(crate) const SHARD: ShardId = ShardId {
    generation: 1,
    shard: 0,
};

const OTHER_SHARD: ShardId = ShardId {
    generation: 1,
    shard: 1,
};

pub(crate) const ORDER: OrderId = OrderId(Uuid::from_u128(1));

pub(crate) fn command(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(0xc0 + n))
}

/// A worker with one fence for each of two shards.
pub(crate) async fn worker(database: &Database) -> (Store, Fence, Fence) {
    let answers = "the database answers";
    database
        .store
        .create_first_generation(2, 32)
        .await
        .expect(answers);
    let store = database.connect(SessionProfile::Worker).await;
    let one = store
        .claim(SHARD, "w", 0)
        .await
        .expect(answers)
        .expect("free");
    let other = store
        .claim(OTHER_SHARD, "w", 0)
        .await
        .expect(answers)
        .expect("free");
    (store, one, other)
}

pub(crate) async fn begin(store: &Store, fence: &Fence) -> BatchTransaction {
    let batch = store
        .begin_batch(fence)
        .await
        .expect("the database answers");
    batch.expect("the fence holds")
}

fn outcome(n: u128, version: u64, at: Timestamp) -> NewOutcome {
    NewOutcome {
        command_id: command(n),
        order_id: ORDER,
        producer: ProducerId(Uuid::from_u128(7)),
        action_type: "place".to_owned(),
        fingerprint: Fingerprint([1; 32]),
        outcome: Outcome::Applied,
        version: Version(version),
        rejection: None,
        accepted_at: at,
    }
}

fn rejected(n: u128, version: u64, at: Timestamp) -> NewOutcome {
    NewOutcome {
        outcome: Outcome::Rejected,
        rejection: Some(RejectionBody {
            code: "order_held".to_owned(),
            detail: "it is held".to_owned(),
            errors: Vec::new(),
            allowed_commands: Vec::new(),
        }),
        ..outcome(n, version, at)
    }
}

fn event(n: u128, version: u64, delivery: u128, at: Timestamp) -> NewEvent {
    NewEvent {
        event: RecordedEvent {
            order_id: ORDER,
            version: Version(version),
            command_id: command(n),
            event_type: "placed".to_owned(),
            data: serde_json::value::RawValue::from_string(r#"{"a":1}"#.to_owned()).expect("JSON"),
            recorded_at: at,
            traceparent: None,
        },
        delivery_id: command(delivery),
    }
}

fn order(loaded: u64, version: u64) -> OrderWrite {
    OrderWrite {
        order_id: ORDER,
        loaded: Version(loaded),
        version: Version(version),
        status: "placed",
        held: false,
        customer_id: "c1".to_owned(),
        currency: "EUR".to_owned(),
        total_minor: 1000,
        captured_minor: 0,
        refunded_minor: 0,
        refund_pending_minor: 0,
        state: r#"{"version": 1}"#.to_owned(),
    }
}

pub(crate) fn parked(
    n: u128,
    position: i64,
    reason: Option<ParkedReason>,
    at: Timestamp,
) -> Parked {
    Parked {
        order_id: ORDER,
        position,
        reason,
        command_id: command(n),
        producer: ProducerId(Uuid::from_u128(7)),
        action_type: "fly".to_owned(),
        fingerprint: Fingerprint([1; 32]),
        envelope: b"bytes".to_vec(),
        accepted_at: at,
    }
}

#[tokio::test]
async fn a_batch_is_read_as_it_was_written() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    database
        .run("insert into stock values ('MUG', 10, 0, now()), ('CUP', 5, 0, now())")
        .await
        .unwrap();
    let mug = Sku::new("MUG").unwrap();

    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let ids = [command(1), command(2)];
    let found = batch.dedupe_and_load(&ids, &[ORDER]).await.unwrap();
    assert!(found.known.is_empty());
    let loaded = found.orders;
    assert_eq!(
        (loaded.len(), &loaded[0].row, loaded[0].lane_tail),
        (1, &None, None)
    );
    let none = Sku::new("NONE").unwrap();
    let levels = batch
        .lock_stock(&[mug.clone(), none.clone()])
        .await
        .unwrap();
    assert_eq!(
        levels.level(&mug),
        Ok(Some(StockLevel {
            on_hand: 10,
            reserved: 0
        }))
    );
    assert_eq!(levels.level(&none), Ok(None));
    let writes = Writes {
        outcomes: vec![rejected(2, 1, at), outcome(1, 1, at)],
        events: vec![event(1, 1, 1, at)],
        orders: vec![order(0, 1)],
        stock: vec![StockWriteRow {
            sku: mug.clone(),
            level: StockLevel {
                on_hand: 10,
                reserved: 3,
            },
        }],
        movements: vec![(
            ORDER,
            Version(1),
            StockMovement {
                sku: mug.clone(),
                on_hand: 0,
                reserved: 3,
            },
        )],
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();

    let mut batch = begin(&store, &fence).await;
    let found = batch.dedupe_and_load(&ids, &[ORDER]).await.unwrap();
    let mut known: Vec<_> = found
        .known
        .into_iter()
        .map(|k| (k.command_id, k.outcome))
        .collect();
    known.sort_by_key(|(id, _)| *id);
    assert_eq!(known[0].1, Some((Outcome::Applied, Version(1), None)));
    assert_eq!(
        known[1].1,
        Some((Outcome::Rejected, Version(1), Some("order_held".to_owned())))
    );
    assert_eq!(
        found.orders[0].row.as_ref().map(|(version, _)| *version),
        Some(Version(1))
    );

    let read = &database.store;
    assert_eq!(read.order(ORDER).await.unwrap().unwrap().created_at, at);
    assert_eq!(
        read.events(ORDER, Version::NONE, 10).await.unwrap().len(),
        1
    );
    assert_eq!(
        read.outcome(command(2)).await.unwrap().unwrap().decided_at,
        at
    );
    assert_eq!(read.stock(&mug).await.unwrap().unwrap().level.reserved, 3);
    let movements = read
        .snapshot()
        .await
        .unwrap()
        .movements(None)
        .await
        .unwrap();
    assert_eq!(movements[0].movement.reserved, 3);
}

#[tokio::test]
async fn events_are_logged_in_the_order_they_happened() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let writes = Writes {
        events: (1..=50)
            .map(|version| event(u128::from(version), version, 1, at))
            .collect(),
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();
    let logged: Vec<i64> =
        sqlx::query_scalar("select version from events where delivery_id = $1 order by log_id")
            .bind(command(1).0)
            .fetch_all(&database.raw)
            .await
            .unwrap();
    assert_eq!(logged, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_order_that_is_not_as_loaded_is_not_overwritten() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let mut batch = begin(&store, &fence).await;
    batch
        .write(&Writes {
            orders: vec![order(0, 1)],
            ..Writes::default()
        })
        .await
        .unwrap();
    batch.commit().await.unwrap();

    let mut batch = begin(&store, &fence).await;
    let stale = Writes {
        orders: vec![order(7, 8)],
        ..Writes::default()
    };
    let fault = batch.write(&stale).await.unwrap_err();
    assert_eq!(fault.to_string(), "0 rows of orders written instead of 1");
    drop(batch);
    assert_eq!(
        database.store.order(ORDER).await.unwrap().unwrap().version,
        Version(1)
    );
}

#[tokio::test]
async fn two_shards_that_decide_one_id_leave_one_outcome() {
    let database = Database::fresh().await;
    let (store, one, other) = worker(&database).await;
    let mut first = begin(&store, &one).await;
    let mut second = begin(&store, &other).await;
    let decided = |at| Writes {
        outcomes: vec![outcome(1, 1, at)],
        ..Writes::default()
    };
    first.write(&decided(first.at)).await.unwrap();
    // The second waits in the index until the first commits.
    let writes = decided(second.at);
    let (committed, fault) = tokio::join!(first.commit(), second.write(&writes));
    committed.unwrap();
    let fault = fault.unwrap_err();
    assert_eq!(fault.constraint(), Some("commands_pkey"));
    assert_eq!(fault.class(), FaultClass::Transient);
    drop(second);
    let mut again = begin(&store, &other).await;
    let found = again.dedupe_and_load(&[command(1)], &[]).await.unwrap();
    assert_eq!(found.known.len(), 1);
}

/// Two batches with the same two ids wait for each other in one direction: whichever has the lower id has not yet touched the
/// higher one.
#[tokio::test]
async fn outcomes_are_written_in_the_order_of_their_ids() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let taken = |n| {
        sqlx::query(
            "insert into commands (command_id, order_id, producer, type, fingerprint, outcome, version, accepted_at, decided_at)
             values ($1, $1, $1, 'place', sha256(''), 'applied', 1, now(), now())",
        )
        .bind(command(n).0)
    };
    let mut other = database.raw.begin().await.unwrap();
    taken(1).execute(&mut *other).await.unwrap();
    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let writes = Writes {
        outcomes: vec![outcome(2, 1, at), outcome(1, 1, at)],
        ..Writes::default()
    };
    let writing = tokio::spawn(async move { batch.write(&writes).await });
    eventually("the batch waits for the lower id", async || {
        let blocked = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like 'with outcomes%'";
        database.count(blocked).await == 1
    })
    .await;
    taken(2).execute(&mut *other).await.expect("no deadlock");
    other.commit().await.unwrap();
    let fault = writing.await.unwrap().unwrap_err();
    assert_eq!(fault.constraint(), Some("commands_pkey"));
}

#[tokio::test]
async fn a_stale_event_version_ends_the_whole_batch() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    for committed in [true, false] {
        let mut batch = begin(&store, &fence).await;
        let at = batch.at;
        let n = if committed { 1 } else { 2 };
        let writes = Writes {
            outcomes: vec![outcome(n, 1, at)],
            events: vec![event(n, 1, n, at)],
            ..Writes::default()
        };
        let written = batch.write(&writes).await;
        if committed {
            written.unwrap();
            batch.commit().await.unwrap();
        } else {
            assert_eq!(written.unwrap_err().constraint(), Some("events_pkey"));
        }
    }
    assert_eq!(database.store.outcome(command(2)).await.unwrap(), None);
}

#[tokio::test]
async fn parked_commands_wait_in_order_and_are_known() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let reason = ParkedReason {
        code: "unknown_type",
        detail: "fly".to_owned(),
    };
    let writes = Writes {
        parked: vec![parked(2, 1, Some(reason), at), parked(1, 2, None, at)],
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();

    let mut batch = begin(&store, &fence).await;
    let ids = [command(1), command(2), command(3)];
    let found = batch.dedupe_and_load(&ids, &[ORDER]).await.unwrap();
    assert_eq!(found.orders[0].lane_tail, Some(2));
    assert_eq!(found.known.len(), 2);
    assert!(found.known.iter().all(|known| known.outcome.is_none()));
    assert_eq!(
        database.store.lane(ORDER).await.unwrap().unwrap().commands,
        2
    );
}

#[tokio::test]
async fn a_redelivered_conflict_or_dead_letter_is_recorded_once() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    for _ in 0..2 {
        let mut batch = begin(&store, &fence).await;
        let writes = Writes {
            conflicts: vec![Conflict {
                command_id: command(1),
                fingerprint: Fingerprint([2; 32]),
                order_id: ORDER,
                producer: ProducerId(Uuid::from_u128(7)),
                action_type: "place".to_owned(),
                accepted_at: batch.at,
            }],
            dead_letters: vec![DeadLetter {
                body_hash: [5; 32],
                body: b"garbage".to_vec(),
                headers: "{}".to_owned(),
                reason: "unreadable",
                detail: "not JSON".to_owned(),
                shard: SHARD,
            }],
            ..Writes::default()
        };
        batch.write(&writes).await.unwrap();
        batch.commit().await.unwrap();
    }
    assert_eq!(database.store.command_conflicts().await.unwrap(), 1);
    assert_eq!(database.store.dead_letters().await.unwrap(), 1);
}

#[tokio::test]
async fn bytes_that_come_again_after_they_were_resolved_are_open_again() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let come = async || {
        let mut batch = begin(&store, &fence).await;
        let writes = Writes {
            dead_letters: vec![DeadLetter {
                body_hash: [5; 32],
                body: b"garbage".to_vec(),
                headers: "{}".to_owned(),
                reason: "unreadable",
                detail: "not JSON".to_owned(),
                shard: SHARD,
            }],
            ..Writes::default()
        };
        batch.write(&writes).await.unwrap();
        batch.commit().await.unwrap();
    };
    let arrival = async || {
        let letters = database.store.list_dead_letters(Some(true), None, 9).await;
        letters.unwrap().first().map(|letter| letter.arrival)
    };
    come().await;
    come().await;
    assert_eq!(arrival().await, Some(1), "a redelivery is the same");
    let held = database.store.hold_dead_letter(1).await.unwrap().unwrap();
    let entry = AuditEntry::new(&actor(), "dead.discard", "dead_letter/1");
    held.resolve(ResolutionKind::Discarded, &[], "ada", Some("why"), &entry)
        .await
        .unwrap();
    assert_eq!(arrival().await, None);
    come().await;
    assert_eq!(arrival().await, Some(2));
}

#[tokio::test]
async fn of_two_who_resolve_one_dead_letter_the_second_sees_what_the_first_did() {
    let database = Database::fresh().await;
    let insert = "insert into dead_letters (body_hash, body, headers, reason, detail, generation, shard, received_at)
                  values (sha256(''), '', '{}', 'unreadable', '', 1, 0, now())";
    database.run(insert).await.unwrap();
    let first = database.store.hold_dead_letter(1).await.unwrap().unwrap();
    let store = database.store.clone();
    let second = tokio::spawn(async move { store.hold_dead_letter(1).await });
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("the second waits", async || {
        database.count(waits).await == 1
    })
    .await;
    let entry = AuditEntry::new(&actor(), "dead.discard", "dead_letter/1");
    first
        .resolve(ResolutionKind::Discarded, &[], "ada", None, &entry)
        .await
        .unwrap();
    let second = second.await.unwrap().unwrap().unwrap();
    let resolution = second.letter().summary.resolution.as_ref().unwrap();
    assert_eq!(
        (resolution.kind.as_str(), resolution.by.as_str()),
        ("discarded", "ada")
    );
}

#[tokio::test]
async fn a_nul_character_keeps_nothing_from_being_parked() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let reason = ParkedReason {
        code: "unknown_type",
        detail: "no command \0".to_owned(),
    };
    let writes = Writes {
        parked: vec![Parked {
            action_type: "fly\0".to_owned(),
            ..parked(1, 1, Some(reason), at)
        }],
        conflicts: vec![Conflict {
            command_id: command(2),
            fingerprint: Fingerprint([2; 32]),
            order_id: ORDER,
            producer: ProducerId(Uuid::from_u128(7)),
            action_type: "\0".to_owned(),
            accepted_at: at,
        }],
        dead_letters: vec![DeadLetter {
            body_hash: [5; 32],
            body: b"\0".to_vec(),
            headers: r#"{"x": "\u0000"}"#.to_owned(),
            reason: "unreadable",
            detail: "\0".to_owned(),
            shard: SHARD,
        }],
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();
    let kept = database.store.parked(command(1)).await.unwrap().unwrap();
    assert_eq!(kept.action_type, "fly\u{fffd}");
    assert_eq!(database.store.dead_letters().await.unwrap(), 1);
}

/// A time without a fraction of a second is written without one: it is read all the same.
#[tokio::test]
async fn a_batch_may_begin_exactly_on_a_second() {
    let database = Database::fresh().await;
    database
        .run(
            "create schema stopped;
             create function stopped.clock_timestamp() returns timestamptz language sql as
                 $$ select timestamptz '2026-03-01 12:00:00+00' $$;
             do $$ begin
                 execute format('alter database %I set search_path = stopped, pg_catalog, public', current_database());
             end $$",
        )
        .await
        .unwrap();
    let (store, fence, _) = worker(&database).await;
    let batch = begin(&store, &fence).await;
    assert_eq!(batch.at.unix_timestamp_nanos(), 1_772_366_400_000_000_000);
}

/// The server processes that the store's sessions have ended a batch in, or have one open in.
const BATCH_SESSIONS: &str = "select count(*) from pg_stat_activity
     where datname = current_database() and application_name = 'orderly-store-tests'
       and (query = 'commit' or state like 'idle in transaction%')";

#[tokio::test]
async fn a_session_is_used_again_after_a_commit_and_never_after_anything_else() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    for n in 1..=3 {
        let mut batch = begin(&store, &fence).await;
        let at = batch.at;
        let writes = Writes {
            outcomes: vec![outcome(n, 1, at)],
            ..Writes::default()
        };
        batch.write(&writes).await.unwrap();
        batch.commit().await.unwrap();
    }
    assert_eq!(database.count(BATCH_SESSIONS).await, 1);

    let mut batch = begin(&store, &fence).await;
    let at = batch.at;
    let writes = Writes {
        outcomes: vec![outcome(4, 1, at)],
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    drop(batch);
    eventually("the session is gone with its transaction", async || {
        database.count(BATCH_SESSIONS).await == 0
    })
    .await;
    let mut batch = begin(&store, &fence).await;
    let ids = [3, 4].map(command);
    let found = batch.dedupe_and_load(&ids, &[]).await.unwrap();
    assert_eq!(found.known.len(), 1, "what was dropped was not written");
}

#[tokio::test]
async fn after_one_session_was_found_dead_no_other_is_used() {
    let database = Database::fresh().await;
    let (store, one, other) = worker(&database).await;
    let (first, second) = (begin(&store, &one).await, begin(&store, &other).await);
    first.commit().await.unwrap();
    second.commit().await.unwrap();
    // As when the server is started again: both are dead, and nobody knows yet.
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'orderly-store-tests' and query = 'commit'";
    assert_eq!(database.count(ended).await, 2);
    let fault = store.begin_batch(&one).await.unwrap_err();
    assert_eq!(fault.class(), FaultClass::Systemic);
    let batch = store.begin_batch(&one).await;
    assert!(batch.expect("a new session").is_some(), "the fence holds");
}

/// Statements that are prepared while the tables are small keep their plan as the tables grow: it must not be a scan.
#[tokio::test]
async fn batches_on_small_tables_scan_no_table() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let sku = Sku::new("MUG").unwrap();
    database
        .run("insert into stock values ('MUG', 1000, 0, now())")
        .await
        .unwrap();
    // Building the indexes scanned every table: wait for those counts, then forget them.
    let built = "select coalesce(sum(seq_scan), 0)::bigint from pg_stat_user_tables where relname = 'orders'";
    eventually("the statistics arrive", async || {
        database.count(built).await > 0
    })
    .await;
    database.run("select pg_stat_reset()").await.unwrap();
    // Postgres settles on a generic plan with the sixth run of a statement.
    for n in 1..=12_u64 {
        if n == 2 {
            // One row a table: what autovacuum would find now makes a scan look cheapest.
            database.run("analyze").await.unwrap();
        }
        let mut batch = begin(&store, &fence).await;
        let at = batch.at;
        let ids = [command(u128::from(n))];
        batch.dedupe_and_load(&ids, &[ORDER]).await.unwrap();
        batch.lock_stock(std::slice::from_ref(&sku)).await.unwrap();
        let reserved = i64::try_from(n).unwrap();
        let writes = Writes {
            outcomes: vec![outcome(u128::from(n), n, at)],
            events: vec![event(u128::from(n), n, u128::from(n), at)],
            orders: vec![order(n - 1, n)],
            stock: vec![StockWriteRow {
                sku: sku.clone(),
                level: StockLevel {
                    on_hand: 1000,
                    reserved,
                },
            }],
            ..Writes::default()
        };
        batch.write(&writes).await.unwrap();
        batch.commit().await.unwrap();
    }
    // A session hands in its statistics at the latest when it ends.
    store.close().await;
    let indexed = "select coalesce(sum(idx_scan + seq_scan), 0)::bigint from pg_stat_user_tables where relname = 'orders'";
    eventually("the statistics arrive", async || {
        database.count(indexed).await >= 12
    })
    .await;
    let scanned: Vec<(String, i64)> = sqlx::query_as(
        "select relname::text, seq_scan from pg_stat_user_tables
         where relname in ('commands', 'orders', 'events', 'lanes', 'lane_entries', 'stock', 'shards') and seq_scan > 0",
    )
    .fetch_all(&database.raw)
    .await
    .unwrap();
    assert_eq!(scanned, []);
}
