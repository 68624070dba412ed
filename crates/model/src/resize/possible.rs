//! Which steps are possible: what each waits for.

use super::{
    Action, Coordinator, Flight, Link, Message, Mistake, Node, Phase, Place, Resize, Resizing,
    State, Step,
};

/// Committed messages that wait for their acks, as in the code's finisher.
const MOST_UNFINISHED: usize = 2;

impl Resizing {
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        for node in Node::ALL {
            self.accepting(state, node, actions);
            self.coordinating(state, node, actions);
        }
        for (index, flight) in state.flights.iter().enumerate() {
            actions.push(Action::Store(index));
            if flight.from.is_none() {
                actions.push(Action::Vanish(index));
            }
        }
        for generation in 0..state.generations.len() {
            for place in state.places(generation) {
                self.working(state, place, actions);
            }
        }
        if state.open_resize().is_none() && state.resizes.len() + 1 < self.size.counts.len() {
            actions.push(Action::Request);
        }
        if self.may_abort(state) {
            actions.push(Action::Abort);
        }
    }

    fn accepting(&self, state: &State, node: Node, actions: &mut Vec<Action>) {
        if state
            .current()
            .is_some_and(|g| g != state.layouts[node as usize])
        {
            actions.push(Action::Load(node));
        }
        if state.bindings.applied[node as usize] < state.bindings.log.len() {
            actions.push(Action::Propagate(node));
        }
        // One outstanding publish.
        if state.flights.iter().any(|f| f.from == Some(node)) {
            if state.faults > 0 {
                actions.push(Action::Lose(node));
            }
            return;
        }
        for command in 0..self.size.orders.len() {
            let place = state.place_of(self.size.orders[command], state.layouts[node as usize]);
            let arrives =
                state.bindings.leads(node, place) || self.makes(Mistake::ReturnedIsStored);
            if arrives && self.may_post(state, command) {
                actions.push(Action::Publish(node, command));
            }
        }
    }

    /// It is not accepted, nor on its way as far as the producer knows; all before it are accepted.
    fn may_post(&self, state: &State, command: usize) -> bool {
        let orders = &self.size.orders;
        let waits = |flight: &Flight| flight.command == command && flight.from.is_some();
        let mut before = (0..command).filter(|earlier| orders[*earlier] == orders[command]);
        !state.accepted[command]
            && !state.flights.iter().any(waits)
            && before.all(|earlier| state.accepted[earlier])
    }

    fn may_abort(&self, state: &State) -> bool {
        let last = if self.makes(Mistake::AbortWhileUnbinding) {
            Step::Unbinding
        } else {
            Step::Settling
        };
        let open = state.open_resize();
        state.aborts > 0 && open.is_some_and(|resize| state.resizes[resize].step <= last)
    }

    fn coordinating(&self, state: &State, node: Node, actions: &mut Vec<Action>) {
        let coordinator = &state.coordinators[node as usize];
        match coordinator.link {
            Link::None => actions.extend(self.beginning(state, node)),
            Link::Live => {
                actions.extend(self.next_step(state, node));
                if state.faults > 0 {
                    actions.push(Action::Cut(node));
                }
            }
            Link::Lost => {
                let next = self.next_step(state, node);
                actions.extend(next.filter(|step| matches!(step, Action::Advance(_))));
                actions.push(Action::Leave(node));
            }
        }
    }

    fn beginning(&self, state: &State, node: Node) -> Option<Action> {
        let reads_early = self.makes(Mistake::RowReadBeforeLock);
        let has_read = state.coordinators[node as usize].seen.is_some();
        if reads_early && !has_read {
            return state.open_resize().map(|_| Action::ReadEarly(node));
        }
        let other = &state.coordinators[node.other() as usize];
        let is_free = other.link != Link::Live || self.makes(Mistake::NoLock);
        let has_row = reads_early || state.open_resize().is_some();
        (is_free && has_row).then_some(Action::Take(node))
    }

    /// The next call of the step, or else the update that begins the next one.
    fn next_step(&self, state: &State, node: Node) -> Option<Action> {
        let Coordinator { seen, done, .. } = state.coordinators[node as usize];
        let (index, step) = seen?;
        let resize = &state.resizes[index];
        let calls = self.calls(state, node, resize, step);
        if let Some(call) = calls.get(done) {
            return self.may_call(state, resize, step, *call).then_some(*call);
        }
        let moved = resize.step != step && !self.makes(Mistake::UpdatesWithoutCompare);
        let may_begin = self.may_begin(state, resize, self.next(step));
        (moved || may_begin).then_some(Action::Advance(node))
    }

    /// What the coordinator asks of the broker in a step, in order.
    fn calls(&self, state: &State, node: Node, resize: &Resize, step: Step) -> Vec<Action> {
        let shards = |generation: usize| 0..state.generations[generation].shards.len();
        let mut calls = Vec::new();
        match step {
            Step::Declaring => {
                calls.extend(shards(resize.to).map(|shard| Action::Declare(node, shard)));
            }
            Step::Unbinding => {
                calls.extend(shards(resize.from).map(|shard| Action::Unbind(node, shard)));
            }
            Step::Marking | Step::Draining if self.marks(step) => {
                calls.extend(shards(resize.from).map(|shard| Action::Mark(node, shard)));
            }
            _ => {}
        }
        if self.probes(step) {
            let probed = [node, node.other()].into_iter();
            let probed =
                probed.filter(|other| *other == node || !self.makes(Mistake::ProbesOnOneNode));
            calls.extend(probed.map(|other| Action::Probe(node, other)));
        }
        calls
    }

    fn marks(&self, step: Step) -> bool {
        match self.protocol.mistake {
            Some(Mistake::NoMarkers) => false,
            Some(Mistake::OneMarker) => step == Step::Marking,
            _ => true,
        }
    }

    fn probes(&self, step: Step) -> bool {
        match self.protocol.mistake {
            Some(Mistake::NoProbes) => false,
            Some(Mistake::ProbesAfterFlip) => matches!(step, Step::Flipped | Step::Marking),
            Some(Mistake::NoProbesAfterFlip) => step == Step::Unbinding,
            _ => matches!(step, Step::Unbinding | Step::Flipped | Step::Marking),
        }
    }

    fn may_call(&self, state: &State, resize: &Resize, step: Step, call: Action) -> bool {
        let Action::Probe(_, node) = call else {
            return true;
        };
        let mut old = state.places(resize.from);
        // Nobody is unbound yet when everybody flips first.
        let early = self.makes(Mistake::FlipBeforeUnbinding) && step == Step::Flipped;
        let waits = step == Step::Marking && !self.may_begin(state, resize, Step::Draining);
        early || (!waits && old.all(|place| !state.bindings.leads(node, place)))
    }

    pub(crate) fn next(&self, step: Step) -> Step {
        let flips_first = self.makes(Mistake::FlipBeforeUnbinding);
        match step {
            Step::Requested => Step::Declaring,
            Step::Declaring => Step::Settling,
            Step::Settling if flips_first => Step::Flipped,
            Step::Flipped if flips_first => Step::Unbinding,
            Step::Unbinding if flips_first => Step::Marking,
            Step::Settling => Step::Unbinding,
            Step::Unbinding => Step::Flipped,
            Step::Flipped => Step::Marking,
            Step::Marking => Step::Draining,
            Step::Draining | Step::Done => Step::Done,
            Step::Aborted => Step::Aborted,
        }
    }

    /// What the update itself looks at, besides the step.
    fn may_begin(&self, state: &State, resize: &Resize, step: Step) -> bool {
        let old = &state.generations[resize.from].shards;
        let unmarked = self.makes(Mistake::NoMarkers) || self.makes(Mistake::SecondMarkerAtOnce);
        match step {
            Step::Draining => unmarked || old.iter().all(|shard| shard.marked),
            Step::Done => old.iter().all(|shard| shard.drained),
            _ => true,
        }
    }

    fn working(&self, state: &State, place: Place, actions: &mut Vec<Action>) {
        let shard = state.shard(place);
        match shard.queue.next() {
            Some(Message::Command { command, .. }) if self.forwards(state, place) => {
                let order = self.size.orders[command];
                if let Some(current) = state.current()
                    && shard.queue.unacked == 0
                {
                    let to = state.place_of(order, current);
                    let nodes = Node::ALL.into_iter();
                    for node in nodes.filter(|node| state.bindings.leads(*node, to)) {
                        actions.push(Action::Process(place, node));
                        if state.faults > 0 {
                            actions.push(Action::CrashForwarding(place, node));
                        }
                    }
                }
            }
            Some(message) if self.may_process(state, place, message) => {
                actions.push(Action::Process(place, Node::A));
            }
            _ => {}
        }
        if shard.queue.unacked > 0 {
            actions.push(Action::Finish(place));
            if state.faults > 0 {
                actions.push(Action::Crash(place));
            }
        }
        if self.may_find_empty(state, place) {
            actions.push(Action::FindEmpty(place));
        }
    }

    pub(crate) fn forwards(&self, state: &State, place: Place) -> bool {
        state.shard(place).drained && !self.makes(Mistake::DrainedApplies)
    }

    fn may_process(&self, state: &State, place: Place, message: Message) -> bool {
        let shard = state.shard(place);
        let runs = shard.drained || shard.claimed || self.may_claim(state, place);
        let is_next = match message {
            Message::Command { .. } => true,
            Message::First if !self.makes(Mistake::OneMarker) => !self.overtook(state, place),
            // It drains: everything before it is acked.
            Message::First | Message::Second => {
                let beside = self.makes(Mistake::SecondMarkerBesideUnacked);
                (shard.queue.unacked == 0 || beside) && !self.overtook(state, place)
            }
        };
        runs && is_next && shard.queue.unacked < MOST_UNFINISHED
    }

    /// Is something on its way that was routed before a marker was published? It arrives before that is met.
    fn overtook(&self, state: &State, place: Place) -> bool {
        let mut flights = state.flights.iter();
        self.protocol.bounded && flights.any(|f| f.due && f.place == place)
    }

    /// It takes commands, or did, and every shard before it is drained.
    fn may_claim(&self, state: &State, place: Place) -> bool {
        let is_served = |phase| matches!(phase, Phase::Current | Phase::Draining);
        let earlier = &state.generations[..place.generation];
        let mut earlier = earlier.iter().filter(|earlier| is_served(earlier.phase));
        let drained = earlier.all(|earlier| match self.protocol.mistake {
            Some(Mistake::ClaimWithoutCheck) => true,
            Some(Mistake::ClaimChecksItsNumber) => {
                let same = earlier.shards.get(place.shard);
                same.is_none_or(|shard| shard.drained)
            }
            _ => earlier.shards.iter().all(|shard| shard.drained),
        });
        is_served(state.generations[place.generation].phase) && drained
    }

    fn may_find_empty(&self, state: &State, place: Place) -> bool {
        let shard = state.shard(place);
        let is_due = |index: usize| {
            let Resize { from, step, .. } = state.resizes[index];
            from == place.generation && step == Step::Draining
        };
        self.makes(Mistake::NoMarkers)
            && !shard.drained
            && shard.queue.messages.is_empty()
            && state.open_resize().is_some_and(is_due)
    }

    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.protocol.makes(mistake)
    }
}
