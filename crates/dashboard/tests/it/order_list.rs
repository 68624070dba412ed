//! The list of orders over HTTP.

use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use reqwest::{Method, StatusCode};

use crate::support::{Dashboard, Fixture, answer, insert_key};

/// Orders 1 to `count`, a minute apart; every third one is paid, customers a and b take turns, even ones took a MUG.
async fn seed(fixture: &Fixture, count: u32) {
    let orders = format!(
        "insert into orders
             select lpad(to_hex(n), 32, '0')::uuid, 2, case when n % 3 = 0 then 'paid' else 'placed' end, n = 1,
                    chr(97 + n % 2), 'EUR', n, 0, 0, 0, '{{}}',
                    '2026-11-23T10:00:00Z'::timestamptz + make_interval(mins => n), '2026-11-24T10:00:00Z'
             from generate_series(1, {count}) as n"
    );
    let movements = format!(
        "insert into stock_movements select lpad(to_hex(n), 32, '0')::uuid, 1, 'MUG/A&B', 0, 1
         from generate_series(2, {count}, 2) as n"
    );
    fixture.env.psql(&[&orders, &movements]).await.unwrap();
}

/// Whether the order of a number belongs into a list.
type Passes = fn(&i64) -> bool;

/// The numbers of the orders on all pages of `query`.
async fn numbers(dashboard: &Dashboard, query: &str) -> Vec<i64> {
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = dashboard.get(&format!("/v1/orders?{query}{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let orders = page["orders"].as_array().unwrap();
        numbers.extend(
            orders
                .iter()
                .map(|order| order["total"]["amount_minor"].as_i64().unwrap()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return numbers,
        }
    }
}

#[tokio::test]
async fn orders_come_newest_first_in_short() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let (status, page) = dashboard.get("/v1/orders").await;
    assert_eq!(
        (status, page),
        (StatusCode::OK, json!({ "orders": [], "next_cursor": null }))
    );
    seed(&fixture, 2).await;
    let (_, page) = dashboard.get("/v1/orders?limit=2").await;
    let expected = json!({
        "orders": [
            {
                "order_id": "00000000-0000-0000-0000-000000000002", "version": 2, "status": "placed", "held": false,
                "customer_id": "a", "total": { "amount_minor": 2, "currency": "EUR" },
                "created_at": "2026-11-23T10:02:00.000000Z", "updated_at": "2026-11-24T10:00:00.000000Z",
            },
            {
                "order_id": "00000000-0000-0000-0000-000000000001", "version": 2, "status": "placed", "held": true,
                "customer_id": "b", "total": { "amount_minor": 1, "currency": "EUR" },
                "created_at": "2026-11-23T10:01:00.000000Z", "updated_at": "2026-11-24T10:00:00.000000Z",
            },
        ],
        "next_cursor": null,
    });
    assert_eq!(page, expected);
}

#[tokio::test]
async fn pages_follow_each_other_under_every_filter() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    seed(&fixture, 60).await;
    let expected = |passes: Passes| (1..=60).rev().filter(passes).collect::<Vec<i64>>();
    let cases: [(&str, Passes); 5] = [
        ("limit=7", |_| true),
        ("limit=7&status=paid", |n| n % 3 == 0),
        ("limit=7&customer_id=b", |n| n % 2 == 1),
        ("limit=7&sku=MUG%2FA%26B", |n| n % 2 == 0),
        ("limit=2&status=paid&customer_id=a&sku=MUG/A%26B", |n| {
            n % 6 == 0
        }),
    ];
    for (query, passes) in cases {
        assert_eq!(
            numbers(&dashboard, query).await,
            expected(passes),
            "{query}"
        );
    }
    assert_eq!(numbers(&dashboard, "").await.len(), 60);
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for (query, word) in [
        ("status=lost", "status"),
        ("status=", "status"),
        ("customer_id=", "customer_id"),
        ("customer_id=%00", "customer_id"),
        ("sku=", "SKU"),
        ("sku=a%20", "SKU"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("cursor=", "cursor"),
        ("cursor=%2Fv1%2Forders", "cursor"),
        ("order=oldest", "order"),
        ("limit=1&limit=2", "limit"),
    ] {
        let (status, problem) = dashboard.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_parameter")),
            "{query}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_list_needs_the_scope_to_read_orders() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let key = insert_key(&fixture.store, &[Scope::EventsRead]).await;
    let request = dashboard
        .request_without_key(Method::GET, "/v1/orders")
        .bearer_auth(key);
    let (status, problem): (_, Value) = answer(request).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::FORBIDDEN, &json!("forbidden"))
    );
}
