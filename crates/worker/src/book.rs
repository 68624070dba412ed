//! What a batch knows and decides in memory: orders, lanes, stock and outcomes, and what must be written of them.
//!
//! Invariant: commands are taken strictly one after the other, and each sees what the one before it left.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use orderly_domain::{
    CommandId, Decision, Event, Order, OrderId, Rejection, Sku, SkuNotLoaded, StockLevels, Version,
    decide, evolve, guarded, movements,
};
use orderly_protocol::{
    Outcome, RecordedEvent, RejectionBody, Reply, ShardId, Timestamp, event_data,
};
use orderly_store::{
    Conflict, DeadLetter, Found, Known, LoadedOrder, NewEvent, NewOutcome, Parked, ParkedReason,
    StockWriteRow, Writes,
};
use sha2::{Digest, Sha256};

use crate::intake::{Batch, Work};
use crate::item::{Item, Undecidable};
use crate::skip::SkipUndecidable;

mod page;
mod release;

use page::Page;
pub(crate) use release::Release;

/// Outcomes are kept for 30 days at least. A command accepted longer ago than that, less a day of margin between clocks and
/// clean-up, may have had one that is gone.
const OLDEST_UNDECIDED: Duration = Duration::from_hours(29 * 24);

/// One batch's memory.
pub(crate) struct Book {
    shard: ShardId,
    at: Timestamp,
    /// Ids taken before this batch.
    known: HashMap<CommandId, Known>,
    /// Ids taken by this batch.
    taken: HashMap<CommandId, Known>,
    pages: HashMap<OrderId, Page>,
    stock: StockLevels,
    moved: BTreeSet<Sku>,
    /// In whose delivery everything of this batch is written, if it is not each command's own.
    released_by: Option<CommandId>,
    writes: Writes,
    effects: Effects,
}

/// What must follow the commit.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Answers to waiting ingress processes: queue and reply.
    pub(crate) replies: Vec<(String, Reply)>,
    /// Commands whose order lives on another shard, in order.
    pub(crate) forwards: Vec<(Option<OrderId>, bytes::Bytes)>,
    /// Commands that were known already.
    pub(crate) duplicates: u64,
}

impl Book {
    pub(crate) fn new(shard: ShardId, at: Timestamp, found: Found) -> Self {
        let mut book = Self {
            shard,
            at,
            known: found
                .known
                .into_iter()
                .map(|known| (known.command_id, known))
                .collect(),
            taken: HashMap::new(),
            pages: HashMap::new(),
            stock: StockLevels::default(),
            moved: BTreeSet::new(),
            released_by: None,
            writes: Writes::default(),
            effects: Effects::default(),
        };
        book.open(found.orders);
        book
    }

    /// Commands that an earlier delivery took: it may have died between its commit and its publish. Not those that this
    /// batch takes itself, whose events are new, and not another request under a used id: it never made an event, and the
    /// events of its id may be another shard's, to be published there in their order.
    pub(crate) fn taken_by_earlier_deliveries(&self, batch: &Batch) -> Vec<CommandId> {
        let owns = |item: &&Item| {
            let known = self.known.get(&item.command_id);
            known.is_some_and(|known| known.fingerprint == item.fingerprint)
        };
        let again = batch.items().filter(|item| item.redelivered).filter(owns);
        again.map(|item| item.command_id).collect()
    }

    fn open(&mut self, loaded: Vec<LoadedOrder>) {
        let pages = loaded
            .into_iter()
            .map(|found| (found.order_id, Page::of(found)));
        self.pages.extend(pages);
    }

    /// Every SKU that a decision about these can look at or move, in SKU order, each once.
    pub(crate) fn wanted_skus<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Vec<Sku> {
        let mut wanted = BTreeSet::new();
        for item in items {
            let (Ok(command), Some(page)) = (&item.command, self.pages.get(&item.order_id)) else {
                continue;
            };
            if self.known.contains_key(&item.command_id) {
                continue;
            }
            if command.action.touches_stock() {
                wanted.extend(command.action.skus().cloned());
                if let Ok(Some(order)) = &page.order {
                    wanted.extend(order.skus().cloned());
                }
            }
        }
        wanted.into_iter().collect()
    }

    pub(crate) fn stock(&mut self, levels: StockLevels) {
        self.stock = levels;
    }

