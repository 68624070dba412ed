//! What each step does.

use super::{
    Action, Coordinator, Flight, Link, Message, Mistake, Node, Phase, Place, Resize, Resizing,
    State, Step,
};

impl Resizing {
    pub(crate) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Load(node) => {
                if let Some(current) = state.current() {
                    state.layouts[node as usize] = current;
                }
            }
            Action::Publish(node, command) => self.publish(state, node, command),
            Action::Store(index) => store(state, index),
            Action::Vanish(index) => drop(state.flights.remove(index)),
            Action::Propagate(node) => state.bindings.applied[node as usize] += 1,
            Action::Request => self.request(state),
            Action::Abort => abort(state),
            Action::Take(node) => self.take(state, node),
            Action::ReadEarly(node) => state.coordinators[node as usize].seen = row(state),
            Action::Declare(node, shard) => bind(state, node, shard, true),
            Action::Unbind(node, shard) => bind(state, node, shard, false),
            Action::Probe(node, _) => state.coordinators[node as usize].done += 1,
            Action::Mark(node, shard) => mark(state, node, shard),
            Action::Advance(node) => self.advance(state, node),
            Action::Leave(node) => state.coordinators[node as usize] = Coordinator::default(),
            Action::Process(place, node) => self.process(state, place, node),
            Action::Finish(place) => finish(state, place),
            Action::FindEmpty(place) => {
                let shard = state.shard_mut(place);
                (shard.marked, shard.drained) = (true, true);
            }
            Action::Cut(node) => {
                state.faults -= 1;
                state.coordinators[node as usize].link = Link::Lost;
            }
            Action::Lose(node) => {
                state.faults -= 1;
                let waits = state.flights.iter_mut().find(|f| f.from == Some(node));
                if let Some(flight) = waits {
                    flight.from = None;
                }
            }
            Action::Crash(place) => {
                state.faults -= 1;
                state.shard_mut(place).queue.redeliver();
            }
            Action::CrashForwarding(place, node) => {
                state.faults -= 1;
                self.forward(state, place, node);
                redeliver_first(state, place);
            }
        }
        state.flights.sort_unstable();
    }

    fn publish(&self, state: &mut State, node: Node, command: usize) {
        let place = state.place_of(self.size.orders[command], state.layouts[node as usize]);
        if !state.bindings.leads(node, place) {
            // The mistake of whoever takes a return for a confirm.
            state.accepted[command] = true;
            return;
        }
        state.flights.push(Flight {
            command,
            place,
            from: Some(node),
            due: false,
        });
    }

    fn request(&self, state: &mut State) {
        let Some(from) = state.current() else {
            return;
        };
        let count = self.size.counts[state.resizes.len() + 1];
        let last = state.generations.len() - 1;
        let again = self.makes(Mistake::NumberGivenOutAgain);
        if again && state.generations[last].phase == Phase::Aborted {
            let generation = &mut state.generations[last];
            generation.phase = Phase::Prepared;
            generation.shards.resize_with(count, Default::default);
        } else {
            state.add_generation(Phase::Prepared, count);
        }
        state.resizes.push(Resize {
            from,
            to: state.generations.len() - 1,
            step: Step::Requested,
        });
    }

    fn take(&self, state: &mut State, node: Node) {
        let seen = if self.makes(Mistake::RowReadBeforeLock) {
            state.coordinators[node as usize].seen
        } else {
            row(state)
        };
        state.coordinators[node as usize] = Coordinator {
            link: Link::Live,
            seen,
            done: 0,
        };
    }

    /// A coordinator that finds the row elsewhere gives its lock back.
    fn advance(&self, state: &mut State, node: Node) {
        let coordinator = &mut state.coordinators[node as usize];
        let Some((index, step)) = coordinator.seen else {
            return;
        };
        let resize = &mut state.resizes[index];
        if resize.step != step && !self.makes(Mistake::UpdatesWithoutCompare) {
            *coordinator = Coordinator::default();
            return;
        }
        let next = self.next(step);
        resize.step = next;
        let Resize { from, to, .. } = *resize;
        coordinator.seen = Some((index, next));
        coordinator.done = 0;
        match next {
            Step::Flipped => {
                state.generations[from].phase = Phase::Draining;
                state.generations[to].phase = Phase::Current;
            }
            Step::Done => {
                state.generations[from].phase = Phase::Drained;
                *coordinator = Coordinator::default();
            }
            _ => {}
        }
    }

    fn process(&self, state: &mut State, place: Place, node: Node) {
        if self.forwards(state, place) {
            self.forward(state, place, node);
            state.shard_mut(place).queue.messages.remove(0);
            return;
        }
        let shard = state.shard_mut(place);
        shard.claimed = true;
        let at = shard.queue.unacked;
        shard.queue.unacked += 1;
        match shard.queue.messages[at] {
            Message::First => {
                shard.marked = true;
                shard.drained |= self.protocol.makes(Mistake::OneMarker);
            }
            Message::Second => (shard.marked, shard.drained) = (true, true),
            Message::Command { command, .. } => {
                let by_generation = self.makes(Mistake::DedupePerGeneration);
                let is_known = |&(known, generation): &(usize, usize)| {
                    known == command && (!by_generation || generation == place.generation)
                };
                if state.applied.iter().any(is_known) {
                    return;
                }
                state.applied.push((command, place.generation));
                state.applied_drained |= state.shard(place).drained;
                let messages = &mut state.shard_mut(place).queue.messages;
                if let Message::Command { applied, .. } = &mut messages[at] {
                    *applied = true;
                }
            }
        }
    }

    /// To its shard of the generation that takes commands, confirmed. A marker means nothing any more.
    fn forward(&self, state: &mut State, place: Place, node: Node) {
        let next = state.shard(place).queue.next();
        let Some((command, current)) = next.and_then(Message::command).zip(state.current()) else {
            return;
        };
        let to = state.place_of(self.size.orders[command], current);
        if state.bindings.leads(node, to) {
            let queue = &mut state.shard_mut(to).queue;
            queue.messages.push(Message::fresh(command));
        }
    }
}

