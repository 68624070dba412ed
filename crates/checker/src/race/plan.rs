//! What the clients want, from the seed alone: the same for every way.

use crate::dice::Dice;

/// Notes for the busy order of a round. An order holds at most 100.
const NOTES: usize = 90;
/// Customers who want a piece of the round's product.
const CHECKOUTS: usize = 30;
/// How many of them can have one.
pub(super) const PIECES: usize = 10;
/// What one of them pays.
pub(super) const PRICE_MINOR: i64 = 1_999;
/// Of 100 requests, how many are sent a second time.
pub(super) const REPEATED_PERCENT: usize = 5;
/// What people write on orders.
const TEXTS: [&str; 6] = [
    "gift wrap, please",
    "ring twice",
    "leave it with the neighbour",
    "call before delivery",
    "invoice to the office",
    "deliver after six",
];

/// Rounds of intents. One round after the other is hot: its order, and its product.
pub(super) struct Plan {
    pub(super) intents: Vec<Intent>,
    pub(super) rounds: usize,
}

/// What one client wants once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    /// Its place in the plan; names its note, its customer and its keys.
    pub(super) number: usize,
    /// Which order is written on, or which product is bought.
    pub(super) round: usize,
    pub(super) wish: Wish,
    /// Whether the client sends it again, as if the answer had been lost.
    pub(super) repeated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Add a note to the round's order.
    Note,
    /// Buy one piece of the round's product and pay for it.
    Checkout,
}

impl Plan {
    /// As many rounds as hold at least `intents`.
    pub(super) fn new(seed: u64, intents: usize) -> Self {
        let rounds = intents.div_ceil(NOTES + CHECKOUTS).max(1);
        let mut dice = Dice::new(seed);
        let mut planned = Vec::with_capacity(rounds * (NOTES + CHECKOUTS));
        for round in 0..rounds {
            let mut wishes = [Wish::Note; NOTES + CHECKOUTS];
            wishes[NOTES..].fill(Wish::Checkout);
            dice.shuffle(&mut wishes);
            for wish in wishes {
                planned.push(Intent {
                    number: planned.len(),
                    round,
                    wish,
                    repeated: dice.below(100) < REPEATED_PERCENT,
                });
            }
        }
        Self {
            intents: planned,
            rounds,
        }
    }

    /// Its first rounds.
    pub(super) fn first(&self, rounds: usize) -> Self {
        let within = |it: &&Intent| it.round < rounds;
        Self {
            intents: self.intents.iter().take_while(within).copied().collect(),
            rounds: rounds.min(self.rounds),
        }
    }
}

impl Intent {
    /// The key of its note; no other intent has it.
    pub(super) fn note_key(self) -> String {
        note_key(self.number)
    }

    /// What its note says.
    pub(super) fn note_text(self) -> &'static str {
        TEXTS[self.number % TEXTS.len()]
    }
}

/// The key of the note of intent `number`.
pub(super) fn note_key(number: usize) -> String {
    format!("note-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Else the last piece is not fought for.
    const _: () = assert!(CHECKOUTS > 2 * PIECES);

    #[test]
    fn one_seed_is_one_plan() {
        let plan = |seed| Plan::new(seed, 1_000).intents;
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn the_first_rounds_are_those_of_the_whole_plan() {
        let plan = Plan::new(7, 1_000);
        let first = plan.first(2);
        assert_eq!(first.rounds, 2);
        assert_eq!(first.intents, plan.intents[..2 * (NOTES + CHECKOUTS)]);
    }

    #[test]
    fn every_round_has_the_same_mix_and_more_customers_than_pieces() {
        let plan = Plan::new(1, 600);
        assert_eq!(plan.rounds, 5);
        for round in 0..plan.rounds {
            let of = |wish| {
                let intents = plan.intents.iter();
                intents
                    .filter(|it| it.round == round && it.wish == wish)
                    .count()
            };
            assert_eq!((of(Wish::Note), of(Wish::Checkout)), (NOTES, CHECKOUTS));
        }
    }

    #[test]
    fn about_one_request_in_twenty_is_repeated() {
        let plan = Plan::new(3, 20_000);
        let repeated = plan.intents.iter().filter(|it| it.repeated).count();
        let percent = repeated * 1_000 / plan.intents.len();
        assert!((40..=60).contains(&percent), "{percent} of 1000");
    }
}
