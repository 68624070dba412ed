//! Stock: on hand, reserved, and how stock writes and movements change them. Available = on hand − reserved.

use std::collections::BTreeMap;

use crate::{MAX_AMOUNT_MINOR, Sku, SkuNotLoaded};

/// The stock of one SKU. Invariant: 0 <= reserved <= `on_hand` <= [`MAX_AMOUNT_MINOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StockLevel {
    /// Pieces in the house.
    pub on_hand: i64,
    /// Pieces promised to orders and not yet shipped.
    pub reserved: i64,
}

/// Why a stock write from outside the orders is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockWriteError {
    /// Less would be on hand than orders were promised.
    #[error("{reserved} pieces are reserved and must stay on hand")]
    BelowReserved {
        /// Pieces promised.
        reserved: i64,
    },
    /// Less than 0, or more than JSON carries exactly.
    #[error("pieces on hand are 0 to {MAX_AMOUNT_MINOR}")]
    OutOfRange,
}

impl StockLevel {
    /// Pieces that can still be promised.
    #[must_use]
    pub fn available(self) -> i64 {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// The level with this many pieces on hand.
    ///
    /// # Errors
    /// The number is out of range, or below what is reserved.
    pub fn set(self, on_hand: i64) -> Result<Self, StockWriteError> {
        if !(0..=MAX_AMOUNT_MINOR).contains(&on_hand) {
            return Err(StockWriteError::OutOfRange);
        }
        if on_hand < self.reserved {
            return Err(StockWriteError::BelowReserved {
                reserved: self.reserved,
            });
        }
        Ok(Self { on_hand, ..self })
    }

    /// The level with `delta` more pieces on hand (fewer, if it is negative).
    ///
    /// # Errors
    /// The result is out of range, or below what is reserved.
    pub fn adjust(self, delta: i64) -> Result<Self, StockWriteError> {
        let on_hand = self
            .on_hand
            .checked_add(delta)
            .ok_or(StockWriteError::OutOfRange)?;
        if on_hand < self.reserved {
            return Err(StockWriteError::BelowReserved {
                reserved: self.reserved,
            });
        }
        self.set(on_hand)
    }
}

/// How one event or stock write changes one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockMovement {
    /// Which.
    pub sku: Sku,
    /// Change of pieces in the house.
    pub on_hand: i64,
    /// Change of pieces promised.
    pub reserved: i64,
}

/// The stock a decision may look at: what was loaded and locked. An entry without a level is a SKU that was looked for
/// and does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockLevels {
    levels: BTreeMap<Sku, Option<StockLevel>>,
}

impl StockLevels {
    /// Takes note of what was found under a SKU: its level, or nothing.
    pub fn insert(&mut self, sku: Sku, level: Option<StockLevel>) {
        self.levels.insert(sku, level);
    }

    /// The level of a SKU, or `None` if no stock is kept under it.
    ///
    /// # Errors
    /// Nobody looked for the SKU.
    pub fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, SkuNotLoaded> {
        self.levels
            .get(sku)
            .copied()
            .ok_or_else(|| SkuNotLoaded(sku.clone()))
    }

    /// Moves the stock of one SKU. [`crate::decide`] has seen to it that the result keeps the invariant.
    ///
    /// # Errors
    /// The SKU was not loaded, or does not exist.
    pub fn apply(&mut self, movement: &StockMovement) -> Result<(), SkuNotLoaded> {
        let Some(Some(level)) = self.levels.get_mut(&movement.sku) else {
            return Err(SkuNotLoaded(movement.sku.clone()));
        };
        level.on_hand = level.on_hand.saturating_add(movement.on_hand);
        level.reserved = level.reserved.saturating_add(movement.reserved);
        Ok(())
    }

    /// Every SKU that was looked for, in SKU order, with its level.
    pub fn iter(&self) -> impl Iterator<Item = (&Sku, Option<StockLevel>)> {
        self.levels.iter().map(|(sku, level)| (sku, *level))
    }
}
