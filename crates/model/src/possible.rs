//! Which steps are possible: what each waits for.

use crate::database::Unanswered;
use crate::worker::{Course, Link, Stage, Step, Worker};
use crate::{Action, Event, InFlight, Mistake, Shard, State, Who};

/// Committed batches that wait for their confirms, as in the code's finisher.
const MOST_UNFINISHED: usize = 2;

impl Shard {
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        for who in state.everybody() {
            self.steps(state, who, actions);
            if state.faults > 0 {
                self.faults(state, who, actions);
            }
        }
        self.late(state, actions);
    }

    fn steps(&self, state: &State, who: Who, actions: &mut Vec<Action>) {
        let worker = state.worker(who);
        let possible = [
            (Action::ReadEpoch(who), self.may_read_epoch(worker)),
            (Action::Subscribe(who), self.may_subscribe(worker)),
            (Action::Deliver(who), self.may_deliver(state, who)),
            (Action::Claim(who), self.may_claim(state, worker)),
            (Action::Fence(who), self.may_fence(worker)),
            (Action::DedupeAndLoad(who), self.may_load(worker)),
            (Action::Write(who), self.may_write(state, who)),
            (
                Action::Commit(who),
                matches!(worker.step, Step::Written { .. }),
            ),
            (Action::Publish(who), self.may_publish(worker)),
            (Action::Ack(who), self.may_ack(worker)),
            (Action::Notice(who), may_notice(worker)),
            (
                Action::Stop(who),
                state.moves > 0 && worker.is_going() && worker.stage != Stage::Away,
            ),
            (
                Action::HandOver(who),
                !worker.is_going() && worker.is_idle() && worker.unfinished.is_empty(),
            ),
        ];
        actions.extend(chosen(possible));
    }

    /// A worker without a subscription has nothing to lose.
    fn faults(&self, state: &State, who: Who, actions: &mut Vec<Action>) {
        let worker = state.worker(who);
        if worker.stage == Stage::Away {
            return;
        }
        let claims = ready_to_claim(worker);
        let commits = matches!(worker.step, Step::Written { .. });
        let publishes = self.may_publish(worker);
        let possible = [
            (Action::Crash(who, InFlight::Nothing), true),
            (Action::Crash(who, InFlight::Claim), claims),
            (Action::Crash(who, InFlight::Commit), commits),
            (Action::Crash(who, InFlight::Publish), publishes),
            (Action::Cut(who), worker.link == Link::Live),
            (Action::LoseClaim(who), claims),
            (Action::LoseTransaction(who), !worker.is_idle()),
            (
                Action::RefuseTransaction(who),
                !worker.is_idle() && worker.is_going(),
            ),
            (Action::LoseCommit(who), commits),
            (Action::LosePublish(who), publishes),
        ];
        actions.extend(chosen(possible));
    }

    fn late(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, statement) in state.database.unanswered.iter().enumerate() {
            match statement {
                Unanswered::Claim { .. } if self.row_is_locked(state) => {}
                Unanswered::Claim { .. } => actions.push(Action::LateClaim(index)),
                Unanswered::Commit { .. } => {
                    actions.extend([Action::LateCommit(index), Action::LateRollback(index)]);
                }
            }
        }
        actions.extend((0..state.stream.late.len()).map(Action::LatePublish));
    }

    /// First the epoch, then the subscription.
    fn may_read_epoch(&self, worker: &Worker) -> bool {
        let due = if self.protocol.makes(Mistake::EpochReadAfterSubscribing) {
            Stage::Subscribed
        } else {
            Stage::Away
        };
        worker.stage == due && worker.seen.is_none() && worker.is_going()
    }

    fn may_subscribe(&self, worker: &Worker) -> bool {
        let late = self.protocol.makes(Mistake::EpochReadAfterSubscribing);
        worker.stage == Stage::Away && (worker.seen.is_some() || late)
    }

    /// As far as the prefetch goes: it is larger than what is accepted here.
    fn may_deliver(&self, state: &State, who: Who) -> bool {
        let single_active = self.protocol.layers.single_active_consumer;
        let worker = state.worker(who);
        worker.link == Link::Live
            && worker.is_going()
            && state.queue.delivers_to(who, single_active)
    }

    fn may_claim(&self, state: &State, worker: &Worker) -> bool {
        let early = self.protocol.makes(Mistake::SnapshotBeforeClaim);
        ready_to_claim(worker) && !self.row_is_locked(state) && (!early || worker.early.is_some())
    }

    fn may_fence(&self, worker: &Worker) -> bool {
        let early = self.protocol.makes(Mistake::SnapshotBeforeFence);
        ready_for_a_batch(worker) && (!early || worker.early.is_some())
    }

    fn may_load(&self, worker: &Worker) -> bool {
        let too_early = match self.protocol.mistake {
            Some(Mistake::SnapshotBeforeFence) => ready_for_a_batch(worker),
            Some(Mistake::SnapshotBeforeClaim) => ready_to_claim(worker),
            _ => false,
        };
        matches!(worker.step, Step::Fenced { .. }) || (too_early && worker.early.is_none())
    }

    /// Not while another transaction holds the same keys: the second insert waits for the end of the first.
    fn may_write(&self, state: &State, who: Who) -> bool {
        let Step::Loaded { batch, snapshot } = &state.worker(who).step else {
            return false;
        };
        if !self.protocol.constraints {
            return true;
        }
        let decided = self.decide(batch, &state.database.log[..*snapshot]);
        let collides = |held: &[Event]| {
            let against = |new: &Event| held.iter().any(|event| event.collides(*new));
            decided.new.iter().any(against)
        };
        let mut steps = state.workers.iter().map(|worker| &worker.step);
        let held = steps.any(|step| matches!(step, Step::Written { new, .. } if collides(new)));
        !held && !state.database.has_unanswered_commit(collides)
    }

    pub(crate) fn may_publish(&self, worker: &Worker) -> bool {
        let ack_first = self.protocol.makes(Mistake::AckBeforePublish);
        worker.unfinished.first().is_some_and(|unfinished| {
            let acked = unfinished.through.is_none();
            !unfinished.events.is_empty() && (acked || !ack_first)
        })
    }

    fn may_ack(&self, worker: &Worker) -> bool {
        let ack_first = self.protocol.makes(Mistake::AckBeforePublish);
        worker.unfinished.first().is_some_and(|unfinished| {
            unfinished.through.is_some() && (ack_first || unfinished.events.is_empty())
        })
    }

    /// Does a transaction hold the shard's row, so that a claim must wait?
    pub(crate) fn row_is_locked(&self, state: &State) -> bool {
        let locks =
            self.protocol.layers.epoch_fence && !self.protocol.makes(Mistake::FenceWithoutLock);
        locks
            && (state.workers.iter().any(|worker| !worker.is_idle())
                || state.database.has_unanswered_commit(|_| true))
    }
}

