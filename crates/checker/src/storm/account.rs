//! After the storm: what became of every command, and what the API shows of every order and product. Waits, with limits, until
//! nothing moves any more; judges nothing.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use orderly_protocol::{CloudEvent, CommandResource, CommandStatus, OrderResource};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::{Door, Manner},
    history::{Account, Event, Goods, Line, Money, Outcome, Sent, Shelf, Shown},
    model::Model,
    subscriber::Watched,
};
use crate::{
    dice::Dice,
    http::{Api, Reply},
};

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// For every command to be decided: a queue of a minute's work behind a worker that has just been started, and a minute in which
/// others may still kill it.
const DECIDED_LIMIT: Duration = Duration::from_mins(2);
/// A shard whose workers are killed one after the other stands still for as long as the dead are listed, again and again: 32 s were seen
/// where something died every second.
const UNDECIDED_LIMIT: Duration = Duration::from_secs(45);
/// For the payment company to answer all that was asked of it, and for the API to show one state.
const SETTLED_LIMIT: Duration = Duration::from_secs(15);
/// A subscriber that sees nothing new for so long, and does not have all, will not have it: a worker's death costs less.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// With commands that are not decided: until none is for long, or all of them take too long.
struct Patience {
    ends: Instant,
    renewed: Mutex<Instant>,
}

impl Patience {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            ends: now + DECIDED_LIMIT,
            renewed: Mutex::new(now),
        }
    }

    fn renew(&self) {
        *self.renewed.lock().expect("nothing under it can panic") = Instant::now();
    }

    fn is_over(&self) -> bool {
        let renewed = *self.renewed.lock().expect("nothing under it can panic");
        Instant::now() > self.ends || renewed.elapsed() > UNDECIDED_LIMIT
    }
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

/// Asks what became of every command whose client wanted to know. One that was never answered is sent once more first, as its
/// client would: the same key makes that safe, which is part of what is judged.
pub(super) async fn outcomes(
    door: &Door,
    api: &Api,
    commands: Vec<Sent>,
    mut dice: Dice,
) -> Result<Vec<Sent>> {
    let patience = &Patience::new();
    let commands: Vec<_> = commands.into_iter().map(|it| (it, dice.fork())).collect();
    let asking = stream::iter(commands)
        .map(|(sent, dice)| async move { outcome(door, api, sent, dice, patience).await });
    asking.buffered(AT_ONCE).try_collect().await
}

