//! Stock written from outside the orders, and the levels a decision may look at.

use orderly_domain::{
    MAX_AMOUNT_MINOR, SkuNotLoaded, StockLevel, StockLevels, StockMovement, StockWriteError,
};

use crate::scenario::sku;

const LEVEL: StockLevel = StockLevel {
    on_hand: 10,
    reserved: 4,
};
const BELOW: Result<StockLevel, StockWriteError> =
    Err(StockWriteError::BelowReserved { reserved: 4 });
const OUTSIDE: Result<StockLevel, StockWriteError> = Err(StockWriteError::OutOfRange);

fn on_hand(on_hand: i64) -> StockLevel {
    StockLevel {
        on_hand,
        reserved: 4,
    }
}

#[test]
fn what_is_reserved_is_not_available() {
    assert_eq!(LEVEL.available(), 6);
}

#[test]
fn stock_is_set_between_what_is_reserved_and_what_json_carries() {
    assert_eq!(LEVEL.set(4), Ok(on_hand(4)));
    assert_eq!(LEVEL.set(3), BELOW);
    assert_eq!(LEVEL.set(MAX_AMOUNT_MINOR), Ok(on_hand(MAX_AMOUNT_MINOR)));
    for number in [MAX_AMOUNT_MINOR + 1, i64::MAX, -1, i64::MIN] {
        assert_eq!(LEVEL.set(number), OUTSIDE);
    }
}

#[test]
fn stock_is_adjusted_within_the_same_bounds() {
    assert_eq!(LEVEL.adjust(5), Ok(on_hand(15)));
    assert_eq!(LEVEL.adjust(-6), Ok(on_hand(4)));
    assert_eq!(LEVEL.adjust(-7), BELOW);
    assert_eq!(LEVEL.adjust(i64::MIN), BELOW);
    assert_eq!(
        LEVEL.adjust(MAX_AMOUNT_MINOR - 10),
        Ok(on_hand(MAX_AMOUNT_MINOR))
    );
    assert_eq!(LEVEL.adjust(MAX_AMOUNT_MINOR - 9), OUTSIDE);
    assert_eq!(LEVEL.adjust(i64::MAX), OUTSIDE);
}

#[test]
fn a_sku_that_was_not_looked_for_differs_from_one_that_does_not_exist() {
    let mut stock = StockLevels::default();
    stock.insert(sku("apple"), Some(LEVEL));
    stock.insert(sku("unicorn"), None);
    assert_eq!(stock.level(&sku("apple")), Ok(Some(LEVEL)));
    assert_eq!(stock.level(&sku("unicorn")), Ok(None));
    assert_eq!(stock.level(&sku("pear")), Err(SkuNotLoaded(sku("pear"))));

    for name in ["unicorn", "pear"] {
        let movement = StockMovement {
            sku: sku(name),
            on_hand: 1,
            reserved: 0,
        };
        assert_eq!(stock.apply(&movement), Err(SkuNotLoaded(sku(name))));
    }
    let movement = StockMovement {
        sku: sku("apple"),
        on_hand: -2,
        reserved: -1,
    };
    stock.apply(&movement).unwrap();
    let levels: Vec<_> = stock
        .iter()
        .map(|(sku, level)| (sku.as_str(), level))
        .collect();
    let left = StockLevel {
        on_hand: 8,
        reserved: 3,
    };
    assert_eq!(levels, [("apple", Some(left)), ("unicorn", None)]);
}
