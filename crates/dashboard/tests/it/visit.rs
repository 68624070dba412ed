//! What the tests of the page in a browser share: coming in, and reading what is listed.

use orderly_protocol::serde_json::{Value, json};
use uuid::Uuid;

use crate::browser::Browser;
use crate::support::{Dashboard, Fixture};

/// Opens the page, logged in by the link.
pub(crate) async fn visit_live(fixture: &Fixture, dashboard: &Dashboard) -> Browser {
    let browser = Browser::start().await;
    browser.open(&link(dashboard, &fixture.key)).await;
    live(&browser).await;
    browser
}

pub(crate) fn link(dashboard: &Dashboard, key: &str) -> String {
    format!("{}/#key={key}", dashboard.url)
}

pub(crate) async fn live(browser: &Browser) {
    browser
        .until("document.getElementById('connection').textContent === 'live'")
        .await;
}

/// The versions of an order in the list, from the top.
const VERSIONS: &str = "[...document.querySelectorAll('#events tr[data-order]')]\
                        .filter((row) => row.dataset.order === ORDER).map((row) => Number(row.dataset.version))";

pub(crate) async fn versions(browser: &Browser, order: Uuid) -> Value {
    let listed = VERSIONS.replace("ORDER", &format!("'{order}'"));
    browser.run(&format!("return {listed}")).await
}

/// Waits until the list has these versions of the order, and no other.
pub(crate) async fn until_versions(browser: &Browser, order: Uuid, expected: &[u64]) {
    let listed = VERSIONS.replace("ORDER", &format!("'{order}'"));
    let expected = json!(expected);
    browser
        .until(&format!(
            "JSON.stringify({listed}) === JSON.stringify({expected})"
        ))
        .await;
}

pub(crate) async fn until_text(browser: &Browser, selector: &str, part: &str) {
    let there = format!("document.querySelector({selector:?})?.innerText.includes({part:?})");
    browser.until(&there).await;
}

/// Chooses an entry of one of the lists above the events.
pub(crate) async fn filter(browser: &Browser, list: &str, value: &str) {
    let script = format!(
        "const list = document.getElementById('{list}'); list.value = '{value}'; list.dispatchEvent(new Event('change'))"
    );
    browser.run(&script).await;
}
