//! What the judge reads: what clients were told, and what the data held afterwards. One form for every way.

use std::collections::BTreeSet;

use super::plan::Intent;

/// Everything that one way left behind.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What the client of every intent that was begun was told.
    pub(super) told: Vec<Told>,
    /// The busy orders as they stand at the end.
    pub(super) orders: Vec<FinalOrder>,
    /// Every version that was written of a busy order, and for whom.
    pub(super) writes: Vec<Write>,
    /// Every order that a checkout made.
    pub(super) sales: Vec<Effect>,
    /// Every time a customer was charged.
    pub(super) charges: Vec<Effect>,
    /// The products as they stand at the end.
    pub(super) shelves: Vec<Shelf>,
    /// Charges that the payment company had not answered when the judge looked.
    pub(super) unsettled: usize,
    /// What else must not be, in words.
    pub(super) strange: Vec<String>,
}

/// An intent and the answers to it; the last one is what its client believes.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) intent: Intent,
    /// One, or two if it was sent twice.
    pub(super) answers: Vec<Answer>,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The note is saved, as this version of the order.
    Noted { version: u64, by: String },
    /// A piece is theirs and paid for: the order's name.
    Sold { order: String, by: String },
    /// There is no piece left.
    SoldOut,
    /// No answer that a client could use.
    Failed(String),
}

/// A busy order at the end.
#[derive(Clone, Debug)]
pub(super) struct FinalOrder {
    pub(super) round: usize,
    pub(super) version: u64,
    /// Keys of the notes on it.
    pub(super) notes: BTreeSet<String>,
}

/// One write of a busy order.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) round: usize,
    /// The version it made.
    pub(super) version: u64,
    pub(super) effect: Effect,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    /// The intent it was done for.
    pub(super) intent: usize,
    /// What names it in the data: a command, an order, a row.
    pub(super) by: String,
}

/// A product at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shelf {
    pub(super) round: usize,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
}

impl Told {
    /// What the client believes.
    pub(super) fn last(&self) -> Option<&Answer> {
        self.answers.last()
    }
}

impl Answer {
    /// Whether it says that what was wanted is done.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Noted { .. } | Self::Sold { .. })
    }
}
