//! Puts stock on the shelves before an import: a share of what the file asks for, once.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use crate::{
    client::{Call, Client, segment},
    exit::Stopped,
};

/// Adjustments under way at once: each is one short transaction.
const CONCURRENCY: usize = 16;
/// As for an order's commands: longer than any restart.
const PATIENCE: Duration = Duration::from_mins(2);

/// Adds floor(demand × percent / 100) of every SKU.
pub(super) async fn run(
    client: &Client,
    plan: &Plan,
    percent: u32,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    let amounts: BTreeMap<&str, i64> = plan
        .demand()
        .into_iter()
        .map(|(sku, demand)| (sku, share(demand, percent)))
        .collect();
    let added = seed_stock(client, "retail/seed", &amounts, token).await?;
    eprintln!(
        "stock: {percent} % of the demand for {} SKUs ({added} of them new)",
        amounts.len()
    );
    Ok(())
}

/// Adds pieces to the stock of SKUs, each once under `{key_prefix}/{sku}`; tells how many were not added before.
pub(crate) async fn seed_stock(
    client: &Client,
    key_prefix: &str,
    amounts: &BTreeMap<&str, i64>,
    token: &CancellationToken,
) -> anyhow::Result<usize> {
    let added: Vec<bool> = stream::iter(amounts)
        .map(|(sku, pieces)| adjust(client, key_prefix, sku, *pieces, token))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(added.into_iter().filter(|new| *new).count())
}

/// Whether this call did it, and not an earlier one.
async fn adjust(
    client: &Client,
    key_prefix: &str,
    sku: &str,
    pieces: i64,
    token: &CancellationToken,
) -> anyhow::Result<bool> {
    if token.is_cancelled() {
        return Err(Stopped).context("add stock");
    }
    let path = format!("/v1/stock/{}/adjustments", segment(sku));
    let key = format!("{key_prefix}/{sku}");
    let body = json!({ "delta": pieces });
    let answer = client
        .send_patiently(&Call::post(&path, &body).key(&key), PATIENCE, token)
        .await?;
    let replayed = answer.replayed;
    answer.success().with_context(|| {
        format!("add {pieces} of {sku} to stock, which is done once per SKU, as {key}")
    })?;
    Ok(!replayed)
}

/// Rounded down. A demand is a sum of order quantities: times 1,000 it stays far below the limit of i64.
fn share(demand: i64, percent: u32) -> i64 {
    demand * i64::from(percent) / 100
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_rounded_down() {
        assert_eq!(
            [share(10, 70), share(1, 70), share(3, 100), share(3, 0)],
            [7, 0, 3, 0]
        );
    }
}
