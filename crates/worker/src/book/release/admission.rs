//! Is a control command to the point, and which commands of the lane does this part of it take?

use orderly_domain::{CommandId, RejectionCode, Version};
use orderly_protocol::{Control, ControlAct, lane, limits};
use orderly_store::{LaneEntry, LaneState, LoadedLane, Pause, Releasing};

use super::{Fate, Release, Step, Steps};
use crate::book::Book;
use crate::item::Item;

/// Whether the control command fits what it finds. One that is in the middle of its release goes on without a comparison.
pub(super) fn admit(
    book: &Book,
    item: &Item,
    control: &Control,
    lane: Option<LoadedLane>,
) -> Result<Release, (RejectionCode, String)> {
    let new = Releasing {
        by: item.command_id,
        discard_through: 0,
        decided: 0,
        discarded: 0,
    };
    let lane = match (lane, &control.act) {
        (Some(lane), _) => lane,
        (None, ControlAct::Pause { .. }) => {
            let page = &book.pages[&item.order_id];
            if page.version() == Version::NONE {
                let detail = "There is no such order to pause.".to_owned();
                return Err((RejectionCode::OrderNotFound, detail));
            }
            return Ok(Release::Marked(paused(book, item, control, None)));
        }
        (None, ControlAct::Resume { .. }) => return Err(not_paused()),
        (None, _) => {
            let detail = "The order has no lane: none of its commands is parked.".to_owned();
            return Err((RejectionCode::NotParked, detail));
        }
    };
    if let Some(so_far) = lane
        .state
        .releasing
        .filter(|release| release.by == item.command_id)
    {
        return Ok(part(item, control, lane, so_far));
    }
    match &control.act {
        ControlAct::Pause { .. } => {
            let marked = paused(book, item, control, Some(lane.state));
            Ok(Release::Marked(marked))
        }
        ControlAct::Resume { pause } => resume(item, control, lane, *pause, new),
        ControlAct::Retry { head }
        | ControlAct::Skip { head }
        | ControlAct::Edit { head, .. }
        | ControlAct::Discard { head } => {
            let position = position_of_head(&lane, *head)?;
            let discard_through = match &control.act {
                ControlAct::Retry { .. } if lane.state.pause.is_some() => {
                    let detail = "The order is paused; resume it first.".to_owned();
                    return Err((RejectionCode::OrderPaused, detail));
                }
                ControlAct::Skip { .. } | ControlAct::Edit { .. } => position,
                ControlAct::Discard { .. } => lane.tail,
                _ => 0,
            };
            let new = Releasing {
                discard_through,
                ..new
            };
            Ok(part(item, control, lane, new))
        }
    }
}

fn position_of_head(lane: &LoadedLane, named: CommandId) -> Result<i64, (RejectionCode, String)> {
    let head = lane.entries.first();
    match head.filter(|_| lane.state.reason != lane::PAUSED) {
        None => {
            let detail = "Nothing in the lane has failed: its order is paused; resume it.";
            Err((RejectionCode::NotHead, detail.to_owned()))
        }
        Some(head) if head.command_id == named => Ok(head.position),
        Some(head) => {
            let detail = format!(
                "{named} is not the head of the lane; the head is {}.",
                head.command_id
            );
            Err((RejectionCode::NotHead, detail))
        }
    }
}

/// The lane of an order that is paused from now on.
fn paused(book: &Book, item: &Item, control: &Control, lane: Option<LaneState>) -> LaneState {
    let expires = match control.act {
        ControlAct::Pause { expires_in_seconds } => expires_in_seconds,
        _ => None,
    };
    let pause = Pause {
        pause_id: item.command_id,
        by: control.by.clone(),
        reason: control.reason.clone(),
        at: book.at,
        until: expires.map(|seconds| book.at + time::Duration::seconds(i64::from(seconds))),
    };
    let failed = lane.filter(|lane| lane.reason != lane::PAUSED);
    let state = failed.unwrap_or_else(|| LaneState {
        reason: lane::PAUSED.to_owned(),
        detail: control.reason.clone(),
        parked_at: book.at,
        pause: None,
        releasing: None,
    });
    LaneState {
        pause: Some(pause),
        ..state
    }
}

fn not_paused() -> (RejectionCode, String) {
    let detail = "The order is not paused, or by another pause.".to_owned();
    (RejectionCode::NotPaused, detail)
}

fn resume(
    item: &Item,
    control: &Control,
    mut lane: LoadedLane,
    named: Option<CommandId>,
    new: Releasing,
) -> Result<Release, (RejectionCode, String)> {
    let pause = lane.state.pause.take();
    let meant = |pause: &Pause| named.is_none_or(|named| named == pause.pause_id);
    if !pause.as_ref().is_some_and(meant) {
        return Err(not_paused());
    }
    if lane.state.reason == lane::PAUSED {
        return Ok(part(item, control, lane, new));
    }
    // Its head failed by itself, or another release is under way and goes on when it comes again.
    Ok(Release::Marked(lane.state))
}

/// The steps of this part, within the limits of a batch.
fn part(item: &Item, control: &Control, lane: LoadedLane, so_far: Releasing) -> Release {
    let mut steps = Vec::with_capacity(lane.entries.len() + 1);
    let mut lines = 0;
    for entry in &lane.entries {
        let discard = entry.position <= so_far.discard_through;
        if !discard && lane.state.pause.is_some() {
            break;
        }
        let step = step(item, control, entry, discard);
        if !discard {
            lines += step.item.lines();
            if lines > limits::BATCH_LINES && !steps.is_empty() {
                break;
            }
        }
        steps.push(step);
        if discard && let ControlAct::Edit { replacement, .. } = &control.act {
            let accepted_at = item.accepted_at.unwrap_or(entry.parked_at);
            let envelope =
                replacement.envelope(item.command_id, item.order_id, item.producer, accepted_at);
            let bytes = envelope.encode().into();
            let item = Item::readable(envelope, bytes, false);
            lines += item.lines();
            steps.push(Step {
                position: entry.position,
                seen_at: accepted_at,
                item,
                fate: Fate::Replace,
            });
        }
    }
    Release::Steps(Box::new(Steps {
        lane,
        so_far,
        commands: steps,
    }))
}

fn step(given: &Item, control: &Control, entry: &LaneEntry, discard: bool) -> Step {
    // The head may be old by now: whether it is too old was asked when it came, and a retry is the answer to that.
    let retried = matches!(control.act, ControlAct::Retry { head } if head == entry.command_id);
    Step {
        position: entry.position,
        seen_at: if retried {
            entry.accepted_at
        } else {
            entry.parked_at
        },
        item: Item::parked(given.order_id, entry),
        fate: if discard { Fate::Discard } else { Fate::Decide },
    }
}