/// Something was delivered to a subscription that has not claimed yet.
pub(crate) fn ready_to_claim(worker: &Worker) -> bool {
    worker.stage == Stage::Subscribed
        && worker.is_going()
        && worker.seen.is_some()
        && !worker.intake.is_empty()
}

/// The code looks at its channel only when it waits for a delivery: with some left it goes on, lost channel or not.
fn ready_for_a_batch(worker: &Worker) -> bool {
    matches!(worker.stage, Stage::Owner { .. })
        && worker.is_going()
        && worker.is_idle()
        && !worker.intake.is_empty()
        && worker.unfinished.len() < MOST_UNFINISHED
}

/// By an ack that fails, or between two batches.
fn may_notice(worker: &Worker) -> bool {
    let between = worker.is_going() && worker.is_idle();
    worker.link == Link::Lost
        && worker.course != Course::Failed
        && (between || about_to_ack(worker))
}

/// Is an ack the next thing the finisher does?
pub(crate) fn about_to_ack(worker: &Worker) -> bool {
    let first = worker.unfinished.first();
    first.is_some_and(|unfinished| unfinished.events.is_empty())
}

fn chosen<const N: usize>(possible: [(Action, bool); N]) -> impl Iterator<Item = Action> {
    let possible = possible.into_iter();
    possible.filter_map(|(action, may)| may.then_some(action))
}
