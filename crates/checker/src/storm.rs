//! The storm: producers as they are, on few orders, while processes, servers and links fail; then everything that was seen is
//! judged.
//!
//! Owns the order of things. What it places in Orderly stays there, as everything does.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod account;
mod client;
mod deployment;
mod fault;
mod history;
mod judge;
mod layout;
mod link;
mod model;
mod probe;
mod processes;
mod queue;
mod report;
mod resizing;
mod scenario;
mod subscriber;
mod suffering;

pub use deployment::{Deployment, Role, Server, Servers, Ways};
pub use fault::{Fault, clock_library};
pub use history::History;
pub use judge::{Invariant, Rules, Verdict, Violation, judge};
pub use link::Link;
pub use report::Report;
pub use scenario::Scenario;

use crate::{dice::Dice, http::Api};
use client::Door;
use history::{Sent, Stopwatch};
use probe::Probe;
use queue::QueueReader;
use scenario::{Client, Field};
use subscriber::{Subscriber, Watched};
use suffering::Sufferer;

/// Where the storm takes place.
#[derive(Clone)]
pub struct Target<'a> {
    /// Takes commands.
    pub ingress_url: String,
    /// Takes stock and questions; may be the same.
    pub dashboard_url: String,
    /// May write commands and stock, and read orders and events.
    pub api_key: String,
    /// The broker, for a subscriber's queue; none where there is no way to it, and then no such subscriber.
    pub amqp_url: Option<String>,
    /// What may be hurt; none where others rest on it.
    pub deployment: Option<&'a dyn Deployment>,
}

/// How it is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What clients want.
    pub scenario: Scenario,
    /// How long they want it.
    pub duration: Duration,
    /// Clients at once.
    pub clients: usize,
    /// Fixes what each client wants and what is done when.
    pub seed: u64,
    /// What is done to the deployment; without one, nothing.
    pub faults: Vec<Fault>,
    /// What is tolerated.
    pub rules: Rules,
}

