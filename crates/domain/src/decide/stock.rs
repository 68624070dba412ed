//! Whether there is stock for an event. The check is of the event's own movements, so what is checked and what then
//! moves cannot differ, and an amended order may use again what it has reserved itself.

use crate::{
    Action, Fault, MAX_AMOUNT_MINOR, RejectionCode, Sku, SkuNotLoaded, StockLevel, StockLevels,
    StockMovement,
};

/// What stock says against these movements: unknown SKUs, or else levels that would leave their bounds.
pub(super) fn faults(
    stock: &StockLevels,
    movements: &[StockMovement],
    action: &Action,
) -> Result<Vec<Fault>, SkuNotLoaded> {
    let (mut unknown, mut short) = (Vec::new(), Vec::new());
    for movement in movements {
        match stock.level(&movement.sku)? {
            None => unknown.push(unknown_sku(action, &movement.sku)),
            Some(level) => short.extend(shortage(action, level, movement)),
        }
    }
    let mut faults = if unknown.is_empty() { short } else { unknown };
    faults.sort_by_key(|(line, _)| *line);
    Ok(faults.into_iter().map(|(_, fault)| fault).collect())
}

/// A fault, and the first line of the command that names its SKU, if the command names SKUs.
type FaultAtLine = (Option<usize>, Fault);

fn at_line(
    action: &Action,
    sku: &Sku,
    member: &str,
    code: RejectionCode,
    detail: String,
) -> FaultAtLine {
    let line = action.skus().position(|named| named == sku);
    let pointer = line.map_or_else(String::new, |line| format!("/lines/{line}/{member}"));
    (line, Fault::new(pointer, code, detail))
}

fn unknown_sku(action: &Action, sku: &Sku) -> FaultAtLine {
    let detail = format!("No stock is kept under SKU {sku}.");
    at_line(action, sku, "sku", RejectionCode::UnknownSku, detail)
}

/// A fault if the movement would break 0 <= reserved <= `on_hand` <= [`MAX_AMOUNT_MINOR`].
fn shortage(action: &Action, level: StockLevel, movement: &StockMovement) -> Option<FaultAtLine> {
    let sku = &movement.sku;
    let on_hand = level.on_hand.saturating_add(movement.on_hand);
    let reserved = level.reserved.saturating_add(movement.reserved);
    if on_hand > MAX_AMOUNT_MINOR {
        let detail = format!("{on_hand} pieces of SKU {sku} are more than stock can count.");
        return Some(at_line(
            action,
            sku,
            "quantity",
            RejectionCode::InvalidQuantity,
            detail,
        ));
    }
    if 0 <= reserved && reserved <= on_hand {
        return None;
    }
    let detail = if movement.reserved > 0 {
        let (asked, available) = (movement.reserved, level.available());
        format!("{asked} more of SKU {sku} were asked for, {available} are available.")
    } else {
        let StockLevel { on_hand, reserved } = level;
        format!("SKU {sku} has {on_hand} on hand and {reserved} reserved, less than the order has.")
    };
    Some(at_line(
        action,
        sku,
        "quantity",
        RejectionCode::InsufficientStock,
        detail,
    ))
}
