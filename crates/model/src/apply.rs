//! What each step does.

use crate::database::Unanswered;
use crate::possible::about_to_ack;
use crate::worker::{Course, Early, Link, Stage, Step, Unfinished, Worker};
use crate::{Action, Delivery, Event, InFlight, Mistake, Shard, State, Who};

/// What a batch makes of its commands.
pub(crate) struct Decided {
    pub(crate) again: Vec<Event>,
    pub(crate) new: Vec<Event>,
}

impl Shard {
    pub(crate) fn apply(&self, state: &mut State, action: Action) {
        if action.is_fault() {
            state.faults -= 1;
        }
        match action {
            Action::ReadEpoch(who) => state.worker_mut(who).seen = Some(state.database.epoch),
            Action::Subscribe(who) => subscribe(state, who),
            Action::Deliver(who) => {
                let delivery = state.queue.deliver(who);
                state.worker_mut(who).intake.push(delivery);
            }
            Action::Claim(who) => self.claim(state, who),
            Action::Fence(who) => self.fence(state, who),
            Action::DedupeAndLoad(who) => load(state, who),
            Action::Write(who) => self.write(state, who),
            Action::Commit(who) => self.commit(state, who),
            Action::Publish(who) => {
                if let Some(event) = state.worker_mut(who).take_event() {
                    state.stream.store(event);
                }
            }
            Action::Ack(who) => ack(state, who),
            Action::Notice(who) => notice(state.worker_mut(who)),
            Action::Stop(who) => self.stop(state, who),
            Action::HandOver(who) => self.leave(state, who),
            Action::Crash(who, in_flight) => {
                match in_flight {
                    InFlight::Nothing => {}
                    InFlight::Claim => lose_claim(state, who),
                    InFlight::Commit => lose_commit(state, who),
                    InFlight::Publish => lose_publish(state, who),
                }
                self.leave(state, who);
            }
            Action::Cut(who) => {
                self.take_back(state, who);
                state.worker_mut(who).link = Link::Lost;
            }
            Action::LoseClaim(who) => {
                lose_claim(state, who);
                state.worker_mut(who).end(Course::Stopping);
            }
            Action::LoseTransaction(who) => {
                let worker = state.worker_mut(who);
                worker.drop_batch();
                worker.end(Course::Stopping);
            }
            Action::RefuseTransaction(who) => run_again(state.worker_mut(who)),
            Action::LoseCommit(who) => self.go_on_without_commit(state, who),
            Action::LosePublish(who) => {
                lose_publish(state, who);
                if !self.protocol.makes(Mistake::LostPublishPassedOver) {
                    state.worker_mut(who).end(Course::Failed);
                }
            }
            Action::LateClaim(_) | Action::LateCommit(_) | Action::LateRollback(_) => {
                self.take_late(state, action);
            }
            Action::LatePublish(index) => {
                let event = state.stream.late.remove(index);
                state.stream.store(event);
            }
        }
        state.tidy(self.compares());
    }

    fn claim(&self, state: &mut State, who: Who) {
        let seen = state.worker(who).seen.unwrap_or_default();
        let claimed = state.database.claim(who, seen, self.compares());
        let worker = state.worker_mut(who);
        match claimed {
            Some(epoch) => worker.stage = Stage::Owner { epoch },
            None => worker.end(Course::Stopping),
        }
    }

    fn compares(&self) -> bool {
        !self.protocol.makes(Mistake::ClaimWithoutCompare)
    }

    fn fence(&self, state: &mut State, who: Who) {
        let ours = state.worker(who).stage
            == Stage::Owner {
                epoch: state.database.epoch,
            };
        let worker = state.worker_mut(who);
        if self.protocol.layers.epoch_fence && !ours {
            worker.end(Course::Stopping);
            return;
        }
        let early = worker.early.take();
        let size = early.map_or(worker.batch_size(), |early| early.size);
        let batch: Vec<Delivery> = worker.intake.drain(..size).collect();
        let last = batch.last().map(|delivery| delivery.place);
        worker.step = match early {
            Some(Early { snapshot, .. }) => Step::Loaded { batch, snapshot },
            None => Step::Fenced { batch },
        };
        if self.protocol.makes(Mistake::AckBeforeCommit) {
            ack_through(state, who, last);
        }
    }

    /// In memory, in order: a command that is taken is not decided again, and one that a redelivery finds taken by an
    /// earlier delivery is published again.
    pub(crate) fn decide(&self, batch: &[Delivery], seen: &[Event]) -> Decided {
        let mut new: Vec<Event> = Vec::new();
        for delivery in batch {
            let command = self.size.accepted[delivery.place];
            let before = || seen.iter().chain(&new);
            if self.protocol.layers.dedupe && before().any(|e| e.command == command.id) {
                continue;
            }
            let of_its_order = before().filter(|event| event.order == command.order);
            let version = of_its_order.map(|event| event.version).max();
            new.push(Event {
                command: command.id,
                order: command.order,
                version: version.unwrap_or(0) + 1,
            });
        }
        let redelivered = |event: &&Event| {
            let same = |d: &Delivery| self.size.accepted[d.place].id == event.command;
            batch.iter().any(|d| d.redelivered && same(d))
        };
        let forgets = self.protocol.makes(Mistake::DoneIsNotRepublished);
        let again = seen.iter().filter(|_| !forgets).filter(redelivered);
        Decided {
            again: again.copied().collect(),
            new,
        }
    }

