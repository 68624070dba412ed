//! What a control command would do, in memory, against what the database holds now. Nothing is written, and by the time of the real
//! one the order or its stock may be another. What the database would refuse, or what came too old to be decided without being asked
//! for, is not found out here.

use std::collections::BTreeSet;

use orderly_domain::{
    CommandId, Decision, Order, OrderId, Sku, StockLevels, decide, evolve, guarded, movements,
};
use orderly_http::ProblemResponse;
use orderly_protocol::ids::replacement_id;
use orderly_protocol::{
    ControlAct, Envelope, Problem, ProblemCode, Timestamp, describe_faults, ids, lane,
    parse_order_state,
};
use orderly_store::{LaneEntry, Store};
use serde::Serialize;

use super::show::no_lane;
use crate::failure::database;

/// Commands rehearsed at the most: enough to see where it stops.
const MOST: u32 = 100;

/// What would happen.
#[derive(Serialize)]
pub(super) struct Rehearsal {
    dry_run: bool,
    order_id: String,
    /// In order, the first ones.
    would: Vec<Fate>,
    /// Commands that would stay in the lane, or were not rehearsed.
    waiting: i64,
}

#[derive(Serialize)]
struct Fate {
    command_id: String,
    #[serde(rename = "type")]
    action_type: String,
    /// `applied`, `rejected`, `discarded` or `parked`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

pub(super) async fn rehearse(
    store: &Store,
    order_id: OrderId,
    act: &ControlAct,
) -> Result<Rehearsal, ProblemResponse> {
    let found = store.lane(order_id).await.map_err(database)?;
    let found = found.ok_or_else(|| no_lane(order_id))?;
    let entries = store
        .lane_entries(order_id, 0, MOST)
        .await
        .map_err(database)?;
    check_head(&found, act)?;
    let steps = steps(order_id, act, &entries);
    let mut stage = Stage::set(store, order_id, &steps).await?;
    let paused = found.state.pause.is_some();
    let mut would = Vec::new();
    let mut gone = 0;
    for step in &steps {
        let fate = match step {
            Step::Discard(entry) => Fate::new(entry.command_id, &entry.action_type, "discarded"),
            Step::Decide(..) if paused => break,
            Step::Decide(id, envelope, action_type) => stage.decide(*id, envelope, action_type),
        };
        let parked = fate.outcome == "parked";
        would.push(fate);
        if parked {
            break;
        }
        gone += 1;
    }
    let edited = matches!(act, ControlAct::Edit { .. });
    Ok(Rehearsal {
        dry_run: true,
        order_id: order_id.to_string(),
        would,
        waiting: found.commands + i64::from(edited) - gone,
    })
}

/// As the worker compares it.
fn check_head(found: &orderly_store::Lane, act: &ControlAct) -> Result<(), ProblemResponse> {
    let named = match act {
        ControlAct::Retry { head }
        | ControlAct::Skip { head }
        | ControlAct::Edit { head, .. }
        | ControlAct::Discard { head } => *head,
        ControlAct::Pause { .. } | ControlAct::Resume { .. } => return Ok(()),
    };
    let head = found
        .head
        .as_ref()
        .filter(|_| found.state.reason != lane::PAUSED);
    let refuse = |detail: String| Err(Problem::new(ProblemCode::NotHead, detail).into());
    match head {
        Some(head) if head.command_id == named => Ok(()),
        Some(head) => refuse(format!("the head of the lane is {}", head.command_id)),
        None => refuse("nothing in the lane has failed".to_owned()),
    }
}

enum Step<'a> {
    Discard(&'a LaneEntry),
    Decide(CommandId, Vec<u8>, String),
}

fn steps<'a>(order_id: OrderId, act: &ControlAct, entries: &'a [LaneEntry]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let discard = match act {
            ControlAct::Discard { .. } => true,
            ControlAct::Skip { .. } | ControlAct::Edit { .. } => place == 0,
            _ => false,
        };
        if !discard {
            let envelope = entry.envelope.clone();
            steps.push(Step::Decide(
                entry.command_id,
                envelope,
                entry.action_type.clone(),
            ));
            continue;
        }
        steps.push(Step::Discard(entry));
        if let ControlAct::Edit { replacement, .. } = act {
            let id = replacement_id(ids::mint_command_id());
            let now = Timestamp::now_utc();
            let envelope = replacement.envelope(id, order_id, ids::OPERATIONS_PRODUCER, now);
            let action_type = replacement.action_type.clone();
            steps.push(Step::Decide(
                envelope.command_id,
                envelope.encode(),
                action_type,
            ));
        }
    }
    steps
}

/// The order and the stock that the commands look at.
struct Stage {
    order_id: OrderId,
    order: Result<Option<Order>, String>,
    stock: StockLevels,
}

impl Stage {
    async fn set(
        store: &Store,
        order_id: OrderId,
        steps: &[Step<'_>],
    ) -> Result<Self, ProblemResponse> {
        let row = store.order(order_id).await.map_err(database)?;
        let order = row.map(|row| match guarded(|| parse_order_state(&row.state)) {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(panic) => Err(panic),
        });
        let order = order.transpose();
        let mut skus: BTreeSet<Sku> = BTreeSet::new();
        if let Ok(Some(order)) = &order {
            skus.extend(order.skus().cloned());
        }
        for step in steps {
            if let Step::Decide(_, envelope, _) = step
                && let Ok(envelope) = Envelope::decode(envelope)
                && let Ok(Ok(command)) = guarded(|| envelope.command())
            {
                skus.extend(command.action.skus().cloned());
            }
        }
        let mut stock = StockLevels::default();
        for sku in skus {
            let row = store.stock(&sku).await.map_err(database)?;
            stock.insert(sku, row.map(|row| row.level));
        }
        Ok(Self {
            order_id,
            order,
            stock,
        })
    }

    fn decide(&mut self, id: CommandId, envelope: &[u8], action_type: &str) -> Fate {
        match self.try_decide(envelope) {
            Ok(None) => Fate::new(id, action_type, "applied"),
            Ok(Some((code, detail))) => Fate {
                code: Some(code),
                detail: Some(detail),
                ..Fate::new(id, action_type, "rejected")
            },
            Err(detail) => Fate {
                detail: Some(detail),
                ..Fate::new(id, action_type, "parked")
            },
        }
    }

    /// Code and detail of a rejection; or why it cannot be decided.
    fn try_decide(&mut self, envelope: &[u8]) -> Result<Option<(String, String)>, String> {
        let envelope = Envelope::decode(envelope).map_err(|error| error.to_string())?;
        let command = guarded(|| envelope.command())?;
        let command = command.map_err(|faults| describe_faults(&faults))?;
        let before = self.order.as_ref().map_err(Clone::clone)?.as_ref();
        let decision = guarded(|| decide(before, &self.stock, &command))?;
        match decision.map_err(|missing| missing.to_string())? {
            Decision::Rejected(rejection) => {
                Ok(Some((rejection.code.as_str().to_owned(), rejection.detail)))
            }
            Decision::Applied(event) => {
                let after = guarded(|| evolve(before, self.order_id, &event))?;
                let after = after.map_err(|error| error.to_string())?;
                for movement in movements(before, &event) {
                    let moved = self.stock.apply(&movement);
                    moved.map_err(|error| error.to_string())?;
                }
                self.order = Ok(Some(after));
                Ok(None)
            }
        }
    }
}

impl Fate {
    fn new(command_id: CommandId, action_type: &str, outcome: &'static str) -> Self {
        Self {
            command_id: command_id.to_string(),
            action_type: action_type.to_owned(),
            outcome,
            code: None,
            detail: None,
        }
    }
}
