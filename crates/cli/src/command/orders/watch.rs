//! `orderly orders watch`: orders as they change, through lost connections and restarts of the server.
//!
//! Of one order nothing is missed: the stream tells that something happened, and what a gap in its versions hides is read
//! from the order's history. Of all orders at once, what the server no longer has is told and left out.

use std::num::NonZeroUsize;

use anyhow::Context;
use lru::LruCache;
use orderly_domain::Status;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    client::{Call, Client, ClientFlags, EventFeed, FeedStart},
    command::{
        filter,
        follow::{Heard, Listener},
        history::{self, version},
    },
    exit::Exit,
    output::{Format, RowStream},
};

/// Watch orders change, or one order until it is where it should be
///
/// Goes on until Ctrl-C, which is its normal end (exit code 0), and reconnects by itself. With --until, it ends when the
/// order has reached the status, now or before; it exits with 6 if the order can no longer reach it, and with 3 if it was
/// ended before.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly orders watch                                                 all orders, from now on
  orderly orders watch --status cancelled --status returned
  orderly orders watch 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f --history  what happened, and goes on
  orderly orders watch 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f --until delivered && echo delivered")]
pub(super) struct WatchArgs {
    /// Order to watch; without one, all orders
    #[arg(value_parser = filter::order_id)]
    order_id: Option<Uuid>,
    /// Show only what leaves an order in this status; may be given several times
    #[arg(long, value_parser = filter::status)]
    status: Vec<Status>,
    /// Show only events of this type, such as shipped; may be given several times
    #[arg(long = "type", value_name = "EVENT", value_parser = filter::event_type)]
    types: Vec<String>,
    /// First show everything that happened to the order, not only the last of it
    #[arg(long, requires = "order_id")]
    history: bool,
    /// End when the order has reached this status; final stands for cancelled and returned
    #[arg(long, value_name = "STATUS|final", requires = "order_id", value_parser = goal)]
    until: Option<Goal>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Status(Status),
    Final,
}

fn goal(text: &str) -> Result<Goal, String> {
    match text {
        "final" => Ok(Goal::Final),
        text => filter::status(text)
            .map(Goal::Status)
            .map_err(|known| format!("final, or {known}")),
    }
}

/// Orders whose last version is kept: an event that is told again comes soon after its first copy, long before so many
/// other orders have changed.
const REMEMBERED_ORDERS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

pub(super) async fn run(args: WatchArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let rows = history::event_rows(format);
    match args.order_id {
        Some(order_id) => {
            let watch = OneOrder {
                client,
                order_id,
                seen: 0,
                status: None,
                args,
                rows,
            };
            watch.run().await
        }
        None => all_orders(client, &args, rows).await,
    }
}

async fn all_orders(
    client: Client,
    args: &WatchArgs,
    mut rows: RowStream<5>,
) -> anyhow::Result<Exit> {
    let types = args.types.iter().map(|name| ("type", name.clone()));
    let feed = EventFeed::open(client, types.collect(), FeedStart::Next).await?;
    let mut listener = Listener::new(feed)?;
    let mut last_versions = LruCache::new(REMEMBERED_ORDERS);
    loop {
        match listener.next().await? {
            Heard::Event { event, .. } => {
                let order_id = event["data"]["order_id"].to_string();
                let last = last_versions.get_or_insert_mut(order_id, || 0);
                if version(&event) > *last {
                    *last = version(&event);
                    if args.shows(&event) {
                        rows.print(&event)?;
                    }
                }
            }
            Heard::Gap => {}
            Heard::Signal => {
                rows.finish()?;
                return Ok(Exit::Ok);
            }
        }
    }
}

impl WatchArgs {
    fn shows(&self, event: &Value) -> bool {
        let of = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let status = of("/data/status").and_then(Status::parse);
        let event_type = of("/type").unwrap_or_default();
        (self.status.is_empty() || status.is_some_and(|status| self.status.contains(&status)))
            && (self.types.is_empty() || self.types.iter().any(|name| name == event_type))
    }
}

/// Follows one order.
struct OneOrder {
    client: Client,
    order_id: Uuid,
    /// The last version that was seen.
    seen: u64,
    /// Its status then.
    status: Option<Status>,
    args: WatchArgs,
    rows: RowStream<5>,
}

impl OneOrder {
    async fn run(mut self) -> anyhow::Result<Exit> {
        // Before the order is read: what happens in between is told by the stream.
        let filter = vec![("order_id", self.order_id.to_string())];
        let feed = EventFeed::open(self.client.clone(), filter, FeedStart::Next).await?;
        let mut listener = Listener::new(feed)?;
        let end = match self.begin().await? {
            Some(end) => end,
            None => self.follow(&mut listener).await?,
        };
        self.rows.finish()?;
        Ok(end)
    }

    /// What happened so far: all of it is looked at if it is to be shown, or if the goal may have been reached before.
    async fn begin(&mut self) -> anyhow::Result<Option<Exit>> {
        let path = format!("/v1/orders/{}", self.order_id);
        let order = self.client.fetch(&Call::get(&path)).await?;
        let version = order.get("version").and_then(Value::as_u64);
        let version = version.context("the order has no version")?;
        let whole = self.args.history || self.args.until.is_some();
        let after = if whole { 0 } else { version - 1 };
        let events = history::events_after(&self.client, self.order_id, after).await?;
        let last = events.len().saturating_sub(1);
        let mut end = None;
        for (index, event) in events.iter().enumerate() {
            let show = self.args.history || index == last;
            end = end.or(self.see(event, show)?);
        }
        Ok(end.or_else(|| self.hopeless()))
    }

    async fn follow(&mut self, listener: &mut Listener) -> anyhow::Result<Exit> {
        loop {
            let events = match listener.next().await? {
                Heard::Signal if self.args.until.is_some() => {
                    eprintln!("ended before the order was where it should be");
                    return Ok(Exit::Partly);
                }
                Heard::Signal => return Ok(Exit::Ok),
                Heard::Event { event, .. } if version(&event) <= self.seen + 1 => vec![event],
                // Something between was not told.
                Heard::Event { .. } | Heard::Gap => {
                    history::events_after(&self.client, self.order_id, self.seen).await?
                }
            };
            for event in events {
                if version(&event) > self.seen
                    && let Some(end) = self.see(&event, true)?
                {
                    return Ok(end);
                }
            }
            if let Some(end) = self.hopeless() {
                return Ok(end);
            }
        }
    }

    /// Takes an event in, and says whether the goal is reached.
    fn see(&mut self, event: &Value, show: bool) -> anyhow::Result<Option<Exit>> {
        self.seen = version(event);
        let status = event.pointer("/data/status").and_then(Value::as_str);
        self.status = status.and_then(Status::parse);
        if show && self.args.shows(event) {
            self.rows.print(event)?;
        }
        let reached = match (self.args.until, self.status) {
            (Some(Goal::Status(goal)), Some(status)) => goal == status,
            (Some(Goal::Final), Some(status)) => status.is_final(),
            _ => false,
        };
        Ok(reached.then_some(Exit::Ok))
    }

    /// Whether the goal can no longer be reached.
    fn hopeless(&self) -> Option<Exit> {
        let (Goal::Status(goal), status) = (self.args.until?, self.status?) else {
            return None;
        };
        status.is_final().then(|| {
            let (goal, status) = (goal.as_str(), status.as_str());
            eprintln!("the order is {status} for good and was never {goal}");
            Exit::Conflict
        })
    }
}