/// For a subscriber to be let in.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// An order whose payment is late moves on while it is read.
const READ_AGAIN: usize = 10;
/// Between two lines for whoever watches.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// Runs the storm; `say` tells a person how far it is. When `token` is cancelled it ends early, with an error.
///
/// # Errors
/// When Orderly is away for longer than a client's patience, or refuses what it must take, or the token was cancelled. What the
/// judge finds is no error.
pub async fn run(
    target: &Target<'_>,
    options: &Options,
    token: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(Report, History)> {
    let clock = Stopwatch::start();
    let mut dice = Dice::new(options.seed);
    let ground = Ground::open(target, options, clock, token)?;
    let field = &ground.field;
    let stocked = field.stocked();
    let mut sufferer = match target.deployment {
        Some(deployment) => {
            let skus = stocked.iter().map(|(sku, _)| sku.clone()).collect();
            let dice = Dice::new(options.seed);
            Some(Sufferer::start(deployment, clock, dice, skus).await?)
        }
        None => None,
    };
    for (sku, pieces) in &stocked {
        let (path, level) = (format!("/v1/stock/{sku}"), json!({ "on_hand": pieces }));
        ground.api.put_stock(&path, &level).await?;
    }
    // Before anything happens, since they witness from the first version on.
    let reading = token.child_token();
    let _reading = reading.clone().drop_guard();
    let mut subscribers = Vec::new();
    for dice in [None, Some(dice.fork())] {
        let subscriber = Subscriber::new(&target.dashboard_url, &target.api_key, clock)?;
        let watched = subscriber.watched();
        let run = |open| subscriber.run(dice, open, reading.clone());
        opened("the event stream (GET /v1/events)", run).await?;
        subscribers.push(watched);
    }
    if let Some(url) = &target.amqp_url {
        let reader = QueueReader::new(url, field.queue(), clock);
        subscribers.push(reader.watched());
        let run = |open| reader.run(open, reading.clone());
        opened("a queue of status events", run).await?;
    }
    let host = Client::new(options.clients, dice.fork(), &ground.door, field);
    let mut commands = host.open_field().await.context("place the first orders")?;
    let mut probe = match sufferer {
        Some(_) => Some(Probe::open(&ground.door, field, &ground.api, dice.fork()).await?),
        None => None,
    };

    let began = Instant::now();
    let calm = token.child_token();
    let suffering = async {
        let (Some(sufferer), Some(probe)) = (&mut sufferer, &mut probe) else {
            return Ok(());
        };
        sufferer.suffer(&options.faults, probe, &calm).await
    };
    let (api, resizing_dice) = (&ground.api, dice.fork());
    let resizing = async {
        if options.scenario != Scenario::Resize {
            return Ok(Vec::new());
        }
        resizing::resize_again_and_again(api, clock, resizing_dice, &calm).await
    };
    let loading = async {
        let sent = load(options, &ground, &mut dice, say).await;
        calm.cancel();
        sent
    };
    let (sent, (), resizes) = tokio::try_join!(loading, suffering, resizing)?;
    commands.extend(sent);
    commands.extend(probe.map(|it| it.sent).unwrap_or_default());
    let stormed = began.elapsed();

    say("asking what became of every command …");
    let mut history = ground.after(commands, &subscribers, dice).await?;
    history.resizes = resizes;
    if let Some(mut sufferer) = sufferer {
        history.faults = std::mem::take(&mut sufferer.notes);
        history.recoveries = std::mem::take(&mut sufferer.recoveries);
        sufferer.end().await?;
    }
    say("judging …");
    let verdicts = judge(&history, options.rules);
    Ok((Report::new(options, stormed, &history, verdicts), history))
}

/// Where a storm takes place, and the ways there.
struct Ground {
    api: Api,
    door: Arc<Door>,
    field: Arc<Field>,
}

impl Ground {
    fn open(
        target: &Target<'_>,
        options: &Options,
        clock: Stopwatch,
        token: &CancellationToken,
    ) -> Result<Self> {
        let (ingress, key) = (target.ingress_url.as_str(), target.api_key.as_str());
        Ok(Self {
            api: Api::new(ingress, &target.dashboard_url, key, token)?,
            door: Arc::new(Door::new(ingress, key, clock, token)?),
            field: Arc::new(Field::new(options.scenario, options.clients)),
        })
    }

    /// Everything that can be seen once nothing moves any more.
    async fn after(
        &self,
        commands: Vec<Sent>,
        subscribers: &[Watched],
        dice: Dice,
    ) -> Result<History> {
        let api = &self.api;
        let mut history = History {
            commands: account::outcomes(&self.door, api, commands, dice).await?,
            ..History::default()
        };
        let placed: BTreeSet<Uuid> = history.commands.iter().map(|it| it.order).collect();
        history.orders = account::orders(api, placed.into_iter()).await?;
        for _ in 0..READ_AGAIN {
            account::until_seen(&history.orders, subscribers).await;
            // Before the orders: what the streams have by now, the API must show from now on.
            let is_ours = |order: &Uuid| history.orders.contains_key(order);
            let streams = subscribers.iter().map(|it| it.stream(is_ours));
            history.streams = streams.collect();
            if !account::read_again(api, &mut history.orders, subscribers).await? {
                break;
            }
        }
        history.shelves = account::shelves(api, &self.field.stocked()).await?;
        Ok(history)
    }
}

/// Starts a subscriber and waits until it is let in.
async fn opened<F>(what: &str, run: impl FnOnce(watch::Sender<bool>) -> F) -> Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (open, mut opened) = watch::channel(false);
    tokio::spawn(run(open));
    let opening = tokio::time::timeout(OPEN_LIMIT, opened.wait_for(|open| *open)).await;
    if !matches!(opening, Ok(Ok(_))) {
        bail!("{what} did not open within {} s", OPEN_LIMIT.as_secs());
    }
    Ok(())
}

/// All clients until the time is over.
async fn load(
    options: &Options,
    ground: &Ground,
    dice: &mut Dice,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Sent>> {
    let began = Instant::now();
    let ends_at = began + options.duration;
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let client = Client::new(number, dice.fork(), &ground.door, &ground.field);
        clients.spawn(client.run(ends_at));
    }
    let mut sent = Vec::new();
    let mut next = tokio::time::interval_at((began + SAY_EVERY).into(), SAY_EVERY);
    loop {
        tokio::select! {
            ended = clients.join_next() => match ended {
                Some(ended) => sent.extend(ended??),
                None => return Ok(sent),
            },
            _ = next.tick() => say(&progress(began.elapsed(), options.duration, &ground.door)),
        }
    }
}

fn progress(elapsed: Duration, of: Duration, door: &Door) -> String {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    format!(
        "{:>3} of {} s: {} requests, {} accepted, {} without an answer",
        elapsed.as_secs(),
        of.as_secs(),
        count(&door.tally.requests),
        count(&door.tally.accepted),
        count(&door.tally.unanswered),
    )
}