async fn outcome(
    door: &Door,
    api: &Api,
    mut sent: Sent,
    dice: Dice,
    patience: &Patience,
) -> Result<Sent> {
    let location = |sent: &Sent| {
        let mut answers = sent.attempts.iter().rev();
        answers.find_map(|it| it.answer.location().map(str::to_owned))
    };
    if location(&sent).is_none() && !sent.given_up && !sent.is_refused() {
        let again = door.send((&sent).into(), Manner::default(), dice).await?;
        sent.attempts.extend(again.attempts);
    }
    let Some(location) = location(&sent) else {
        return Ok(sent);
    };
    // A receipt is longer than all the rest of a command.
    for attempt in &mut sent.attempts {
        attempt.answer.forget_location();
    }
    loop {
        let outcome = read_outcome(&api.outcome(&location).await?, &location)?;
        let is_decided = outcome != Outcome::Queued;
        sent.outcome = Some(outcome);
        if is_decided {
            patience.renew();
        }
        if is_decided || patience.is_over() {
            return Ok(sent);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn read_outcome(reply: &Reply, location: &str) -> Result<Outcome> {
    if !reply.status.is_success() {
        return Ok(match reply.problem_code() {
            code if code == "idempotency_key_reused" => Outcome::KeyReused,
            code => Outcome::Missing { code },
        });
    }
    let command: CommandResource = reply.json(location)?;
    let version = command.version.map(|it| it.0).unwrap_or_default();
    Ok(match command.status {
        CommandStatus::Queued => Outcome::Queued,
        CommandStatus::Parked => Outcome::Parked,
        CommandStatus::Applied => Outcome::Applied { version },
        CommandStatus::Discarded => Outcome::Discarded { version },
        CommandStatus::Rejected => Outcome::Rejected {
            version,
            code: command.rejection.map(|why| why.code).unwrap_or_default(),
        },
    })
}

/// Every order that a client tried to place, once nothing moves on it.
pub(super) async fn orders(
    api: &Api,
    orders: impl Iterator<Item = Uuid>,
) -> Result<BTreeMap<Uuid, Account>> {
    let settled_by = Instant::now() + SETTLED_LIMIT;
    let reading = stream::iter(orders).map(|order| async move {
        let account = account(api, order, settled_by).await?;
        anyhow::Ok((order, account))
    });
    reading.buffered(AT_ONCE).try_collect().await
}

async fn account(api: &Api, order: Uuid, settled_by: Instant) -> Result<Account> {
    loop {
        let account = Account {
            events: events(api, order).await?,
            shown: shown(api, order).await?,
        };
        if is_still(&account) || Instant::now() > settled_by {
            return Ok(account);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether events and order say the same version, and nobody is awaited. What cannot be followed will not become better.
fn is_still(account: &Account) -> bool {
    let shown = account.shown.as_ref().map(|it| it.version);
    if account.events.last().map(|it| it.version) != shown {
        return false;
    }
    let mut state = None;
    for event in &account.events {
        match Model::after(state, event) {
            Ok(after) => state = Some(after),
            Err(_) => return true,
        }
    }
    state.is_none_or(|state| state.is_settled())
}

async fn events(api: &Api, order: Uuid) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut next = Some(format!("/v1/orders/{order}/events?limit=200"));
    while let Some(path) = next {
        let Some(page) = api.read_if_there::<Page>(&path).await? else {
            break;
        };
        events.extend(page.events.iter().map(Event::from));
        next = page.next;
    }
    Ok(events)
}

async fn shown(api: &Api, order: Uuid) -> Result<Option<Shown>> {
    let path = format!("/v1/orders/{order}");
    let order: Option<OrderResource> = api.read_if_there(&path).await?;
    Ok(order.map(|order| {
        let lines = order.lines.into_iter().map(|it| Goods {
            line: Line {
                sku: it.sku,
                quantity: it.quantity,
                unit_price_minor: it.unit_price.amount_minor,
            },
            shipped: it.shipped,
            returned: it.returned,
        });
        Shown {
            version: order.version.0,
            status: order.status,
            held: order.held,
            annotations: order.annotations,
            recipient: order.address.map(|it| it.name),
            lines: lines.collect(),
            money: Money {
                captured: order.captured.amount_minor,
                refunded: order.refunded.amount_minor,
                pending: order.refund_pending.amount_minor,
            },
        }
    }))
}

/// What is on the shelves.
pub(super) async fn shelves(api: &Api, products: &[(String, i64)]) -> Result<Vec<Shelf>> {
    let mut shelves = Vec::with_capacity(products.len());
    for (sku, stocked) in products {
        let stock: Stock = api.read(&format!("/v1/stock/{sku}")).await?;
        shelves.push(Shelf {
            sku: sku.clone(),
            stocked: *stocked,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
        });
    }
    Ok(shelves)
}

/// Waits until subscribers have seen what the record has, or see nothing new any more.
pub(super) async fn until_seen(orders: &BTreeMap<Uuid, Account>, subscribers: &[Watched]) {
    let last = |account: &Account| account.events.last().map(|it| it.version);
    let has_seen = |subscriber: &Watched| {
        let mut orders = orders.iter();
        orders.all(|(order, account)| subscriber.newest(*order) >= last(account).unwrap_or(0))
    };
    let count = || subscribers.iter().map(Watched::sightings).sum::<usize>();
    let (mut seen, mut seen_by) = (count(), Instant::now() + SILENCE_LIMIT);
    while !subscribers.iter().all(has_seen) && Instant::now() < seen_by {
        tokio::time::sleep(LOOK_EVERY).await;
        if count() > seen {
            (seen, seen_by) = (count(), Instant::now() + SILENCE_LIMIT);
        }
    }
}

/// Reads those orders again of which a subscriber saw more than was read; whether there were any. What is in the stream has been
/// committed before: the API must show it now.
pub(super) async fn read_again(
    api: &Api,
    orders: &mut BTreeMap<Uuid, Account>,
    subscribers: &[Watched],
) -> Result<bool> {
    let newest = |order: Uuid| subscribers.iter().map(|it| it.newest(order)).max();
    let is_behind = |order: Uuid, account: &Account| {
        account.events.last().map(|it| it.version) < newest(order).filter(|it| *it > 0)
    };
    let behind = orders
        .iter()
        .filter(|(order, account)| is_behind(**order, account));
    let behind: Vec<Uuid> = behind.map(|(order, _)| *order).collect();
    orders.extend(self::orders(api, behind.iter().copied()).await?);
    Ok(!behind.is_empty())
}
