//! The same intents through Orderly: each is a command with a key of its own, and what it did is read from the events.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use orderly_protocol::{CommandResource, CommandStatus};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

mod account;

use super::{
    evidence::Answer,
    load::Way,
    plan::{Intent, PIECES, PRICE_MINOR, Plan, Wish},
};
use crate::http::{Api, Reply};

/// Requests under way at once before and after the race, where nothing is measured.
const AT_ONCE: usize = 32;
/// For a command that was accepted: far longer than any queue here, shorter than a person's patience.
const OUTCOME_LIMIT: Duration = Duration::from_secs(20);
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
}

impl Way for Through {
    async fn perform(&self, intent: Intent) -> Result<Answer> {
        match intent.wish {
            Wish::Note => self.note(intent).await,
            Wish::Checkout => self.checkout(intent).await,
        }
    }
}
