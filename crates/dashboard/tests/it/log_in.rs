//! The page in a browser: coming in and going out.

use orderly_protocol::serde_json::json;

use crate::browser::Browser;
use crate::shop::{History, ORDER, paid, placed};
use crate::support::{Fixture, until};
use crate::visit::{link, live, until_text, until_versions, visit_live};

#[tokio::test]
async fn the_link_of_dev_logs_in_and_leaves_no_key_behind() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let address = browser.run("return location.href").await;
    assert_eq!(address, format!("{}/#/", dashboard.url));
    // Neither going back nor what the page keeps has it.
    browser.run("history.back()").await;
    browser.until("location.href === 'about:blank' || location.hash === '#/' || location.protocol !== 'http:'").await;
    browser.open(&format!("{}/", dashboard.url)).await;
    live(&browser).await;
    let kept = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])";
    assert_eq!(browser.run(kept).await, "[{},{},\"\"]");
    browser.assert_no_complaint().await;

    browser
        .run("return fetch('/session', { method: 'DELETE' }).then(() => null)")
        .await;
    browser.open("about:blank").await;
    browser.open(&link(&dashboard, "ord_dev_nonsense")).await;
    until_text(&browser, "#login-failure", "no valid API key").await;
    let address = browser.run("return location.href").await;
    assert_eq!(address, format!("{}/#/", dashboard.url));
}

#[tokio::test]
async fn a_session_that_ends_brings_the_form_back() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = visit_live(&fixture, &dashboard).await;
    let key_id = fixture.key.split('_').nth(2).unwrap();
    assert!(
        fixture
            .store
            .revoke_key(key_id, &orderly_store::Actor::local("test"))
            .await
            .unwrap()
    );
    until(async || dashboard.get("/v1/stock").await.0 == 401).await;
    browser.type_into("#search-id", &format!("{ORDER}\n")).await;
    until_text(&browser, "#login-failure", "Your session has ended").await;
}

#[tokio::test]
async fn a_person_logs_in_watches_looks_an_order_up_and_logs_out() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let browser = Browser::start().await;
    browser.open(&dashboard.url).await;
    browser
        .until("document.activeElement.id === 'api-key'")
        .await;
    browser
        .type_into("#api-key", &format!("{}\n", fixture.key))
        .await;
    live(&browser).await;
    assert_eq!(
        browser.run("return document.cookie").await,
        "",
        "no script reads the session"
    );

    let mut history = History::of(ORDER);
    let lines = [("MUG", 2, 1250), ("TEAPOT", 1, 3490)];
    let first = history.record(&fixture, &[placed("c-1", &lines)]).await;
    fixture.write(&first).await;
    until_versions(&browser, ORDER, &[1]).await;
    let row = browser.text("#events tr").await;
    for part in ["Placed", "v1", "€59.90", "…83940516"] {
        assert!(row.contains(part), "{part}: {row}");
    }

    let stock = fixture
        .env
        .psql(&["update stock set on_hand = 10, reserved = 2 where sku = 'MUG'"]);
    stock.await.unwrap();
    browser.type_into("#search-id", &format!("{ORDER}\n")).await;
    until_text(&browser, "#order", "Placed").await;
    let shown = browser.text("#order").await;
    for part in [
        "c-1",
        "\"v1\"",
        "€59.90",
        "MUG",
        "TEAPOT",
        "€34.90",
        "pay",
        "cancel",
        "2 lines · €59.90",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(browser.text("#order [data-sku=MUG]").await, "MUG\t10\t2\t8");

    // What happens to it shows while it is open, its stock included.
    let more = history.record(&fixture, &paid(5990)).await;
    let stock = fixture
        .env
        .psql(&["update stock set on_hand = 9, reserved = 1 where sku = 'MUG'"]);
    stock.await.unwrap();
    fixture.write(&more).await;
    until_text(&browser, "#order", "Paid").await;
    assert!(browser.text("#order").await.contains("\"v3\""));
    assert_eq!(browser.text("#order [data-sku=MUG]").await, "MUG\t9\t1\t8");
    let timeline =
        "return [...document.querySelectorAll('.timeline li')].map((item) => item.dataset.event)";
    assert_eq!(
        browser.run(timeline).await,
        json!(["payment_captured", "payment_requested", "placed"])
    );

    browser.click("#account summary").await;
    browser.click("#logout").await;
    browser
        .until("document.querySelector('#login:not([hidden])')")
        .await;
    assert!(!browser.text("body").await.contains("83940516"));
    assert_eq!(
        browser
            .run("return fetch('/session').then((answer) => answer.status)")
            .await,
        204
    );
    browser.assert_no_complaint().await;
}
