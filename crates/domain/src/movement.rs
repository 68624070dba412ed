//! What an event does to stock. Decisions check it, the store applies it, a replay sums it up.

use std::collections::BTreeMap;

use crate::{Event, LineQuantity, NewLine, Order, Sku, StockMovement};

/// How `event` moves stock, given the order before it: one movement a SKU, in SKU order, none that moves nothing.
#[must_use]
pub fn movements(before: Option<&Order>, event: &Event) -> Vec<StockMovement> {
    let mut sums = Sums::default();
    match event {
        Event::Placed { lines, .. } => sums.reserve(lines),
        Event::Amended { lines } => {
            sums.free(before);
            sums.reserve(lines);
        }
        Event::Cancelled { .. } => sums.free(before),
        Event::Shipped { lines, .. } => sums.of_lines(before, lines, |sums, sku, quantity| {
            let left = quantity.saturating_neg();
            sums.add(sku, left, left);
        }),
        Event::Returned { lines } => sums.of_lines(before, lines, |sums, sku, quantity| {
            sums.add(sku, quantity, 0);
        }),
        _ => {}
    }
    sums.into_movements()
}

/// Movements by SKU. They saturate: `decide` keeps every sum small, and a damaged event must not panic here.
#[derive(Default)]
struct Sums<'a>(BTreeMap<&'a Sku, (i64, i64)>);

impl<'a> Sums<'a> {
    fn reserve(&mut self, lines: &'a [NewLine]) {
        for line in lines {
            self.add(&line.sku, 0, line.quantity);
        }
    }

    fn free(&mut self, order: Option<&'a Order>) {
        for line in order.into_iter().flat_map(|order| &order.lines) {
            self.add(&line.sku, 0, line.unshipped().saturating_neg());
        }
    }

    fn of_lines(
        &mut self,
        order: Option<&'a Order>,
        lines: &[LineQuantity],
        add: fn(&mut Self, &'a Sku, i64),
    ) {
        for moved in lines {
            if let Some(line) = order.and_then(|order| order.line(moved.line)) {
                add(self, &line.sku, moved.quantity);
            }
        }
    }

    fn add(&mut self, sku: &'a Sku, on_hand: i64, reserved: i64) {
        let sum = self.0.entry(sku).or_default();
        sum.0 = sum.0.saturating_add(on_hand);
        sum.1 = sum.1.saturating_add(reserved);
    }

    fn into_movements(self) -> Vec<StockMovement> {
        let moving = self.0.into_iter().filter(|(_, sum)| *sum != (0, 0));
        moving
            .map(|(sku, (on_hand, reserved))| StockMovement {
                sku: sku.clone(),
                on_hand,
                reserved,
            })
            .collect()
    }
}
