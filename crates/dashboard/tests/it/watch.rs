//! The page in a browser: what it lists, live, and what becomes of that when something is in the way.

use orderly_domain::Event;
use orderly_protocol::serde_json::json;
use uuid::Uuid;

use crate::shop::{History, ORDER, annotated, paid, placed};
use crate::support::{Fixture, LIMIT, events};
use crate::visit::{filter, live, until_text, until_versions, versions, visit_live};

#[tokio::test]
async fn a_lost_server_shows_as_stale_and_nothing_is_missed_or_doubled_afterwards() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let order = Uuid::from_u128(1);
    fixture.write(&events(1, 1..=3)).await;
    until_versions(&browser, order, &[3, 2, 1]).await;
    browser.assert_no_complaint().await;

    let address = dashboard.url.trim_start_matches("http://").to_owned();
    dashboard.token.cancel();
    tokio::time::timeout(LIMIT, dashboard.server)
        .await
        .unwrap()
        .unwrap();
    browser
        .until(r"/^connecting, last event \d+ s ago$/.test(document.getElementById('connection').textContent)")
        .await;
    browser
        .until(r"/^stale since \d\d:\d\d:\d\d$/.test(document.getElementById('connection').textContent)")
        .await;
    until_text(&browser, "#banner", "What you see is as of").await;
    // While nobody looks, events come, more than a stream begins with by itself, and copies of those that were seen.
    fixture.write(&events(1, 4..=5)).await;
    fixture.write(&events(1, 2..=4)).await;
    fixture.write(&events(1, 6..=260)).await;
    let _again = fixture.start_at(&address).await;
    live(&browser).await;
    let newest = |from: u64, to: u64| (to..=from).rev().collect::<Vec<u64>>();
    until_versions(&browser, order, &newest(260, 61)).await;
    browser
        .until("document.getElementById('banner').hidden")
        .await;
    fixture.write(&events(1, 260..=262)).await;
    until_versions(&browser, order, &newest(262, 63)).await;
    // What is listed ends after 200; what was seen is counted to the last.
    filter(&browser, "by-type", "held").await;
    let counted = "None of the last 262 events passes the filter.";
    until_text(&browser, "#feed-empty", counted).await;
    browser.assert_only_unreached().await;
}

#[tokio::test]
async fn versions_that_the_stream_lost_are_read_from_the_order() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let mut history = History::of(ORDER);
    let notes: Vec<Event> = (1..=4).map(|n| annotated("note", &n.to_string())).collect();
    let first = history
        .record(&fixture, &[placed("c-1", &[("MUG", 1, 450)])])
        .await;
    let rest = history.record(&fixture, &notes).await;
    fixture.write(&first).await;
    fixture.write(&rest[3..]).await;
    until_versions(&browser, ORDER, &[5, 4, 3, 2, 1]).await;
    browser.assert_no_complaint().await;
}

#[tokio::test]
async fn a_stream_that_lost_its_place_is_said_and_the_order_read_anew() {
    let mut fixture = Fixture::new().await;
    let mut history = History::of(ORDER);
    let first = history
        .record(&fixture, &[placed("c-1", &[("MUG", 1, 450)])])
        .await;
    fixture.write(&first).await;
    // The stream that takes its place must be shorter, to be seen to be another.
    for version in 1..=3 {
        fixture.write(&events(3, version..=version)).await;
    }
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    browser
        .run(&format!("location.hash = '#/orders/{ORDER}'"))
        .await;
    until_text(&browser, "#order", "\"v1\"").await;
    history.record(&fixture, &paid(450)).await;
    fixture.lose_stream().await;
    fixture.write(&events(2, 1..=1)).await;
    until_text(&browser, "#events .note", "events are missing").await;
    until_text(&browser, "#order", "\"v3\"").await;
    fixture.write(&events(2, 2..=2)).await;
    until_versions(&browser, Uuid::from_u128(2), &[2]).await;
    browser.assert_no_complaint().await;
}

#[tokio::test]
async fn what_is_paused_waits_and_what_is_filtered_is_gone() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let mut history = History::of(ORDER);
    let first = history
        .record(&fixture, &[placed("c-1", &[("MUG", 1, 450)])])
        .await;
    fixture.write(&first).await;
    until_versions(&browser, ORDER, &[1]).await;
    browser.click("#pause").await;
    let more = history.record(&fixture, &paid(450)).await;
    fixture.write(&more).await;
    until_text(&browser, "#held-back", "Paused · 2 new").await;
    assert_eq!(versions(&browser, ORDER).await, json!([1]));
    browser.click("#pause").await;
    until_versions(&browser, ORDER, &[3, 2, 1]).await;

    filter(&browser, "by-status", "paid").await;
    until_versions(&browser, ORDER, &[3]).await;
    filter(&browser, "by-type", "held").await;
    until_versions(&browser, ORDER, &[]).await;
    until_text(
        &browser,
        "#feed-empty",
        "None of the last 3 events passes the filter.",
    )
    .await;
    browser.assert_no_complaint().await;
}

#[tokio::test]
async fn frames_are_read_however_they_arrive_and_amounts_are_exact() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let read = browser.run(include_str!("frames.js")).await;
    let expected = json!([
        [
            { "type": "a", "data": "1\n2", "id": "7.2" },
            { "type": "message", "data": "é", "id": "7.2" },
        ],
        "7.2",
        50,
    ]);
    let read = read.as_array().unwrap();
    assert!(read.len() > 50);
    for (cut, read) in read.iter().enumerate() {
        assert_eq!(*read, expected, "cut at {cut}");
    }

    let amounts = "return import(document.querySelector('script').src.replace('app.js', 'format.js')).then(({ money }) => \
         [money(1250, 'EUR'), money(1250, 'JPY'), money(1250, 'KWD'), money(1250, 'IQD'), money(-5, 'EUR'), \
         money(9007199254740991, 'EUR')])";
    let shown = browser.run(amounts).await.to_string();
    assert_eq!(
        shown.replace('\u{a0}', " "),
        r#"["€12.50","¥1,250","KWD 1.250","IQD 1.250","-€0.05","€90,071,992,547,409.91"]"#
    );
    browser.assert_no_complaint().await;
}
