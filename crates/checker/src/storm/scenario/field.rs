//! What all clients of a storm know: its products, and the orders that are written on just now.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use uuid::Uuid;

use super::Scenario;
use crate::{
    dice::Dice,
    storm::{
        client::Wanted,
        history::{Action, Line},
    },
};

/// Orders that are written on at a time: few, so that clients meet.
const RECENT_ORDERS: usize = 12;
/// Products.
const SKUS: usize = 4;
/// What nobody comes to the end of.
const PLENTY: i64 = 1_000_000;

/// What all clients know.
pub(in crate::storm) struct Field {
    pub(super) scenario: Scenario,
    /// Keeps the keys and products of this storm from those of every other.
    run: Uuid,
    /// With how many pieces each begins.
    pub(super) products: Vec<(String, i64)>,
    /// What nobody else wants.
    probe: (String, i64),
    recent: Mutex<VecDeque<Uuid>>,
}

impl Field {
    pub(in crate::storm) fn new(scenario: Scenario, clients: usize) -> Self {
        let run = Uuid::new_v4();
        // Fewer than all clients together want at a time.
        let scarce = i64::try_from(clients * 2).expect("a few hundred");
        let pieces = |sku: usize| match scenario {
            Scenario::Oversell => scarce,
            // Few orders are of it.
            Scenario::Mixed | Scenario::Resize if sku == 0 => scarce / 4,
            _ => PLENTY,
        };
        let sku = |name: &str| format!("STORM-{}-{name}", run.simple());
        let products = (0..SKUS).map(|number| (sku(&number.to_string()), pieces(number)));
        Self {
            scenario,
            run,
            products: products.collect(),
            probe: (sku("probe"), PLENTY),
            recent: Mutex::default(),
        }
    }

    /// All that is on the shelves.
    pub(in crate::storm) fn stocked(&self) -> Vec<(String, i64)> {
        let probe = std::iter::once(&self.probe);
        self.products.iter().chain(probe).cloned().collect()
    }

    /// What a probe's order is of.
    pub(in crate::storm) fn probe_line(&self) -> Line {
        Line {
            sku: self.probe.0.clone(),
            quantity: 1,
            unit_price_minor: 100,
        }
    }

    /// The name of a queue that nobody else has.
    pub(in crate::storm) fn queue(&self) -> String {
        format!("storm.{}", self.run.simple())
    }

    /// Something to send, under a key of its own.
    pub(in crate::storm) fn wanted(&self, mark: &str, order: Uuid, action: Action) -> Wanted {
        Wanted {
            key: format!("storm/{}/{mark}", self.run.simple()),
            mark: mark.to_owned(),
            order,
            action,
            expected_version: None,
            batch: None,
        }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Uuid>> {
        self.recent.lock().expect("nothing under it can panic")
    }

    /// An order that others may write on from now on.
    pub(super) fn opened(&self, order: Uuid) {
        let mut recent = self.recent();
        recent.push_back(order);
        if recent.len() > RECENT_ORDERS {
            recent.pop_front();
        }
    }

    /// One of them.
    pub(super) fn pick(&self, dice: &mut Dice) -> Option<Uuid> {
        let recent = self.recent();
        (!recent.is_empty()).then(|| recent[dice.below(recent.len())])
    }
}
