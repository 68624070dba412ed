//! Orders, written as a worker leaves them: events and state in the database, events in the stream.

use orderly_domain::{CommandId, Currency, Event, NewLine, Order, OrderId, PaymentId, Sku, evolve};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{RecordedEvent, event_data, order_state, timestamp};
use uuid::Uuid;

use crate::support::Fixture;

pub(crate) const ORDER: Uuid = Uuid::from_u128(0x0190_a5c1_2b3c_7d4e_8f50_6172_8394_0516);

/// One order, and what happens to it.
pub(crate) struct History {
    order_id: OrderId,
    order: Option<Order>,
}

impl History {
    pub(crate) fn of(order_id: Uuid) -> Self {
        Self {
            order_id: OrderId(order_id),
            order: None,
        }
    }

    /// Commits the events; the stream is for the caller to write.
    pub(crate) async fn record(
        &mut self,
        fixture: &Fixture,
        events: &[Event],
    ) -> Vec<RecordedEvent> {
        let mut recorded = Vec::new();
        let mut statements = Vec::new();
        for event in events {
            let after = evolve(self.order.as_ref(), self.order_id, event).unwrap();
            let event = RecordedEvent {
                order_id: self.order_id,
                version: after.version,
                command_id: CommandId(Uuid::now_v7()),
                event_type: event.name().to_owned(),
                data: event_data(&after, event),
                recorded_at: timestamp::whole_microseconds(OffsetDateTime::now_utc()),
                traceparent: None,
            };
            statements.push(format!(
                "insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at) \
                 values ('{}', {}, '{id}', '{id}', '{}', $data${}$data$, '{}')",
                event.order_id,
                event.version,
                event.event_type,
                event.data,
                timestamp::format(event.recorded_at),
                id = event.command_id,
            ));
            recorded.push(event);
            // What is ordered was in stock.
            statements.extend(after.lines.iter().map(|line| {
                let sku = line.sku.as_str().replace('\'', "''");
                format!("insert into stock values ('{sku}', 100, 10, now()) on conflict do nothing")
            }));
            self.order = Some(after);
        }
        statements.push(upsert(self.order.as_ref().unwrap()));
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        fixture.env.psql(&statements).await.unwrap();
        recorded
    }
}

fn upsert(order: &Order) -> String {
    format!(
        "insert into orders (order_id, version, status, held, customer_id, currency, total_minor, captured_minor, \
         refunded_minor, refund_pending_minor, state, created_at, updated_at) values ('{}', {}, '{}', {}, $c${}$c$, '{}', {}, \
         {}, {}, {}, $state${}$state$, now(), now()) on conflict (order_id) do update set version = excluded.version, \
         status = excluded.status, held = excluded.held, total_minor = excluded.total_minor, captured_minor = \
         excluded.captured_minor, refunded_minor = excluded.refunded_minor, refund_pending_minor = \
         excluded.refund_pending_minor, state = excluded.state, updated_at = excluded.updated_at",
        order.order_id,
        order.version,
        order.status.as_str(),
        order.held(),
        order.customer_id,
        order.currency,
        order.total_minor(),
        order.captured_minor(),
        order.refunded_minor(),
        order.refund_pending_minor(),
        order_state(order),
    )
}

pub(crate) fn placed(customer_id: &str, lines: &[(&str, i64, i64)]) -> Event {
    let line = |&(sku, quantity, unit_price_minor): &(&str, i64, i64)| NewLine {
        sku: Sku::new(sku).unwrap(),
        quantity,
        unit_price_minor,
    };
    Event::Placed {
        customer_id: customer_id.to_owned(),
        currency: Currency::new("EUR").unwrap(),
        lines: lines.iter().map(line).collect(),
        note: None,
    }
}

pub(crate) fn annotated(key: &str, value: &str) -> Event {
    Event::Annotated {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// Asked for and captured.
pub(crate) fn paid(amount_minor: i64) -> [Event; 2] {
    let payment_id = PaymentId(Uuid::from_u128(7));
    [
        Event::PaymentRequested {
            payment_id,
            amount_minor,
            method: "card".to_owned(),
        },
        Event::PaymentCaptured {
            payment_id,
            amount_minor,
            reference: "pi_3Nq".to_owned(),
            effect: None,
        },
    ]
}
