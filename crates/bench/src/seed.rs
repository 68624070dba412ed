//! Placed orders written straight into the tables, for contestants that are not asked to place any.

use std::sync::Arc;

use anyhow::Result;
use orderly_domain::{Action, Event, Order, OrderId, evolve};
use orderly_protocol::{event_data, order_state, parse_action};
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::load::{annotation, place_data};
use crate::rows::{Events, Orders, Outcomes, Writer};

/// Rows of one statement.
const AT_ONCE: usize = 1_000;

/// A placed order as the domain makes it from the data that the load generator sends.
pub(crate) fn placed(order_id: Uuid) -> (Event, Order) {
    let Ok(Action::Place(place)) = parse_action("place", &place_data()) else {
        unreachable!("the data of a place is one");
    };
    let event = Event::Placed {
        customer_id: place.customer_id,
        currency: place.currency,
        lines: place.lines,
        note: place.note,
    };
    let order = evolve(None, OrderId(order_id), &event).expect("a first event fits no order");
    (event, order)
}

/// The same order with its annotation, and the event of that.
pub(crate) fn annotated(order: &Order) -> (Event, Order) {
    let Ok(Action::Annotate(annotate)) = parse_action("annotate", &annotation("0123456789abcdef"))
    else {
        unreachable!("the data of an annotate is one");
    };
    let event = Event::Annotated {
        key: annotate.key,
        value: annotate.value,
    };
    let after = evolve(Some(order), order.order_id, &event).expect("it fits a placed order");
    (event, after)
}

/// Writes `count` placed orders with their outcomes and events, all at version 1.
pub(crate) async fn placed_orders(client: &Client, count: usize) -> Result<Arc<[Uuid]>> {
    let orders: Arc<[Uuid]> = (0..count).map(|_| Uuid::now_v7()).collect();
    let writer = Writer::prepare(client).await?;
    let now = OffsetDateTime::now_utc();
    for part in orders.chunks(AT_ONCE) {
        let texts: Vec<(Uuid, String, String, i64)> = part
            .iter()
            .map(|order_id| {
                let (event, order) = placed(*order_id);
                let data = event_data(&order, &event).get().to_owned();
                (*order_id, data, order_state(&order), order.total_minor())
            })
            .collect();
        let (mut outcomes, mut events, mut rows) =
            (Outcomes::default(), Events::default(), Orders::default());
        for (order_id, data, state, total_minor) in &texts {
            let command_id = Uuid::new_v5(order_id, b"place");
            outcomes.push(command_id, *order_id, 1, "place", now);
            events.push(command_id, *order_id, 1, ("placed", data), now);
            rows.order_id.push(*order_id);
            rows.version.push(1);
            rows.total_minor.push(*total_minor);
            rows.state.push(state);
        }
        writer.insert_outcomes(client, &outcomes, now).await?;
        writer.insert_events(client, &events).await?;
        writer.insert_orders(client, &rows, now).await?;
    }
    Ok(orders)
}
