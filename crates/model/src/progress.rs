//! Whether everything that was accepted gets done. A checker of single states cannot tell: this needs the whole graph.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use stateright::Model;

use crate::{Action, Shard, State};

/// A model in which something is to be finished.
pub trait Finishing: Model {
    /// Is everything done here?
    fn is_finished(state: &Self::State) -> bool;

    /// Is it one of those that are counted, and that nobody may rely on?
    fn is_fault(action: &Self::Action) -> bool;

    /// The same situation for somebody who does not care who is who.
    fn canonical(state: Self::State) -> Self::State;
}

impl Finishing for Shard {
    fn is_finished(state: &State) -> bool {
        state.queue.is_done()
    }

    fn is_fault(action: &Action) -> bool {
        action.is_fault()
    }

    fn canonical(state: State) -> State {
        state.whoever()
    }
}

/// What the graph of all states says. Who is who is left out of it.
#[derive(Clone, Debug)]
pub struct Progress<A> {
    /// How many states there are.
    pub states: usize,
    /// The way to a state from which not everything can be finished, without another fault. Letters may change on the way.
    pub stuck: Option<Vec<A>>,
    /// Is there a way to go on for ever, without another fault and without finishing?
    pub endless: bool,
    /// Were there states that the size leaves out? What lies behind them counts as finished.
    pub cut_off: bool,
}

impl<A: Clone> Progress<A> {
    /// Looks at every state.
    #[must_use]
    pub fn of<M>(model: &M) -> Self
    where
        M: Finishing<Action = A>,
        M::State: Hash,
    {
        let graph = Graph::of(model);
        Self {
            states: graph.came_from.len(),
            stuck: graph.stuck(),
            endless: graph.is_endless(),
            cut_off: graph.cut_off,
        }
    }
}

struct Graph<A> {
    /// Of each state, how it was first reached; none for the first one.
    came_from: Vec<Option<(usize, A)>>,
    /// Of each state, those before it, by steps that are no faults.
    before: Vec<Vec<usize>>,
    finished: Vec<usize>,
    cut_off: bool,
}

impl<A: Clone> Graph<A> {
    fn of<M>(model: &M) -> Self
    where
        M: Finishing<Action = A>,
        M::State: Hash,
    {
        let mut graph = Self {
            came_from: Vec::new(),
            before: Vec::new(),
            finished: Vec::new(),
            cut_off: false,
        };
        // By hash, as the checker does: two of 64 bits are not equal by chance.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut known: HashMap<u64, usize> = HashMap::new();
        let mut ahead: VecDeque<(usize, M::State)> = VecDeque::new();
        let mut actions = Vec::new();
        for state in model.init_states() {
            known.insert(hasher.hash_one(&state), graph.add(None));
            ahead.push_back((0, state));
        }
        while let Some((index, state)) = ahead.pop_front() {
            if M::is_finished(&state) {
                graph.finished.push(index);
            }
            model.actions(&state, &mut actions);
            for action in actions.drain(..) {
                let Some(next) = model.next_state(&state, action.clone()) else {
                    continue;
                };
                if !model.within_boundary(&next) {
                    graph.cut_off = true;
                    graph.finished.push(index);
                    continue;
                }
                let is_fault = M::is_fault(&action);
                let next = M::canonical(next);
                let then = match known.entry(hasher.hash_one(&next)) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        let new = graph.add(Some((index, action)));
                        ahead.push_back((new, next));
                        *entry.insert(new)
                    }
                };
                if !is_fault {
                    graph.before[then].push(index);
                }
            }
        }
        graph
    }

    fn add(&mut self, came_from: Option<(usize, A)>) -> usize {
        self.came_from.push(came_from);
        self.before.push(Vec::new());
        self.came_from.len() - 1
    }

    /// From what is finished backwards: whatever is not met cannot finish.
    fn stuck(&self) -> Option<Vec<A>> {
        let mut finishes = vec![false; self.before.len()];
        let mut ahead = self.finished.clone();
        while let Some(index) = ahead.pop() {
            if !std::mem::replace(&mut finishes[index], true) {
                ahead.extend(&self.before[index]);
            }
        }
        let stuck = finishes.iter().position(|finishes| !finishes)?;
        Some(self.way_to(stuck))
    }

    /// Takes away what leads nowhere on, over and over: what then is left goes round in circles.
    fn is_endless(&self) -> bool {
        let mut ways_on = vec![0_usize; self.before.len()];
        for index in self.before.iter().flatten() {
            ways_on[*index] += 1;
        }
        let ends = ways_on.iter().enumerate().filter(|(_, ways)| **ways == 0);
        let mut ahead: Vec<usize> = ends.map(|(index, _)| index).collect();
        let mut taken = 0;
        while let Some(index) = ahead.pop() {
            taken += 1;
            for earlier in &self.before[index] {
                ways_on[*earlier] -= 1;
                if ways_on[*earlier] == 0 {
                    ahead.push(*earlier);
                }
            }
        }
        taken < self.before.len()
    }

    fn way_to(&self, state: usize) -> Vec<A> {
        let mut way = Vec::new();
        let mut at = state;
        while let Some((earlier, action)) = &self.came_from[at] {
            way.push(action.clone());
            at = *earlier;
        }
        way.reverse();
        way
    }
}
