//! The same intents through Orderly: each is a command with a key of its own, and what it did is read from the events.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use orderly_protocol::{CloudEvent, CommandResource, CommandStatus, OrderResource};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    evidence::{Answer, Evidence, FinalOrder, Shelf, Write},
    load::{Load, Way},
    plan::{Intent, PIECES, PRICE_MINOR, Plan, Wish, note_key},
};
use crate::http::{Api, Reply};

/// Requests under way at once before and after the race, where nothing is measured.
const AT_ONCE: usize = 32;
/// For a command that was accepted: far longer than any queue here, shorter than a person's patience.
const OUTCOME_LIMIT: Duration = Duration::from_secs(20);
/// For the payment company to answer, all charges together.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One Orderly, with the race's orders and products in it.
pub(super) struct Through {
    api: Api,
    /// Keeps the keys, customers and products of this race from those of every other.
    run: Uuid,
    /// The busy order of each round.
    orders: Vec<Uuid>,
}

/// How a command ended.
enum Outcome {
    Applied(Box<CommandResource>),
    /// With the code of why.
    Refused(String),
}

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

impl Through {
    /// Puts the products on the shelves and places the busy orders, of as many rounds as can be prepared within `limit`. A round
    /// takes two requests to prepare and over a hundred to race through: the race will not come to the last one.
    pub(super) async fn open(api: Api, plan: &Plan, limit: Duration) -> Result<Self> {
        let mut through = Self {
            api,
            run: Uuid::new_v4(),
            orders: (0..plan.rounds).map(|_| Uuid::now_v7()).collect(),
        };
        let busy = through.busy_sku();
        through.set_stock(&busy, plan.rounds).await?;
        let ends_at = Instant::now() + limit;
        let begun = (0..plan.rounds).take_while(|round| *round == 0 || Instant::now() < ends_at);
        let opening = stream::iter(begun).map(|round| through.open_round(round));
        let opened = opening.buffered(AT_ONCE).try_collect::<Vec<()>>().await?;
        through.orders.truncate(opened.len());
        Ok(through)
    }

    /// How many rounds are prepared.
    pub(super) fn rounds(&self) -> usize {
        self.orders.len()
    }

    async fn open_round(&self, round: usize) -> Result<()> {
        self.set_stock(&self.sku(round), PIECES).await?;
        let path = format!("/v1/orders/{}", self.orders[round]);
        let key = format!("race/{}/order-{round}", self.run);
        let body = Self::place(&format!("race-{}-{round}", self.run), &self.busy_sku());
        match self.command(Method::PUT, &path, &key, &body).await? {
            Outcome::Applied(_) => Ok(()),
            Outcome::Refused(code) => bail!("Orderly refused to place an order: {code}"),
        }
    }

    async fn set_stock(&self, sku: &str, on_hand: usize) -> Result<()> {
        let path = format!("/v1/stock/{sku}");
        self.api
            .put_stock(&path, &json!({ "on_hand": on_hand }))
            .await
    }

    fn sku(&self, round: usize) -> String {
        format!("RACE-{}-{round}", self.run.simple())
    }

    fn busy_sku(&self) -> String {
        format!("RACE-{}-BUSY", self.run.simple())
    }

    fn key(&self, intent: Intent, step: &str) -> String {
        format!("race/{}/{}/{step}", self.run, intent.number)
    }

    fn place(customer: &str, sku: &str) -> Value {
        let line = json!({"sku": sku, "quantity": 1, "unit_price_minor": PRICE_MINOR});
        json!({"customer_id": customer, "currency": "EUR", "lines": [line]})
    }

    /// Sends a command and stays with it until its outcome is known.
    async fn command(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Outcome> {
        let gives_up_at = Instant::now() + OUTCOME_LIMIT;
        let mut reply = self.api.command(method, path, key, body).await?;
        loop {
            if reply.status.is_client_error() || reply.status.is_server_error() {
                return Ok(Outcome::Refused(reply.problem_code()));
            }
            let command: CommandResource = reply.json(path)?;
            match command.status {
                CommandStatus::Applied => return Ok(Outcome::Applied(Box::new(command))),
                CommandStatus::Rejected | CommandStatus::Discarded => {
                    let code = command.rejection.map(|why| why.code).unwrap_or_default();
                    return Ok(Outcome::Refused(code));
                }
                CommandStatus::Queued | CommandStatus::Parked => {}
            }
            if Instant::now() > gives_up_at {
                let status = command.status.as_str();
                return Ok(Outcome::Refused(format!(
                    "still {status} after {} s",
                    OUTCOME_LIMIT.as_secs()
                )));
            }
            reply = self.look_again(&command, &reply).await?;
        }
    }

    async fn look_again(&self, command: &CommandResource, reply: &Reply) -> Result<Reply> {
        tokio::time::sleep(LOOK_EVERY).await;
        let location = reply.location.as_ref().unwrap_or(&command.links.command);
        self.api.outcome(location).await
    }

    async fn note(&self, intent: Intent) -> Result<Answer> {
        let path = format!("/v1/orders/{}/commands", self.orders[intent.round]);
        let data = json!({"key": intent.note_key(), "value": intent.note_text()});
        let body = json!({"type": "annotate", "data": data});
        let key = self.key(intent, "note");
        Ok(
            match self.command(Method::POST, &path, &key, &body).await? {
                Outcome::Applied(command) => Answer::Noted {
                    version: command
                        .version
                        .context("an applied command has a version")?
                        .0,
                    by: command.command_id.to_string(),
                },
                Outcome::Refused(code) => Answer::Failed(code),
            },
        )
    }

    async fn checkout(&self, intent: Intent) -> Result<Answer> {
        let customer = format!("race-{}-c{}", self.run, intent.number);
        let body = Self::place(&customer, &self.sku(intent.round));
        let key = self.key(intent, "place");
        let placed = match self
            .command(Method::POST, "/v1/orders", &key, &body)
            .await?
        {
            Outcome::Applied(command) => command,
            Outcome::Refused(code) if code == "insufficient_stock" => return Ok(Answer::SoldOut),
            Outcome::Refused(code) => return Ok(Answer::Failed(code)),
        };
        let order = placed.order_id.to_string();
        let path = format!("/v1/orders/{order}/commands");
        let body = json!({"type": "pay", "data": {"method": "card"}});
        let key = self.key(intent, "pay");
        Ok(
            match self.command(Method::POST, &path, &key, &body).await? {
                Outcome::Applied(paid) => Answer::Sold {
                    order,
                    by: format!("{} and {}", placed.command_id, paid.command_id),
                },
                Outcome::Refused(code) => Answer::Failed(format!("pay: {code}")),
            },
        )
    }

    /// What clients were told, and what the API shows.
    pub(super) async fn evidence(&self, load: &Load) -> Result<Evidence> {
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
                    intent,
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
                    placed: vec![intent; count("placed")],
                    charges: vec![intent; requested.max(captured)],
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

/// What became of one checkout's order.
struct Sale {
    placed: Vec<usize>,
    charges: Vec<usize>,
    settled: bool,
    strange: Option<String>,
}

impl Way for Through {
    async fn perform(&self, intent: Intent) -> Result<Answer> {
        match intent.wish {
            Wish::Note => self.note(intent).await,
            Wish::Checkout => self.checkout(intent).await,
        }
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
