//! Which events a client asked for. Owns the reading of the query.

use std::collections::HashSet;

use orderly_domain::OrderId;
use orderly_http::ProblemResponse;
use orderly_protocol::ids::parse_uuid;

use super::position::Position;
use super::ring::StreamEvent;
use crate::request::invalid;

/// Orders or types one stream may name: a person's screen, not a second copy of the order list.
const FILTER_VALUES: usize = 100;

/// Where a client wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With what happens from now on.
    Now,
    /// With the last events that this process still has in memory, so that a screen is not empty until something happens.
    Recent,
    /// With the oldest event that the stream still has.
    First,
    /// Right after an event that it has seen.
    After(Position),
}

/// What a client wants to see; what is empty lets everything pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    orders: HashSet<OrderId>,
    types: HashSet<String>,
}

impl Filter {
    pub(super) fn passes(&self, event: &StreamEvent) -> bool {
        (self.orders.is_empty() || self.orders.contains(&event.order_id))
            && (self.types.is_empty() || self.types.contains(&event.event_type))
    }
}

/// Reads the query and the `Last-Event-ID` header. The header wins: a browser that reconnects keeps the query of its first
/// request and adds the header.
pub(super) fn parse(
    query: &[(String, String)],
    last_event_id: Option<&str>,
) -> Result<(Start, Filter), ProblemResponse> {
    let mut start = Start::Now;
    let mut filter = Filter::default();
    let mut from_query = None;
    for (name, value) in query {
        match name.as_str() {
            "order_id" => {
                let id = parse_uuid(value)
                    .ok_or_else(|| invalid("order_id in the query is not a UUID"))?;
                filter.orders.insert(OrderId(id));
            }
            "type" => {
                filter.types.insert(value.clone());
            }
            "last_event_id" => from_query = Some(value.as_str()),
            "from" if value == "first" => start = Start::First,
            "from" if value == "recent" => start = Start::Recent,
            "from" if value == "now" => start = Start::Now,
            "from" => return Err(invalid("from in the query is not first, recent or now")),
            other => {
                return Err(invalid(format!(
                    "the query parameter {other:?} is unknown; known are order_id, type, last_event_id and from"
                )));
            }
        }
    }
    if filter.orders.len() > FILTER_VALUES || filter.types.len() > FILTER_VALUES {
        return Err(invalid(format!(
            "more than {FILTER_VALUES} order_id or type parameters in the query"
        )));
    }
    // A browser that has seen no event yet sends no header; some clients send an empty one.
    if let Some(id) = last_event_id.filter(|id| !id.is_empty()).or(from_query) {
        let position = Position::after(id)
            .ok_or_else(|| invalid("the last event id is not an id of this stream"))?;
        start = Start::After(position);
    }
    Ok((start, filter))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Filter, OrderId, Position, Start, StreamEvent, parse};

    const ORDER: &str = "0190a5c1-2b3c-7d4e-8f50-617283940516";
    const OTHER: &str = "0190a5c1-2b3c-7d4e-8f50-617283940517";

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn event(order: &str, event_type: &str) -> StreamEvent {
        StreamEvent {
            position: Position::default(),
            order_id: OrderId(order.parse().unwrap()),
            event_type: event_type.to_owned(),
            frame: Bytes::new(),
        }
    }

    #[test]
    fn an_empty_query_is_everything_from_now_on() {
        assert_eq!(parse(&[], None).unwrap(), (Start::Now, Filter::default()));
        assert!(Filter::default().passes(&event(ORDER, "order.placed.v1")));
    }

    #[test]
    fn orders_are_alternatives_and_types_narrow_them() {
        let pairs = query(&[
            ("order_id", ORDER),
            ("type", "order.paid.v1"),
            ("type", "order.placed.v1"),
        ]);
        let (_, filter) = parse(&pairs, None).unwrap();
        assert!(filter.passes(&event(ORDER, "order.placed.v1")));
        assert!(filter.passes(&event(ORDER, "order.paid.v1")));
        assert!(!filter.passes(&event(ORDER, "order.shipped.v1")));
        assert!(!filter.passes(&event(OTHER, "order.placed.v1")));
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let pairs = query(&[("from", "first"), ("last_event_id", "1.0")]);
        let after = |text| Start::After(Position::after(text).unwrap());
        assert_eq!(parse(&pairs, Some("2.3")).unwrap().0, after("2.3"));
        assert_eq!(parse(&pairs, Some("")).unwrap().0, after("1.0"));
        let from = |place| parse(&query(&[("from", place)]), None).unwrap().0;
        assert_eq!(
            [from("first"), from("recent"), from("now")],
            [Start::First, Start::Recent, Start::Now]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (name, value) in [
            ("order_id", "7"),
            ("from", "yesterday"),
            ("last_event_id", "x"),
            ("last_event_id", ""),
            ("orderid", ORDER),
        ] {
            assert!(
                parse(&query(&[(name, value)]), None).is_err(),
                "{name}={value}"
            );
        }
        assert!(parse(&[], Some("12")).is_err());
    }
}