    /// Takes the batch's work, one after the other.
    pub(crate) fn decide(
        &mut self,
        batch: &Batch,
        skip: &SkipUndecidable,
    ) -> Result<(), SkuNotLoaded> {
        for work in &batch.work {
            match work {
                Work::Command(item) => self.take(item, skip)?,
                // Recorded by `process`: no command, no order.
                Work::Marker(_) => {}
                Work::Control(_) => unreachable!("a control command is a batch of its own kind"),
                Work::Foreign { order_id, bytes } => {
                    self.effects.forwards.push((Some(*order_id), bytes.clone()));
                }
                Work::Unreadable {
                    bytes,
                    headers,
                    detail,
                } => {
                    self.writes.dead_letters.push(DeadLetter {
                        body_hash: Sha256::digest(bytes).into(),
                        body: bytes.to_vec(),
                        headers: headers.clone(),
                        reason: "unreadable",
                        detail: detail.clone(),
                        shard: self.shard,
                    });
                }
            }
        }
        Ok(())
    }

    /// One command: known, behind its lane, undecidable, or decided.
    fn take(&mut self, item: &Item, skip: &SkipUndecidable) -> Result<(), SkuNotLoaded> {
        let known = self
            .known
            .get(&item.command_id)
            .or_else(|| self.taken.get(&item.command_id));
        if let Some(known) = known.cloned() {
            self.repeat(item, &known);
            return Ok(());
        }
        let page = self
            .pages
            .get(&item.order_id)
            .expect("the order of an unknown command is loaded");
        if page.lane_tail.is_some() {
            self.park(item, None);
            return Ok(());
        }
        match self.judge(item, self.at) {
            Err(reason) if skip.contains(&item.action_type) => self.skip(item, reason),
            Err(reason) => self.park(item, Some(reason)),
            Ok(judgement) => self.record(item, judgement)?,
        }
        Ok(())
    }

    fn record(&mut self, item: &Item, judgement: Judgement) -> Result<(), SkuNotLoaded> {
        match judgement {
            Judgement::Applied { event, after } => self.record_applied(item, &event, *after),
            Judgement::Rejected(rejection) => self.record_rejected(item, &rejection),
            Judgement::NotLoaded(missing) => return Err(missing),
        }
        Ok(())
    }

    /// Decides without changing anything yet. The command was seen to have no outcome at `seen_at`.
    fn judge(&self, item: &Item, seen_at: Timestamp) -> Result<Judgement, Undecidable> {
        let command = item.command.as_ref().map_err(Clone::clone)?;
        if let Some(accepted_at) = item.accepted_at
            && seen_at - accepted_at > OLDEST_UNDECIDED
        {
            return Err(Undecidable {
                code: "accepted_too_long_ago",
                detail: format!(
                    "it was accepted at {accepted_at}, and outcomes that old may be gone: whether it was applied cannot be told"
                ),
            });
        }
        let page = &self.pages[&item.order_id];
        let before = page.order.as_ref().map_err(Clone::clone)?.as_ref();
        let panicked = |message| Undecidable {
            code: "decision_panicked",
            detail: message,
        };
        match guarded(|| decide(before, &self.stock, command)).map_err(panicked)? {
            Err(missing) => Ok(Judgement::NotLoaded(missing)),
            Ok(Decision::Rejected(rejection)) => Ok(Judgement::Rejected(rejection)),
            Ok(Decision::Applied(event)) => {
                let after = guarded(|| evolve(before, item.order_id, &event))
                    .map_err(panicked)?
                    .map_err(|error| Undecidable {
                        code: "event_does_not_fit",
                        detail: error.to_string(),
                    })?;
                Ok(Judgement::Applied {
                    event,
                    after: Box::new(after),
                })
            }
        }
    }

    fn record_applied(&mut self, item: &Item, event: &Event, after: Order) {
        let page = self
            .pages
            .get_mut(&item.order_id)
            .expect("a decided order is loaded");
        let before = page.order.as_ref().ok().and_then(Option::as_ref);
        for movement in movements(before, event) {
            self.stock
                .apply(&movement)
                .expect("a decision moves only stock that it looked at");
            self.moved.insert(movement.sku.clone());
            self.writes
                .movements
                .push((item.order_id, after.version, movement));
        }
        self.writes.events.push(NewEvent {
            event: RecordedEvent {
                order_id: item.order_id,
                version: after.version,
                command_id: item.command_id,
                event_type: event.name().to_owned(),
                data: event_data(&after, event),
                recorded_at: self.at,
                traceparent: item.traceparent.clone(),
            },
            delivery_id: self.released_by.unwrap_or(item.command_id),
        });
        let version = after.version;
        page.order = Ok(Some(after));
        page.changed = true;
        self.record_outcome(item, Outcome::Applied, version, None);
    }

