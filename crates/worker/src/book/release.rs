//! What a control command does with its order's lane, in memory: is it to the point, which commands does this part take, and
//! what becomes of each.
//!
//! Commands leave a lane at its head, in order. The first positions of a release may be discarded, everything behind them is
//! decided, until one cannot be: that one is the new head.

use orderly_domain::{CommandId, SkuNotLoaded};
use orderly_protocol::{ControlAct, Outcome, RejectionBody, Timestamp, lane};
use orderly_store::{ControlRecord, Found, LaneState, LaneWrite, LoadedLane, Parked, Releasing};

use super::{Book, discarded};
use crate::item::{ControlItem, Item, Part, Undecidable};

mod admission;

use admission::admit;

/// A control command with its part of the lane.
pub(crate) enum Release {
    /// It was done before.
    Known,
    /// It is not to the point.
    Refused(RejectionBody),
    /// It changes why the lane is there, and releases nothing.
    Marked(LaneState),
    /// It takes these commands out of the lane.
    Steps(Box<Steps>),
}

/// One part of a release.
pub(crate) struct Steps {
    lane: LoadedLane,
    /// What it did before, in this delivery or an earlier one, and how far it discards.
    so_far: Releasing,
    commands: Vec<Step>,
}

/// What becomes of one command of the lane.
struct Step {
    position: i64,
    /// When the command was seen to have no outcome.
    seen_at: Timestamp,
    item: Item,
    fate: Fate,
}

enum Fate {
    Discard,
    Decide,
    /// Takes the place of the one before it.
    Replace,
}

impl Release {
    pub(crate) fn of(book: &Book, given: &ControlItem, lane: Option<LoadedLane>) -> Self {
        if book.known.contains_key(&given.item.command_id) {
            return Self::Known;
        }
        let control = match &given.control {
            Ok(control) => control,
            Err(why) => return Self::Refused(discarded(why.code, why.detail.clone())),
        };
        match admit(book, &given.item, control, lane) {
            Ok(release) => release,
            Err((code, detail)) => Self::Refused(discarded(code.as_str(), detail)),
        }
    }

    /// The commands that this part takes out of the lane.
    pub(crate) fn command_ids(&self) -> Vec<CommandId> {
        self.steps()
            .iter()
            .map(|step| step.item.command_id)
            .collect()
    }

    /// Those of them that are decided.
    pub(crate) fn to_decide(&self) -> impl Iterator<Item = &Item> {
        let steps = self.steps().iter();
        let decided = steps.filter(|step| !matches!(step.fate, Fate::Discard));
        decided.map(|step| &step.item)
    }

    fn steps(&self) -> &[Step] {
        match self {
            Self::Steps(part) => &part.commands,
            Self::Known | Self::Refused(_) | Self::Marked(_) => &[],
        }
    }
}

impl Book {
    /// Takes note of commands in the lane that were decided elsewhere. That they are parked is known.
    pub(crate) fn found_decided(&mut self, found: Found) {
        let decided = found
            .known
            .into_iter()
            .filter(|known| known.outcome.is_some());
        self.known
            .extend(decided.map(|known| (known.command_id, known)));
    }

    /// The control command, if an earlier delivery of it may have done something.
    pub(crate) fn delivered_before(&self, item: &Item) -> Vec<CommandId> {
        let known = self.known.get(&item.command_id);
        let owns = known.is_none_or(|known| known.fingerprint == item.fingerprint);
        let again = item.redelivered && owns;
        again.then_some(item.command_id).into_iter().collect()
    }

    /// Does this part of a control command. Whether more is to come.
    pub(crate) fn control(
        &mut self,
        given: &ControlItem,
        release: Release,
    ) -> Result<bool, SkuNotLoaded> {
        let item = &given.item;
        match release {
            Release::Known => {
                let known = self.known[&item.command_id].clone();
                self.repeat(item, &known);
                Ok(false)
            }
            Release::Refused(rejection) => {
                self.end_control(given, Outcome::Rejected, Some(rejection), [0; 3]);
                Ok(false)
            }
            Release::Marked(state) => {
                self.leave(item, Vec::new(), Some(state));
                self.end_control(given, Outcome::Applied, None, [0; 3]);
                Ok(false)
            }
            Release::Steps(part) => self.release(given, *part),
        }
    }

