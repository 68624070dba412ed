//! What became of the intents, read from the public API alone: the events of every order, the orders, the stock.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use orderly_protocol::{CloudEvent, OrderResource};
use serde::Deserialize;

use super::{AT_ONCE, LOOK_EVERY, Through};
use crate::race::{
    evidence::{Answer, Effect, Evidence, FinalOrder, Shelf, Write},
    load::Load,
    plan::note_key,
};

/// For the payment company to answer, all charges together.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// A page of `GET /v1/orders/{id}/events`.
#[derive(Deserialize)]
struct Page {
    events: Vec<CloudEvent>,
    next: Option<String>,
}

/// `GET /v1/stock/{sku}`.
#[derive(Deserialize)]
struct Stock {
    on_hand: i64,
    reserved: i64,
}

/// What the judge needs of an event's data.
#[derive(Deserialize)]
struct Annotated {
    key: String,
}

/// What became of one checkout's order.
struct Sale {
    placed: Vec<Effect>,
    charges: Vec<Effect>,
    settled: bool,
    strange: Option<String>,
}

impl Through {
    /// What clients were told, and what the API shows.
    pub(in crate::race) async fn evidence(&self, load: &Load) -> Result<Evidence> {
        let mut evidence = Evidence {
            told: load.told.clone(),
            ..Evidence::default()
        };
        let rounds = load.told.last().map_or(0, |told| told.intent.round + 1);
        let orders = stream::iter(0..rounds).map(|round| self.busy_order(round));
        for (order, writes, strange) in orders.buffered(AT_ONCE).try_collect::<Vec<_>>().await? {
            evidence.orders.push(order);
            evidence.writes.extend(writes);
            evidence.strange.extend(strange);
        }
        let shelves = stream::iter(0..rounds).map(|round| self.shelf(round));
        evidence.shelves = shelves.buffered(AT_ONCE).try_collect().await?;
        let settled_by = Instant::now() + SETTLE_LIMIT;
        let sales = sales(load);
        let sales =
            stream::iter(&sales).map(|(order, intent)| self.sale(order, *intent, settled_by));
        for sale in sales.buffered(AT_ONCE).try_collect::<Vec<_>>().await? {
            evidence.sales.extend(sale.placed);
            evidence.charges.extend(sale.charges);
            evidence.unsettled += usize::from(!sale.settled);
            evidence.strange.extend(sale.strange);
        }
        Ok(evidence)
    }

    async fn busy_order(&self, round: usize) -> Result<(FinalOrder, Vec<Write>, Vec<String>)> {
        let id = self.orders[round];
        let events = self.events(&id.to_string()).await?;
        let order: OrderResource = self.api.read(&format!("/v1/orders/{id}")).await?;
        let (mut writes, mut strange) = (Vec::new(), Vec::new());
        for event in &events {
            let note = event.event_name() == Some("annotated");
            let data: Option<Annotated> = note
                .then(|| serde_json::from_str(event.data.get()))
                .transpose()?;
            match data.and_then(|data| intent_of(&data.key)) {
                Some(intent) => writes.push(Write {
                    round,
                    version: event.version.0,
                    effect: Effect {
                        intent,
                        by: format!("command {}", event.command_id),
                    },
                }),
                None if event.version.0 == 1 => {}
                None => strange.push(format!(
                    "order {id} has version {} by command {}, which this race did not send",
                    event.version, event.command_id
                )),
            }
        }
        let order = FinalOrder {
            round,
            version: order.version.0,
            notes: order.annotations.into_keys().collect(),
        };
        Ok((order, writes, strange))
    }

    async fn shelf(&self, round: usize) -> Result<Shelf> {
        let stock: Stock = self
            .api
            .read(&format!("/v1/stock/{}", self.sku(round)))
            .await?;
        Ok(Shelf {
            round,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
        })
    }

    /// Everything that happened to the order of a checkout, once its payment is settled or nobody waits any longer.
    async fn sale(&self, order: &str, intent: usize, settled_by: Instant) -> Result<Sale> {
        let effect = |what: &str| Effect {
            intent,
            by: format!("{what} {order}"),
        };
        loop {
            let events = self.events(order).await?;
            let count = |name| {
                events
                    .iter()
                    .filter(|it| it.event_name() == Some(name))
                    .count()
            };
            let (requested, captured, declined) = (
                count("payment_requested"),
                count("payment_captured"),
                count("payment_declined"),
            );
            let settled = captured + declined >= requested;
            if settled || Instant::now() > settled_by {
                let contiguous = (1..)
                    .zip(&events)
                    .all(|(version, event)| event.version.0 == version);
                return Ok(Sale {
                    settled,
                    placed: vec![effect("order"); count("placed")],
                    charges: vec![effect("payment of order"); requested.max(captured)],
                    strange: (!contiguous)
                        .then(|| format!("the versions of order {order} have a gap")),
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn events(&self, order: &str) -> Result<Vec<CloudEvent>> {
        let mut events = Vec::new();
        let mut next = Some(format!("/v1/orders/{order}/events?limit=200"));
        while let Some(path) = next {
            let page: Page = self.api.read(&path).await?;
            events.extend(page.events);
            next = page.next;
        }
        Ok(events)
    }
}

/// Every order that a client was told of, and the intent it was told for: a retry that was told of another has two.
fn sales(load: &Load) -> BTreeMap<String, usize> {
    let answers = load.told.iter().flat_map(|told| {
        told.answers
            .iter()
            .map(|answer| (answer, told.intent.number))
    });
    let sold = answers.filter_map(|(answer, intent)| match answer {
        Answer::Sold { order, .. } => Some((order.clone(), intent)),
        _ => None,
    });
    sold.collect()
}

fn intent_of(key: &str) -> Option<usize> {
    let number = key.rsplit_once('-')?.1.parse().ok()?;
    (note_key(number) == key).then_some(number)
}
