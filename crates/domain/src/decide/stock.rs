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
        let line = line_of(action, &movement.sku);
        match stock.level(&movement.sku)? {
            None => unknown.push((line, unknown_sku(line, &movement.sku))),
            Some(level) => short.extend(shortage(line, level, movement).map(|fault| (line, fault))),
        }
    }
    let mut faults = if unknown.is_empty() { short } else { unknown };
    faults.sort_by_key(|(line, _)| *line);
    Ok(faults.into_iter().map(|(_, fault)| fault).collect())
}

/// The first line of the command that names the SKU.
fn line_of(action: &Action, sku: &Sku) -> Option<usize> {
    action.skus().position(|named| named == sku)
}

fn pointer(line: Option<usize>, member: &str) -> String {
    line.map_or_else(String::new, |line| format!("/lines/{line}/{member}"))
}

fn unknown_sku(line: Option<usize>, sku: &Sku) -> Fault {
    let detail = format!("No stock is kept under SKU {sku}.");
    Fault::new(pointer(line, "sku"), RejectionCode::UnknownSku, detail)
}

/// A fault if the movement would break 0 <= reserved <= `on_hand` <= [`MAX_AMOUNT_MINOR`].
fn shortage(line: Option<usize>, level: StockLevel, movement: &StockMovement) -> Option<Fault> {
    let sku = &movement.sku;
    let on_hand = level.on_hand.saturating_add(movement.on_hand);
    let reserved = level.reserved.saturating_add(movement.reserved);
    if on_hand > MAX_AMOUNT_MINOR {
        let detail = format!("{on_hand} pieces of SKU {sku} are more than stock can count.");
        return Some(Fault::new("", RejectionCode::InvalidQuantity, detail));
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
    Some(Fault::new(
        pointer(line, "quantity"),
        RejectionCode::InsufficientStock,
        detail,
    ))
}