/// The confirm comes with it: to hear of it later gives the producer nothing more to do.
fn store(state: &mut State, index: usize) {
    let Flight {
        command,
        place,
        from,
        ..
    } = state.flights.remove(index);
    let shard = state.shard_mut(place);
    let behind = shard.drained || shard.queue.messages.contains(&Message::Second);
    shard.queue.messages.push(Message::fresh(command));
    if from.is_some() {
        state.accepted[command] = true;
        state.accepted_behind |= behind;
    }
}

fn abort(state: &mut State) {
    state.aborts -= 1;
    if let Some(index) = state.open_resize() {
        let resize = &mut state.resizes[index];
        resize.step = Step::Aborted;
        let generation = &mut state.generations[resize.to];
        generation.phase = Phase::Aborted;
        generation.was_aborted = true;
    }
}

fn row(state: &State) -> Option<(usize, Step)> {
    let open = state.open_resize()?;
    Some((open, state.resizes[open].step))
}

/// A call of the coordinator is answered: the resize that it is for, and the step.
fn called(state: &mut State, node: Node) -> Option<(Resize, Step)> {
    let coordinator = &mut state.coordinators[node as usize];
    coordinator.done += 1;
    let (index, step) = coordinator.seen?;
    Some((state.resizes[index], step))
}

fn bind(state: &mut State, node: Node, shard: usize, bound: bool) {
    if let Some((resize, _)) = called(state, node) {
        let generation = if bound { resize.to } else { resize.from };
        let place = Place { generation, shard };
        state.bindings.change(node, place, bound);
    }
}

fn mark(state: &mut State, node: Node, shard: usize) {
    let Some((resize, step)) = called(state, node) else {
        return;
    };
    let generation = resize.from;
    let place = Place { generation, shard };
    let marker = match step {
        Step::Draining => Message::Second,
        _ => Message::First,
    };
    state.shard_mut(place).queue.messages.push(marker);
    for flight in state.flights.iter_mut().filter(|f| f.place == place) {
        flight.due = true;
    }
}

/// Tells again what a redelivery finds done; a retry by the producer is told by the delivery that was first.
fn finish(state: &mut State, place: Place) {
    let queue = &mut state.shard_mut(place).queue;
    queue.unacked -= 1;
    let message = queue.messages.remove(0);
    if let Message::Command {
        command,
        redelivered,
        applied,
    } = message
        && (applied || redelivered)
        && !state.told.contains(&command)
    {
        state.told.push(command);
    }
}

fn redeliver_first(state: &mut State, place: Place) {
    let first = state.shard_mut(place).queue.messages.first_mut();
    if let Some(Message::Command { redelivered, .. }) = first {
        *redelivered = true;
    }
}
