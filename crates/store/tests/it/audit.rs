//! The audit: one chain whoever appends, which only grows.

use orderly_domain::{ProducerId, Sku};
use orderly_protocol::Fingerprint;
use orderly_protocol::api_key::Scope;
use orderly_protocol::audit::{AuditHash, AuditRecord};
use orderly_store::{
    Actor, ActorKey, AuditEntry, AuditFilter, AuditPlace, NewApiKey, SessionProfile, StockWrite,
    Store, StoreOptions,
};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::database::{Database, actor};

const SHOP: ProducerId = ProducerId(Uuid::from_u128(7));

fn entry(number: usize) -> AuditEntry {
    AuditEntry::new(&actor(), "shard.pause", format!("shard/{number}"))
}

fn by_key() -> Actor {
    Actor {
        name: "warehouse".to_owned(),
        key: Some(ActorKey {
            key_id: "k7".to_owned(),
            producer: SHOP,
        }),
        request_id: Some("r-1".to_owned()),
        reason: Some("stocktaking".to_owned()),
    }
}

fn write(key: &str) -> StockWrite {
    StockWrite {
        write_id: Uuid::now_v7(),
        sku: Sku::new("MUG").expect("a SKU"),
        producer: SHOP,
        key: key.to_owned(),
        fingerprint: Fingerprint([1; 32]),
    }
}

async fn chain(store: &Store) -> Vec<AuditRecord> {
    store.audit_chain(0, 1_000).await.unwrap()
}

fn assert_one_chain(chain: &[AuditRecord]) {
    let mut last = AuditHash::NONE;
    for (index, record) in chain.iter().enumerate() {
        assert_eq!(record.content.audit_id, i64::try_from(index).unwrap() + 1);
        assert_eq!(record.content.previous_hash, last);
        assert!(record.is_intact(), "{record:?}");
        last = record.hash;
    }
}