    fn record_rejected(&mut self, item: &Item, rejection: &Rejection) {
        let page = &self.pages[&item.order_id];
        let order = page.order.as_ref().ok().and_then(Option::as_ref);
        let body = RejectionBody::new(rejection, order);
        self.record_outcome(item, Outcome::Rejected, rejection.version, Some(body));
    }

    fn record_outcome(
        &mut self,
        item: &Item,
        outcome: Outcome,
        version: Version,
        rejection: Option<RejectionBody>,
    ) {
        let known = Known {
            command_id: item.command_id,
            fingerprint: item.fingerprint,
            outcome: Some((
                outcome,
                version,
                rejection.as_ref().map(|body| body.code.clone()),
            )),
        };
        self.answer(item, &known);
        self.taken.insert(item.command_id, known);
        self.writes.outcomes.push(NewOutcome {
            command_id: item.command_id,
            order_id: item.order_id,
            producer: item.producer,
            action_type: item.action_type.clone(),
            fingerprint: item.fingerprint,
            outcome,
            version,
            rejection,
            accepted_at: item.accepted_at.unwrap_or(self.at),
        });
    }

    /// The command is given up, so that its order goes on without it.
    fn skip(&mut self, item: &Item, why: Undecidable) {
        let version = self.pages[&item.order_id].version();
        let rejection = discarded(why.code, why.detail);
        self.record_outcome(item, Outcome::Discarded, version, Some(rejection));
    }

    /// The command joins its order's lane; with a reason, as its head.
    fn park(&mut self, item: &Item, reason: Option<Undecidable>) {
        let page = self
            .pages
            .get_mut(&item.order_id)
            .expect("a parked command's order is loaded");
        let position = page.lane_tail.unwrap_or(0) + 1;
        page.lane_tail = Some(position);
        let known = Known {
            command_id: item.command_id,
            fingerprint: item.fingerprint,
            outcome: None,
        };
        self.taken.insert(item.command_id, known);
        self.writes.parked.push(Parked {
            order_id: item.order_id,
            position,
            reason: reason.map(|why| ParkedReason {
                code: why.code,
                detail: why.detail,
            }),
            command_id: item.command_id,
            producer: item.producer,
            action_type: item.action_type.clone(),
            fingerprint: item.fingerprint,
            envelope: item.bytes.to_vec(),
            accepted_at: item.accepted_at.unwrap_or(self.at),
        });
    }

    /// A command id that is taken: the same request is answered from the record, another one is a conflict.
    fn repeat(&mut self, item: &Item, known: &Known) {
        self.effects.duplicates += 1;
        if item.fingerprint != known.fingerprint {
            self.writes.conflicts.push(Conflict {
                command_id: item.command_id,
                fingerprint: item.fingerprint,
                order_id: item.order_id,
                producer: item.producer,
                action_type: item.action_type.clone(),
                accepted_at: item.accepted_at.unwrap_or(self.at),
            });
        }
        self.answer(item, known);
    }

    /// The reply names the fingerprint that owns the outcome, so that a waiter of another request can tell.
    fn answer(&mut self, item: &Item, known: &Known) {
        if let (Some(queue), Some((outcome, version, code))) = (&item.reply_to, &known.outcome) {
            let reply = Reply {
                command_id: item.command_id,
                fingerprint: known.fingerprint,
                outcome: *outcome,
                code: code.clone(),
                order_id: item.order_id,
                version: *version,
            };
            self.effects.replies.push((queue.clone(), reply));
        }
    }

    /// Closes the book: what to write, and what must follow the commit.
    pub(crate) fn close(mut self) -> (Writes, Effects) {
        self.writes.orders = self.pages.values().filter_map(Page::write).collect();
        self.writes.stock = self
            .moved
            .iter()
            .filter_map(|sku| {
                let level = self.stock.level(sku).ok().flatten()?;
                Some(StockWriteRow {
                    sku: sku.clone(),
                    level,
                })
            })
            .collect();
        (self.writes, self.effects)
    }
}

/// Why a command was not applied, if no rule of an order says so.
fn discarded(code: &str, detail: String) -> RejectionBody {
    RejectionBody {
        code: code.to_owned(),
        detail,
        errors: Vec::new(),
        allowed_commands: Vec::new(),
    }
}

enum Judgement {
    Applied { event: Event, after: Box<Order> },
    Rejected(Rejection),
    NotLoaded(SkuNotLoaded),
}
