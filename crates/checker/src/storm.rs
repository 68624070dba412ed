//! The storm: producers as they are, on few orders, while processes, servers and links fail; then everything that was seen is
//! judged.
//!
//! Owns the order of things. What it places in Orderly stays there, as everything does.

use std::{
    collections::BTreeSet,
    io::BufRead,
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
pub use history::Journal;
pub use judge::{Invariant, Rules, Verdict, Violation};
pub use link::Link;
pub use report::Report;
pub use scenario::Scenario;

use crate::{dice::Dice, http::Api};
use client::Door;
use history::{Head, History, JournalLine, Only, Sent, Stopwatch};
use judge::judge;
use probe::Probe;
use queue::QueueReader;
use scenario::{Client, Field};
use subscriber::{Events, Subscriber, Watched};
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

/// Runs the storm and writes it down while it happens; `say` tells a person how far it is. When `token` is cancelled it ends
/// early, with an error.
///
/// # Errors
/// When Orderly is away for longer than a client's patience, or refuses what it must take, or the token was cancelled. What the
/// judge finds is no error.
pub async fn run(
    target: &Target<'_>,
    options: &Options,
    journal: &Journal,
    token: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    let clock = Stopwatch::start();
    let mut dice = Dice::new(options.seed);
    let head = options.head();
    journal.write(|| JournalLine::Storm(head.clone()));
    let flushing = token.child_token();
    let _flushing = flushing.clone().drop_guard();
    tokio::spawn(journal.clone().keep_flushed(flushing));
    let ground = Ground::open(target, options, clock, journal, token)?;
    let field = &ground.field;
    let stocked = field.stocked();
    let mut sufferer = match target.deployment {
        Some(deployment) => {
            let skus = stocked.iter().map(|(sku, _)| sku.clone()).collect();
            let dice = Dice::new(options.seed);
            Some(Sufferer::start(deployment, (clock, journal), dice, skus).await?)
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
    let events = Events::default();
    let mut subscribers = Vec::new();
    let mut watched = || {
        let watched = Watched::new(subscribers.len(), &events, clock, journal);
        subscribers.push(watched.clone());
        watched
    };
    for dice in [None, Some(dice.fork())] {
        let watched = watched();
        let subscriber = Subscriber::new(&target.dashboard_url, &target.api_key, watched.clone())?;
        let run = |open| subscriber.run(dice, open, reading.clone());
        opened("the event stream (GET /v1/events)", run).await?;
        watched.opened();
    }
    if let Some(url) = &target.amqp_url {
        let watched = watched();
        let reader = QueueReader::new(url, field.queue(), watched.clone());
        let run = |open| reader.run(open, reading.clone());
        opened("a queue of status events", run).await?;
        watched.opened();
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
        let kept = (clock, journal);
        resizing::resize_again_and_again(api, kept, resizing_dice, &calm).await
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
    let began = Instant::now();
    let mut history = ground.after(commands, &subscribers, dice).await?;
    say(&format!("asked in {:.1} s", began.elapsed().as_secs_f64()));
    history.resizes = resizes;
    if let Some(mut sufferer) = sufferer {
        history.faults = std::mem::take(&mut sufferer.notes);
        history.recoveries = std::mem::take(&mut sufferer.recoveries);
        sufferer.end().await?;
    }
    let seconds = (stormed.as_secs_f64() * 100.0).round() / 100.0;
    history.read_after(Only::default(), |line| journal.write(|| line));
    journal.write(|| JournalLine::End { seconds });
    journal.finish().context("write the history")?;
    say("judging …");
    let began = Instant::now();
    let verdicts = judge(&history, options.rules);
    let report = Report::new(&head, Some(seconds), &history, verdicts);
    say(&format!("judged in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(report)
}

/// A history from its file, judged.
#[derive(Debug)]
pub struct Judged {
    /// What was found.
    pub report: Report,
    /// Whether the last line was torn, and is left out.
    pub is_torn: bool,
}

/// Judges the file of a history again. Of a storm that was killed, what can be told from what was seen until then.
///
/// # Errors
/// When it is none.
pub fn judge_again(file: impl BufRead) -> Result<Judged> {
    let mut kept = history::read(file)?;
    let rules = Rules {
        parked_is_allowed: kept.head.parked_is_allowed,
    };
    let verdicts = if kept.seconds.is_some() {
        judge(&kept.history, rules)
    } else {
        kept.history.keep_what_was_seen();
        judge::judge_what_was_seen(&kept.history)
    };
    Ok(Judged {
        report: Report::new(&kept.head, kept.seconds, &kept.history, verdicts),
        is_torn: kept.is_torn,
    })
}

impl Options {
    fn head(&self) -> Head {
        Head {
            scenario: self.scenario.as_str().to_owned(),
            seed: self.seed,
            clients: self.clients,
            parked_is_allowed: self.rules.parked_is_allowed,
        }
    }
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
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<Self> {
        let (ingress, key) = (target.ingress_url.as_str(), target.api_key.as_str());
        Ok(Self {
            api: Api::new(ingress, &target.dashboard_url, key, token)?,
            door: Arc::new(Door::new(ingress, key, clock, journal, token)?),
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
            // What the streams have by now, the API must show from now on.
            if !account::read_again(api, &mut history.orders, subscribers).await? {
                break;
            }
        }
        let is_ours = |order: &Uuid| history.orders.contains_key(order);
        let streams = subscribers.iter().map(|it| it.close(is_ours));
        history.streams = streams.collect();
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