    fn write(&self, state: &mut State, who: Who) {
        let Step::Loaded { batch, snapshot } = state.worker(who).step.clone() else {
            return;
        };
        let Decided { again, new } = self.decide(&batch, &state.database.log[..snapshot]);
        let taken = |event: &Event| state.database.log.iter().any(|held| held.collides(*event));
        if self.protocol.constraints && new.iter().any(taken) {
            state.database.refused = true;
            run_again(state.worker_mut(who));
            return;
        }
        if self.protocol.makes(Mistake::PublishBeforeCommit) {
            for event in &new {
                state.stream.store(*event);
            }
        }
        state.worker_mut(who).step = Step::Written { batch, again, new };
    }

    fn commit(&self, state: &mut State, who: Who) {
        let worker = state.worker_mut(who);
        let fenced = worker.stage;
        let Step::Written {
            batch,
            mut again,
            new,
        } = std::mem::take(&mut worker.step)
        else {
            return;
        };
        if let Stage::Owner { epoch } = fenced {
            state.database.commit(epoch, &new);
        }
        match self.protocol.mistake {
            Some(Mistake::PublishBeforeCommit) => {}
            Some(Mistake::DoneIsRepublishedLast) => again.splice(..0, new).for_each(drop),
            _ => again.extend(new),
        }
        let acked = self.protocol.makes(Mistake::AckBeforeCommit);
        let last = batch.last().filter(|_| !acked);
        let unfinished = Unfinished {
            events: again,
            through: last.map(|delivery| delivery.place),
        };
        let worker = state.worker_mut(who);
        // A finisher that has failed takes no more: the redelivery will find the batch done.
        if worker.course != Course::Failed && unfinished != Unfinished::default() {
            worker.unfinished.push(unfinished);
        }
    }

    /// The worker cannot know whether the batch was committed.
    fn go_on_without_commit(&self, state: &mut State, who: Who) {
        let again = self.protocol.makes(Mistake::LostCommitRunAgain);
        lose_commit(state, who);
        let worker = state.worker_mut(who);
        let batch = worker.drop_batch();
        if again {
            worker.put_back(batch);
        } else {
            worker.end(Course::Stopping);
        }
    }

    fn stop(&self, state: &mut State, who: Who) {
        state.moves -= 1;
        state.worker_mut(who).end(Course::Stopping);
        if self.protocol.makes(Mistake::ConsumerCancelled) {
            state.queue.cancel(who);
        }
    }

    /// The subscription is over, by a close or with its process.
    fn leave(&self, state: &mut State, who: Who) {
        self.take_back(state, who);
        *state.worker_mut(who) = Worker::default();
    }

    fn take_back(&self, state: &mut State, who: Who) {
        if state.worker(who).link == Link::Live {
            let to_its_place = !self.protocol.makes(Mistake::ReturnedToTheEnd);
            state.queue.take_back(who, to_its_place);
        }
    }

    fn take_late(&self, state: &mut State, action: Action) {
        let (Action::LateClaim(index) | Action::LateCommit(index) | Action::LateRollback(index)) =
            action
        else {
            return;
        };
        match state.database.unanswered.remove(index) {
            Unanswered::Claim { who, seen } => {
                state.database.claim(who, seen, self.compares());
            }
            Unanswered::Commit { epoch, events } => {
                if matches!(action, Action::LateCommit(_)) {
                    state.database.commit(epoch, &events);
                }
            }
        }
    }
}

fn subscribe(state: &mut State, who: Who) {
    state.queue.consumers.push(who);
    let worker = state.worker_mut(who);
    worker.stage = Stage::Subscribed;
    worker.link = Link::Live;
}

fn load(state: &mut State, who: Who) {
    let snapshot = state.database.log.len();
    let worker = state.worker_mut(who);
    worker.step = match std::mem::take(&mut worker.step) {
        Step::Fenced { batch } => Step::Loaded { batch, snapshot },
        other => {
            let size = worker.batch_size();
            worker.early = Some(Early { size, snapshot });
            other
        }
    };
}

fn run_again(worker: &mut Worker) {
    let batch = worker.drop_batch();
    worker.put_back(batch);
}

fn ack(state: &mut State, who: Who) {
    let worker = state.worker_mut(who);
    let through = worker.unfinished.first_mut().and_then(|u| u.through.take());
    worker.forget_finished();
    ack_through(state, who, through);
}

fn ack_through(state: &mut State, who: Who, place: Option<usize>) {
    if let Some(place) = place
        && state.worker(who).link == Link::Live
    {
        state.queue.ack_through(who, place);
    }
}

/// By an ack that fails: then nothing more goes out. Otherwise what is committed is still published.
fn notice(worker: &mut Worker) {
    let course = if about_to_ack(worker) {
        Course::Failed
    } else {
        Course::Stopping
    };
    worker.end(course);
}

fn lose_claim(state: &mut State, who: Who) {
    let seen = state.worker(who).seen.unwrap_or_default();
    let claim = Unanswered::Claim { who, seen };
    state.database.unanswered.push(claim);
}

fn lose_commit(state: &mut State, who: Who) {
    let worker = state.worker(who);
    if let (Stage::Owner { epoch }, Step::Written { new, .. }) = (worker.stage, &worker.step) {
        let events = new.clone();
        let commit = Unanswered::Commit { epoch, events };
        state.database.unanswered.push(commit);
    }
}

fn lose_publish(state: &mut State, who: Who) {
    if let Some(event) = state.worker_mut(who).take_event() {
        state.stream.late.push(event);
    }
}
