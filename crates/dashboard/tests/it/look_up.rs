//! The page in a browser: one order, as text that can be read.

use orderly_domain::{Event, LineQuantity};
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};

use crate::shop::{History, ORDER, annotated, paid, placed};
use crate::support::{Fixture, insert_key};
use crate::visit::{link, live, until_text, until_versions, visit_live};

#[tokio::test]
async fn text_of_an_order_is_never_markup() {
    const EVIL: &str = "<img src=x onerror=document.title='hacked'>";
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let mut history = History::of(ORDER);
    let held = Event::Held {
        reason: EVIL.to_owned(),
    };
    // A SKU has no white space.
    let sku = "<svg/onload=document.title='hacked'>";
    let recorded = history
        .record(
            &fixture,
            &[placed(EVIL, &[(sku, 1, 450)]), annotated(EVIL, EVIL), held],
        )
        .await;
    fixture.write(&recorded).await;
    until_versions(&browser, ORDER, &[3, 2, 1]).await;
    browser
        .run(&format!("location.hash = '#/orders/{ORDER}'"))
        .await;
    until_text(&browser, "#order", "\"v3\"").await;
    let shown = browser.text("#order").await;
    assert!(
        shown.matches(EVIL).count() >= 4 && shown.contains(sku),
        "{shown}"
    );
    assert_eq!(browser.run("return document.images.length").await, 0);
    assert!(
        browser
            .run("return document.title")
            .await
            .as_str()
            .unwrap()
            .ends_with("Orderly")
    );
    browser.assert_no_complaint().await;

    // Nor could a fault in a script make it so: the browser refuses.
    let refused = "try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (error) { return error.name }";
    assert_eq!(browser.run(refused).await, "TypeError");
    let inline = "try { const own = document.createElement('script'); own.textContent = 'window.ran = 1'; document.body.append(own) } catch {}";
    browser.run(inline).await;
    assert_eq!(browser.run("return window.ran ?? null").await, Value::Null);
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_in_plain_words() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let look_up = async |id: &str| browser.type_into("#search-id", &format!("{id}\n")).await;
    look_up("4711").await;
    until_text(&browser, "#order", "That is no order id").await;
    browser.assert_no_complaint().await;
    look_up("00000000-0000-0000-0000-000000000001").await;
    until_text(
        &browser,
        "#order",
        "There is no order 00000000-0000-0000-0000-000000000001.",
    )
    .await;

    let watcher = insert_key(&fixture.store, &[Scope::EventsRead]).await;
    browser.open("about:blank").await;
    browser.open(&link(&dashboard, &watcher)).await;
    live(&browser).await;
    look_up(&ORDER.to_string()).await;
    until_text(&browser, "#order", "may not read orders").await;
    let reader = insert_key(&fixture.store, &[Scope::OrdersRead]).await;
    // In the page that is open: only the fragment changes.
    browser.open(&link(&dashboard, &reader)).await;
    until_text(&browser, "#connection", "not watching").await;
    until_text(&browser, "#feed-empty", "may not watch events").await;

    let mut history = History::of(ORDER);
    let first = history
        .record(&fixture, &[placed("c-1", &[("MUG", 1, 450)])])
        .await;
    fixture.write(&first).await;
    fixture
        .env
        .psql(&["alter table orders rename to orders_away"])
        .await
        .unwrap();
    look_up(&ORDER.to_string()).await;
    until_text(&browser, "#order", "Not available right now").await;
    until_text(&browser, "#order", "Asking again in").await;
    fixture
        .env
        .psql(&["alter table orders_away rename to orders"])
        .await
        .unwrap();
    until_text(&browser, "#order", "\"v1\"").await;

    fixture.env.psql(&["delete from stock"]).await.unwrap();
    look_up("4711").await;
    look_up(&ORDER.to_string()).await;
    until_text(&browser, "#order", "never in stock").await;
}

#[tokio::test]
async fn it_is_readable_in_both_schemes_and_on_a_small_screen() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let lines = [
        ("MUG", 2, 1250),
        ("A-LONG-NAME-OF-SOMETHING-IN-THE-SHOP", 12, 3490),
    ];
    let shipped = Event::Shipped {
        lines: vec![LineQuantity {
            line: 1,
            quantity: 1,
        }],
        carrier: "dhl".to_owned(),
        tracking: "RM123456785GB".to_owned(),
    };
    let mut history = History::of(ORDER);
    let mut events = vec![placed("c-1", &lines)];
    events.extend(paid(44_380));
    events.extend([
        shipped,
        Event::Held {
            reason: "fraud check".to_owned(),
        },
    ]);
    let recorded = history.record(&fixture, &events).await;
    fixture.write(&recorded).await;
    until_versions(&browser, ORDER, &[5, 4, 3, 2, 1]).await;
    browser
        .run(&format!("location.hash = '#/orders/{ORDER}'"))
        .await;
    until_text(&browser, "#order", "\"v5\"").await;
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/page");
    std::fs::create_dir_all(folder).unwrap();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for (width, height, hash) in [(1280, 800, None), (360, 740, None), (360, 740, Some("#/"))] {
            let hash = hash.map_or(format!("#/orders/{ORDER}"), str::to_owned);
            browser.size(width, height).await;
            browser.run(&format!("location.hash = '{hash}'")).await;
            let shown = if hash == "#/" {
                "#feed"
            } else {
                "#order .timeline"
            };
            browser
                .until(&format!(
                    "document.querySelector('{shown}')?.offsetHeight > 0"
                ))
                .await;
            let faint = browser.run(include_str!("contrast.js")).await;
            assert_eq!(faint, json!([]), "{scheme} {width}");
            let too_wide = "return document.documentElement.scrollWidth > innerWidth";
            assert_eq!(browser.run(too_wide).await, false, "{scheme} {width}");
            let name = if hash == "#/" { "feed" } else { "order" };
            let picture = browser.picture().await;
            std::fs::write(format!("{folder}/{name}-{scheme}-{width}.png"), picture).unwrap();
        }
    }
    browser.assert_no_complaint().await;
}