    fn release(&mut self, given: &ControlItem, part: Steps) -> Result<bool, SkuNotLoaded> {
        let Steps {
            lane,
            mut so_far,
            commands: steps,
        } = part;
        let LoadedLane {
            state, commands, ..
        } = lane;
        let item = &given.item;
        self.released_by = Some(item.command_id);
        let mut removed = Vec::new();
        let mut failed = None;
        let mut given_up = match &given.part {
            Part::GivenUp(why) => Some(why.clone()),
            Part::Full | Part::One => None,
        };
        let paused = state.pause.is_some();
        let mut waiting = commands;
        for step in &steps {
            if matches!(step.fate, Fate::Discard) {
                self.discard(given, &step.item);
                so_far.discarded += 1;
            } else if paused {
                // A replacement waits in the place of what it replaces.
                self.put(step);
                waiting += 1;
                continue;
            } else if let Some(why) = self.decide_released(step, given_up.take())? {
                if matches!(step.fate, Fate::Replace) {
                    self.put(step);
                    waiting += 1;
                }
                failed = Some(why);
                break;
            } else {
                so_far.decided += 1;
            }
            if !matches!(step.fate, Fate::Replace) {
                removed.push(step.position);
                waiting -= 1;
            }
        }
        let through = steps.last().map_or(i64::MAX, |step| step.position);
        let ended =
            failed.is_some() || waiting == 0 || (paused && through >= so_far.discard_through);
        let left = self.left(state, failed, so_far, waiting, ended);
        self.leave(item, removed, left);
        if ended {
            let counts = [so_far.decided, so_far.discarded, waiting];
            self.end_control(given, Outcome::Applied, None, counts);
        }
        Ok(!ended)
    }

    /// What the lane is behind this part.
    fn left(
        &self,
        state: LaneState,
        failed: Option<Undecidable>,
        so_far: Releasing,
        waiting: i64,
        ended: bool,
    ) -> Option<LaneState> {
        let (reason, detail) = match (failed, &state.pause) {
            (Some(why), _) => (why.code, why.detail),
            (None, Some(pause)) if ended => (lane::PAUSED, pause.reason.clone()),
            (None, _) if waiting == 0 => return None,
            (None, _) => (lane::RELEASING, format!("{} releases it", so_far.by)),
        };
        Some(LaneState {
            reason: reason.to_owned(),
            detail,
            parked_at: self.at,
            pause: state.pause,
            releasing: (!ended).then_some(so_far),
        })
    }

    /// Decides a command of the lane; or says why that is not possible.
    fn decide_released(
        &mut self,
        step: &Step,
        given_up: Option<Undecidable>,
    ) -> Result<Option<Undecidable>, SkuNotLoaded> {
        if let Some(known) = self.known.get(&step.item.command_id).cloned() {
            self.repeat(&step.item, &known);
            return Ok(None);
        }
        if given_up.is_some() {
            return Ok(given_up);
        }
        match self.judge(&step.item, step.seen_at) {
            Err(why) => Ok(Some(why)),
            Ok(judgement) => self.record(&step.item, judgement).map(|()| None),
        }
    }

    fn discard(&mut self, given: &ControlItem, item: &Item) {
        if let Some(known) = self.known.get(&item.command_id).cloned() {
            self.repeat(item, &known);
            return;
        }
        let control = given.control.as_ref();
        let control = control.expect("what cannot be read discards nothing");
        let (code, did) = match control.act {
            ControlAct::Skip { .. } => ("skipped", "skipped it"),
            ControlAct::Edit { .. } => ("superseded", "replaced it by another command"),
            _ => ("discarded", "discarded it"),
        };
        let detail = format!("{} {did}: {}", control.by, control.reason);
        let version = self.pages[&item.order_id].version();
        let rejection = Some(discarded(code, detail));
        self.record_outcome(item, Outcome::Discarded, version, rejection);
    }

    /// A replacement that is not decided now joins the lane, in the place of what it replaces.
    fn put(&mut self, step: &Step) {
        let item = &step.item;
        self.writes.parked.push(Parked {
            order_id: item.order_id,
            position: step.position,
            reason: None,
            command_id: item.command_id,
            producer: item.producer,
            action_type: item.action_type.clone(),
            fingerprint: item.fingerprint,
            envelope: item.bytes.to_vec(),
            accepted_at: item.accepted_at.unwrap_or(self.at),
        });
    }

    fn leave(&mut self, item: &Item, removed: Vec<i64>, left: Option<LaneState>) {
        self.writes.lane = Some(LaneWrite {
            order_id: item.order_id,
            removed,
            left,
        });
    }

    fn end_control(
        &mut self,
        given: &ControlItem,
        outcome: Outcome,
        rejection: Option<RejectionBody>,
        [decided, discarded, waiting]: [i64; 3],
    ) {
        let item = &given.item;
        if let Ok(control) = &given.control {
            let edited = matches!(control.act, ControlAct::Edit { .. }) && rejection.is_none();
            let replacement = orderly_protocol::ids::replacement_id(item.command_id);
            self.writes.control = Some(ControlRecord {
                command_id: item.command_id,
                order_id: item.order_id,
                by: control.by.clone(),
                reason: control.reason.clone(),
                head: control.head(),
                replacement: edited.then_some(replacement),
                decided,
                discarded,
                waiting,
            });
        }
        let version = self.pages[&item.order_id].version();
        self.record_outcome(item, outcome, version, rejection);
    }
}
