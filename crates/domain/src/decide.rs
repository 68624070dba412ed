//! What a command does to an order: one event, or a rejection. The order of checks is a contract (CONTRACTS.md, "The
//! order", rule 1), and this file is where it stands; the rules of money, goods, states and stock are below it.
//!
//! Nothing here may panic, overflow, or look at anything that was not handed in.

mod goods;
mod payment;
mod stock;
mod transition;

pub use transition::allowed_commands;

use crate::limits::ANNOTATIONS;
use crate::{
    Action, Annotate, Command, Event, Fault, Order, Place, Rejection, RejectionCode, Sku,
    StockLevels, Version, movements,
};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It happens.
    Applied(Event),
    /// It does not.
    Rejected(Rejection),
}

/// A decision needs the stock of a SKU that was not loaded. The caller's fault, not the command's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stock of SKU {0} was not loaded")]
pub struct SkuNotLoaded(pub Sku);

/// Decides one command. `order` is the order it names, if that exists; `stock` holds at least the SKUs of both.
///
/// Checks, in this order, the first that fails wins: existence, version, hold, state, amounts and quantities, SKUs, stock.
/// Whether the command was seen before (duplicate) and whether its order is parked (lane) is the caller's to know.
///
/// # Errors
/// The stock of a SKU was needed that `stock` does not know of.
pub fn decide(
    order: Option<&Order>,
    stock: &StockLevels,
    command: &Command,
) -> Result<Decision, SkuNotLoaded> {
    let event = match propose(order, command) {
        Ok(event) => event,
        Err(rejection) => return Ok(Decision::Rejected(rejection)),
    };
    let faults = stock::faults(stock, &movements(order, &event), &command.action)?;
    let version = order.map_or(Version::NONE, |order| order.version);
    Ok(match Rejection::unless_none(version, faults) {
        Ok(()) => Decision::Applied(event),
        Err(rejection) => Decision::Rejected(rejection),
    })
}

/// The event of a command, if the order allows it and there is stock enough.
fn propose(order: Option<&Order>, command: &Command) -> Result<Event, Rejection> {
    let Some(order) = order else {
        return match &command.action {
            Action::Place(place) => {
                Rejection::unless_none(Version::NONE, command.action.faults())?;
                Ok(placed(place))
            }
            action => Err(Rejection::new(Version::NONE, not_found(action))),
        };
    };
    let allowed = transition::check(order, command);
    allowed.map_err(|fault| Rejection::new(order.version, fault))?;

    let faults = command.action.faults();
    let event = match &command.action {
        Action::Annotate(annotate) => return annotated(order, annotate, faults),
        Action::Pay(pay) => return payment::pay(order, command.command_id, pay, faults),
        Action::RecordPayment(record) => {
            return payment::record_payment(order, command.command_id, record, faults);
        }
        Action::Ship(ship) => return goods::ship(order, ship, faults),
        Action::Refund(refund) => {
            return payment::refund(order, command.command_id, refund, faults);
        }
        Action::RecordRefund(record) => return payment::record_refund(order, record, faults),
        Action::Return(goods) => return goods::take_back(order, goods, faults),

        Action::Place(place) => placed(place),
        Action::Amend(amend) => Event::Amended {
            lines: amend.lines.clone(),
        },
        Action::SetAddress(set) => Event::AddressSet {
            address: set.address.clone(),
        },
        Action::Hold(hold) => Event::Held {
            reason: hold.reason.clone(),
        },
        Action::Release => Event::Released,
        Action::Deliver => Event::Delivered,
        Action::Cancel(cancel) => payment::cancel(order, command.command_id, cancel),
    };
    Rejection::unless_none(order.version, faults)?;
    Ok(event)
}

fn placed(place: &Place) -> Event {
    Event::Placed {
        customer_id: place.customer_id.clone(),
        currency: place.currency,
        lines: place.lines.clone(),
        note: place.note.clone(),
    }
}

fn annotated(
    order: &Order,
    annotate: &Annotate,
    mut faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    let full = order.annotations.len() >= ANNOTATIONS;
    if full && !order.annotations.contains_key(&annotate.key) {
        faults.push(Fault::new(
            "/key",
            RejectionCode::LimitExceeded,
            format!("The order has {ANNOTATIONS} annotations, as many as it can have."),
        ));
    }
    Rejection::unless_none(order.version, faults)?;
    Ok(Event::Annotated {
        key: annotate.key.clone(),
        value: annotate.value.clone(),
    })
}

fn not_found(action: &Action) -> Fault {
    let name = action.name();
    let detail = format!("There is no such order, so {name} is not possible; place it first.");
    Fault::new("", RejectionCode::OrderNotFound, detail)
}
