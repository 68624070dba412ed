//! The stock that movements and writes add up to, SKU by SKU. Pure.

use std::collections::BTreeMap;

use orderly_domain::{Sku, StockLevel, StockMovement};

use super::Difference;

/// Sums. One entry per SKU ever moved.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sums: BTreeMap<Sku, Sum>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    on_hand: i128,
    reserved: i128,
}

impl Ledger {
    pub(super) fn moved(&mut self, movement: &StockMovement) {
        let sum = self.sums.entry(movement.sku.clone()).or_default();
        sum.on_hand += i128::from(movement.on_hand);
        sum.reserved += i128::from(movement.reserved);
    }

    pub(super) fn written(&mut self, sku: &Sku, on_hand: i64) {
        self.sums.entry(sku.clone()).or_default().on_hand += i128::from(on_hand);
    }

    /// Takes the SKU's sum out and compares it with the table.
    pub(super) fn compare(&mut self, sku: &Sku, level: StockLevel) -> Option<Difference> {
        let sum = self.sums.remove(sku).unwrap_or_default();
        let table = Sum {
            on_hand: level.on_hand.into(),
            reserved: level.reserved.into(),
        };
        (sum != table).then(|| {
            let what = format!(
                "stock says {} on hand, {} reserved; its ledger adds up to {} and {}",
                table.on_hand, table.reserved, sum.on_hand, sum.reserved
            );
            Difference::new(sku, what)
        })
    }

    /// What moved and has no stock.
    pub(super) fn without_stock(self) -> Vec<Difference> {
        let difference = |sku: &Sku| Difference::new(sku, "has movements or writes but no stock");
        self.sums.keys().map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use orderly_domain::{Sku, StockLevel, StockMovement};

    use super::Ledger;

    fn mug() -> Sku {
        Sku::new("MUG").unwrap()
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.written(&mug(), 10);
        ledger.moved(&StockMovement {
            sku: mug(),
            on_hand: 0,
            reserved: 4,
        });
        ledger.moved(&StockMovement {
            sku: mug(),
            on_hand: -3,
            reserved: -3,
        });
        ledger
    }

    #[test]
    fn stock_that_adds_up_is_no_difference() {
        let mut ledger = ledger();
        assert_eq!(
            ledger.compare(
                &mug(),
                StockLevel {
                    on_hand: 7,
                    reserved: 1
                }
            ),
            None
        );
        assert!(ledger.without_stock().is_empty());
    }

    #[test]
    fn stock_that_does_not_is_told_with_both_figures() {
        let difference = ledger()
            .compare(
                &mug(),
                StockLevel {
                    on_hand: 8,
                    reserved: 1,
                },
            )
            .unwrap();
        assert!(
            difference.what.contains("8 on hand") && difference.what.contains("up to 7"),
            "{difference:?}"
        );
    }

    #[test]
    fn movements_without_stock_are_found() {
        assert_eq!(ledger().without_stock().len(), 1);
    }
}