#[tokio::test]
async fn sixteen_that_append_at_once_make_one_chain_without_a_gap() {
    let database = Database::fresh().await;
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let store = database.store.clone();
        tasks.spawn(async move {
            for number in 0..8 {
                store.audit(&entry(task * 8 + number)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let chain = chain(&database.store).await;
    assert_eq!(chain.len(), 128);
    assert_one_chain(&chain);
    assert!(chain.is_sorted_by_key(|record| record.content.at));
}

#[tokio::test]
async fn an_entry_goes_with_the_change_it_tells_of() {
    let database = Database::fresh().await;
    let store = &database.store;
    let key = NewApiKey {
        key_id: "k1".to_owned(),
        producer: SHOP,
        name: "till 4".to_owned(),
        secret_hash: [9; 32],
        scopes: vec![Scope::OrdersRead],
    };
    store.insert_key(&key, &actor()).await.unwrap();
    store.insert_key(&key, &actor()).await.unwrap_err();
    assert!(store.revoke_key("k1", &by_key()).await.unwrap());
    assert!(!store.revoke_key("k1", &by_key()).await.unwrap());
    for _ in 0..2 {
        store.set_stock(&write("a"), 5, &by_key()).await.unwrap();
    }
    store
        .adjust_stock(&write("b"), -2, &by_key())
        .await
        .unwrap();

    let chain = chain(store).await;
    assert_one_chain(&chain);
    let told: Vec<_> = chain
        .iter()
        .map(|record| {
            (
                record.content.action.as_str(),
                record.content.target.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("key.create", "key/k1"),
            ("key.revoke", "key/k1"),
            ("stock.set", "stock/MUG"),
            ("stock.adjust", "stock/MUG"),
        ],
        "what failed, or found nothing to do, leaves no entry"
    );
    let revoked = &chain[1].content;
    assert_eq!(revoked.before.as_ref().unwrap()["revoked_at"], json!(null));
    assert!(revoked.after.as_ref().unwrap()["revoked_at"].is_string());
    let adjusted = &chain[3].content;
    assert_eq!(adjusted.before, Some(json!({"on_hand": 5, "reserved": 0})));
    assert_eq!(adjusted.after, Some(json!({"on_hand": 3, "reserved": 0})));
    assert_eq!(
        (
            adjusted.actor.as_str(),
            adjusted.key_id.as_deref(),
            adjusted.producer
        ),
        ("warehouse", Some("k7"), Some(SHOP.0))
    );
    assert_eq!(
        (adjusted.request_id.as_deref(), adjusted.reason.as_deref()),
        (Some("r-1"), Some("stocktaking"))
    );
}

#[tokio::test]
async fn what_was_refused_is_told_with_its_code() {
    let database = Database::fresh().await;
    let store = &database.store;
    store.set_stock(&write("a"), 5, &by_key()).await.unwrap();
    let other = StockWrite {
        fingerprint: Fingerprint([2; 32]),
        ..write("a")
    };
    store.set_stock(&other, 6, &by_key()).await.unwrap();
    database.run("update stock set reserved = 4").await.unwrap();
    store
        .adjust_stock(&write("b"), -2, &by_key())
        .await
        .unwrap();
    let chain = chain(store).await;
    assert_one_chain(&chain);
    let told: Vec<_> = chain
        .iter()
        .map(|record| {
            (
                record.content.result.as_str(),
                record.content.code.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("done", None),
            ("refused", Some("idempotency_key_reused")),
            ("refused", Some("stock_below_reserved")),
        ]
    );
    assert_eq!(chain[2].content.after, Some(json!({"delta": -2})));
}

#[tokio::test]
async fn an_entry_holds_whatever_it_is_given() {
    let database = Database::fresh().await;
    let store = &database.store;
    let odd = json!({"a\0": "b\0", "pi": 3.5, "big": u64::MAX, "list": [1.0, 2]});
    let actor = Actor::local("a\0b").because(Some("\0".to_owned()));
    let appended = store
        .audit(&AuditEntry::new(&actor, "dead.repair", "\0").after(odd))
        .await
        .unwrap();
    let read = chain(store).await;
    assert_eq!(read, [appended]);
    assert_one_chain(&read);
    assert_eq!(
        read[0].content.after,
        Some(json!({
            "a\u{fffd}": "b\u{fffd}", "pi": "3.5", "big": u64::MAX.to_string(), "list": ["1.0", 2],
        }))
    );
}

#[tokio::test]
async fn pages_go_both_ways_and_pass_what_was_asked_for() {
    let database = Database::fresh().await;
    let store = &database.store;
    for number in 0..7 {
        store.audit(&entry(number)).await.unwrap();
    }
    store
        .audit(&AuditEntry::new(&by_key(), "shard.resume", "shard/3"))
        .await
        .unwrap();
    let pages = async |filter: AuditFilter, mut place: AuditPlace, limit| {
        let mut ids = Vec::new();
        loop {
            let page = store.audit_page(&filter, place, limit).await.unwrap();
            ids.extend(page.entries.iter().map(|entry| entry.content.audit_id));
            match page.next {
                Some(next) if next != place => place = next,
                _ => return (ids, place),
            }
        }
    };
    let all = AuditFilter::default();
    let (ids, _) = pages(all.clone(), AuditPlace::NEWEST, 3).await;
    assert_eq!(ids, [8, 7, 6, 5, 4, 3, 2, 1]);
    let (ids, place) = pages(all.clone(), AuditPlace::After(2), 2).await;
    assert_eq!(ids, [3, 4, 5, 6, 7, 8]);
    assert_eq!(
        place,
        AuditPlace::After(8),
        "where to go on when more comes"
    );
    store.audit(&entry(9)).await.unwrap();
    assert_eq!(pages(all.clone(), place, 2).await.0, [9]);
    // Beyond the end: a place that a longer chain had.
    assert_eq!(pages(all, AuditPlace::After(99), 2).await.0, [] as [i64; 0]);

    let target = AuditFilter {
        target: Some("shard/3".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(pages(target, AuditPlace::NEWEST, 5).await.0, [8, 4]);
    for name in ["warehouse", "k7"] {
        let by = AuditFilter {
            actor: Some(name.to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(pages(by, AuditPlace::NEWEST, 5).await.0, [8], "{name}");
    }
    for (action, count) in [("shard", 9), ("shard.resume", 1), ("shar", 0)] {
        let of = AuditFilter {
            action: Some(action.to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(
            pages(of, AuditPlace::NEWEST, 5).await.0.len(),
            count,
            "{action}"
        );
    }
    let since = AuditFilter {
        since: Some(chain(store).await[6].content.at),
        ..AuditFilter::default()
    };
    assert_eq!(pages(since, AuditPlace::NEWEST, 5).await.0, [9, 8, 7]);
}

const CHANGES: [&str; 3] = [
    "update audit set reason = 'another'",
    "delete from audit where audit_id = 1",
    "truncate audit",
];

#[tokio::test]
async fn not_even_the_owner_changes_an_entry() {
    let database = Database::fresh().await;
    for number in 0..2 {
        database.store.audit(&entry(number)).await.unwrap();
    }
    for change in CHANGES {
        let fault = database.run(change).await.expect_err(change);
        assert_eq!(fault.sqlstate(), Some("23001"), "{change}");
        // As replication writes, which skips ordinary triggers.
        let around = format!("set session_replication_role = replica; {change}");
        let fault = database.run(&around).await.expect_err(&around);
        assert_eq!(fault.sqlstate(), Some("23001"), "{around}");
    }
    let copy = "insert into audit select (jsonb_populate_record(audit, jsonb_build_object('audit_id', $id))).* from audit where audit_id = 2";
    for id in ["0", "2", "4"] {
        let insert = copy.replace("$id", id);
        let fault = database.run(&insert).await.expect_err(&insert);
        assert_eq!(fault.sqlstate(), Some("23001"), "{insert}");
    }
    let fault = database.run(&copy.replace("$id", "3")).await.unwrap_err();
    assert_eq!(
        fault.sqlstate(),
        Some("23001"),
        "its previous_hash is another's"
    );
    assert_eq!(chain(&database.store).await.len(), 2);
}

#[tokio::test]
async fn who_serves_with_the_rights_of_deploy_can_only_append() {
    let database = Database::fresh().await;
    database
        .run(include_str!("../../../../deploy/roles.sql"))
        .await
        .unwrap();
    let options = StoreOptions {
        application_name: "orderly-store-tests".to_owned(),
        max_connections: 2,
        profile: SessionProfile::General,
    };
    let url = format!(
        "{}?options=-c%20role%3Dorderly_serving",
        database.env.database_url
    );
    let serving = Store::connect(&url, &options).await.unwrap();
    serving.audit(&entry(1)).await.unwrap();
    serving.set_stock(&write("a"), 5, &by_key()).await.unwrap();
    assert_one_chain(&chain(&serving).await);

    let ways_around = [
        "alter table audit disable trigger all",
        "alter table audit disable trigger audit_append_only",
        "drop trigger audit_append_only on audit",
        "drop table audit",
        "alter table audit rename to gone",
        "create or replace function refuse_change() returns trigger language plpgsql as 'begin return null; end'",
        "set session_replication_role = replica",
        "grant update on audit to orderly_serving; update audit set reason = 'another'",
        "update events set type = 'paid'",
        "delete from _sqlx_migrations",
    ];
    for statement in CHANGES.into_iter().chain(ways_around) {
        // One implicit transaction: its failure takes the role back too.
        let as_served = format!("set role orderly_serving; {statement}");
        let fault = database.run(&as_served).await.expect_err(statement);
        assert_eq!(fault.sqlstate(), Some("42501"), "{statement}");
    }
    assert_eq!(chain(&database.store).await.len(), 2);
}
