//! Postgres: the shard's row, and the log of events, which is also the list of outcomes, since every command makes one.

use crate::state::Names;
use crate::{Event, Who};

/// A statement whose sender no longer waits for the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unanswered {
    /// A claim. It still waits for the row, and compares when it gets it.
    Claim {
        /// Who sent it.
        who: Who,
        /// The epoch it compares with.
        seen: u8,
    },
    /// A COMMIT. Until it is through, its transaction holds what it locked.
    Commit {
        /// Of the fence behind which it was begun.
        epoch: u8,
        /// What it commits.
        events: Vec<Event>,
    },
}

/// The database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Database {
    /// The shard row's epoch.
    pub epoch: u8,
    /// The shard row's owner.
    pub owner: Option<Who>,
    /// Committed events, in order. A snapshot is how long it was.
    pub log: Vec<Event>,
    /// What was sent and is not answered to anybody, in no order.
    pub unanswered: Vec<Unanswered>,
    /// For the promise about zombies: was anything committed behind an epoch that was over?
    pub stale_commit: bool,
    /// For the promise about the second line: was a write ever refused?
    pub refused: bool,
}

impl Database {
    /// Takes the shard if its epoch is `seen`; if that does not matter, in any case.
    pub(crate) fn claim(&mut self, who: Who, seen: u8, compares: bool) -> Option<u8> {
        if compares && self.epoch != seen {
            return None;
        }
        self.epoch += 1;
        self.owner = Some(who);
        Some(self.epoch)
    }

    pub(crate) fn commit(&mut self, epoch: u8, events: &[Event]) {
        self.stale_commit |= epoch != self.epoch && !events.is_empty();
        self.log.extend_from_slice(events);
    }

    /// Does a COMMIT that nobody waits for hold any of this back?
    pub(crate) fn has_unanswered_commit(&self, holds: impl Fn(&[Event]) -> bool) -> bool {
        self.unanswered.iter().any(|statement| match statement {
            Unanswered::Commit { events, .. } => holds(events),
            Unanswered::Claim { .. } => false,
        })
    }

    /// The epoch only rises: what compares with an earlier one will not find it.
    pub(crate) fn forget_vain_claims(&mut self) {
        let epoch = self.epoch;
        self.unanswered.retain(|statement| match statement {
            Unanswered::Claim { seen, .. } => *seen == epoch,
            Unanswered::Commit { .. } => true,
        });
    }

    pub(crate) fn rename(&mut self, names: Names) {
        self.owner = self.owner.map(|owner| owner.renamed(names));
        for statement in &mut self.unanswered {
            if let Unanswered::Claim { who, .. } = statement {
                *who = who.renamed(names);
            }
        }
        self.unanswered.sort_unstable();
    }
}
